"""The script tells the language; among Latin letters the tag of the source does."""

import pytest

from llmner.sources.languages import language_of
from llmner.sources.sections import kind_of


@pytest.mark.parametrize(
    ("text", "tag", "lang"),
    [
        ("Gout hurts.", None, "en"),
        ("Gout hurts.", "eng", "en"),
        ("Gout hurts.", "zh", "en"),
        ("La goutte fait mal.", "fre", "fr"),
        ("La goutte fait mal à l'os.", "fr-CA", "fr"),
        ("Die Gicht schmerzt.", "German", "de"),
        ("患者口服Aspirin 100mg后好转。", None, "zh"),
        ("患者口服药物。", "en", "zh"),
        ("We bought 阿胶 from a shop in town.", "chi", "en"),
        ("アスピリンは喘息を改善した。", None, "ja"),
        (
            "使用日本产品（アスピリン片）治疗的大量老年糖尿病合并高血压患者病情均得到明显好转且未见不良反应发生情况，随访半年后所有患者均痊愈出院",
            None,
            "zh",
        ),
        ("아스피린은 천식을 개선했다.", None, "ko"),
        ("Подагра болит.", None, "ru"),
        ("Подагра болить.", "uk", "ru"),
        ("α and β of the receptor", None, "en"),
        ("", None, "en"),
        ("12.5 ± 3", None, "en"),
    ],
)
def test_language(text: str, tag: str | None, lang: str) -> None:
    assert language_of(text, tag) == lang


@pytest.mark.parametrize(
    ("heading", "kind"),
    [("MATERIALS AND METHODS", "methods"), ("目的", "introduction"), ("Discussion", "discussion"), ("Mice", "text")],
)
def test_kinds_of_sections(heading: str, kind: str) -> None:
    assert kind_of(heading, "text") == kind
