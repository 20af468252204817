"""ClinicalTrials.gov: one study, a list, one a line or an answer of the service are the same."""

import json

import pytest
from annotated_texts import pieces

from llmner.sources.trials import read_trials


def study(number: int) -> dict:
    modules = {
        "identificationModule": {
            "nctId": f"NCT{number}",
            "briefTitle": "Colchicine for gout",
            "officialTitle": "A trial",
        },
        "statusModule": {"startDateStruct": {"date": "2019-03"}},
        "descriptionModule": {"briefSummary": "Does it help?\n\nWe ask."},
        "conditionsModule": {"conditions": ["Gout", "Pain"]},
        "armsInterventionsModule": {"interventions": [{"name": "Colchicine", "description": "0.5 mg"}]},
        "eligibilityModule": {"eligibilityCriteria": "Inclusion Criteria:\n\n* gout"},
    }
    return {"protocolSection": modules, "hasResults": False}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"totalCount": 2, "studies": [study(1), study(2)], "nextPageToken": "x"}),
        json.dumps([study(1), study(2)], indent=1),
        "\n".join(json.dumps(study(i)) for i in (1, 2)),
    ],
)
def test_every_outer_form(text: str) -> None:
    one, two = read_trials(pieces(text), "f.json")
    assert (one.source_id, two.source_id, one.year, one.ids) == ("NCT1", "NCT2", 2019, {"nct": "NCT1"})
    assert [(p.kind, p.section, one.text[p.start : p.end]) for p in one.parts] == [
        ("title", "", "Colchicine for gout"),
        ("title", "official title", "A trial"),
        ("abstract", "", "Does it help?\n\nWe ask."),
        ("text", "conditions", "Gout"),
        ("text", "conditions", "Pain"),
        ("methods", "interventions", "Colchicine"),
        ("methods", "interventions", "0.5 mg"),
        ("methods", "eligibility", "Inclusion Criteria:\n\n* gout"),
    ]


def test_a_single_study_over_many_lines_and_a_broken_one() -> None:
    (alone,) = read_trials(pieces(json.dumps(study(1), indent=2)), "f.json")
    assert alone.source_id == "NCT1"
    good, no_number, no_study = read_trials(pieces(json.dumps([study(1), {"protocolSection": {}}, 7])), "f.json")
    assert good.text == alone.text
    assert "record 2 at byte" in str(no_number.error)
    assert "not as ClinicalTrials.gov has it" in str(no_study.error)
