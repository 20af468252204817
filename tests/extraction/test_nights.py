"""Night after night: after each, the data set holds what a dictionary of the same files does; no text is paid twice.

The year is that of ``year.py``, on a disk and on S3 over HTTP.
"""

import gzip
import hashlib
import itertools
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from capital_words import WORD, CapitalWordsEngine, HealedEngine, run_nightly
from year import Citation, Night, UpdateFile, merged, nights

from llmner import storage
from llmner.commands.outcome import EXIT_STOPPED
from llmner.config import JobConfig
from llmner.dataset.compact import compact
from llmner.dataset.layout import Layout
from llmner.dataset.manifest import read_manifests
from llmner.dataset.snapshot import open_dataset
from llmner.errors import ChecksumError, ConfigError
from llmner.extraction.models import Loadable
from llmner.extraction.retry import retry_failed
from llmner.tagging.engine import Engine

pytestmark = pytest.mark.usefixtures("cluster")

TESTS = Path(__file__).resolve().parents[1]
KILLS = 20

View = dict[str, tuple[int, str, int, tuple[str, ...]]]  # version, text, year, mentions by identifier


def job(folder: str, output: str, **more: object) -> JobConfig:
    tag_sets = {"en": ["ncbi_disease"]}
    return JobConfig.model_validate({"inputs": [folder], "output": output, "tag_sets": tag_sets, **more})


def arrive(folder: str, night: Night) -> None:
    """Put a night's files into storage."""
    for file in [*night.files, *night.broken]:
        storage.write_whole(storage.join(folder, file.name), file.content())
        checksum = file.checksum() if file in night.files else b"0" * 32
        storage.write_whole(storage.join(folder, f"{file.name}.md5"), checksum)


def expected(files: list[UpdateFile], first: str) -> View:
    """What the data set should hold: each document with the mentions that the engine finds in its text."""
    found = merged(files, first)
    return {
        pmid: (version, text, year, tuple(sorted(mentions_in(text)))) for pmid, (version, text, year) in found.items()
    }


def mentions_in(text: str) -> list[str]:
    words = list(WORD.finditer(text))
    pairs = [(a, b) for a, b in itertools.pairwise(words) if b.start() == a.end() + 1]
    return [w[0] for w in words] + [text[a.start() : b.end()] for a, b in pairs]


def view_of(uri: str, commit: int | None = None) -> View:
    """What the data set holds."""
    dataset = open_dataset(uri, commit=commit)
    rows = dataset.mentions.to_table(["source_id", "text", "mention_id", "version", "year"]).to_pylist()
    assert len({row["mention_id"] for row in rows}) == len(rows)
    documents = dataset.documents.to_table(["source_id", "version", "text", "year", "text_sha256"]).to_pylist()
    found: dict[str, list[str]] = {row["source_id"]: [] for row in documents}
    assert len(found) == len(documents)
    for row in rows:
        found[row["source_id"]].append(row["text"])
    for row in documents:
        assert row["text_sha256"] == hashlib.sha256(row["text"].encode()).hexdigest()
    identities = {(row["source_id"], row["version"], row["year"]) for row in documents}
    assert {(row["source_id"], row["version"], row["year"]) for row in rows} <= identities
    return {
        row["source_id"]: (row["version"], row["text"], row["year"], tuple(sorted(found[row["source_id"]])))
        for row in documents
    }


def replayed(uri: str, old: View, since: int) -> View:
    """An old view with the changes since its commit."""
    dataset = open_dataset(uri)
    changes = dataset.changes(since)
    new = view_of(uri)
    withdrawn = {row["source_id"] for row in changes.withdrawn.to_pylist()}
    changed = {row["source_id"] for row in changes.changed.to_pylist()}
    assert not withdrawn & changed
    kept = {id: row for id, row in old.items() if id not in withdrawn}
    return kept | {id: new[id] for id in changed}


def tagged(uri: str) -> int:
    """How many documents a model was asked for."""
    return sum(m.counts["ok"] + m.counts["empty"] for m in read_manifests(Layout.at(uri)) if m.files)


def check_year(
    folder: str, output: str, year: list[Night], run: Callable[..., object], *, compacted: bool = False
) -> None:
    arrived: list[UpdateFile] = []
    first, old, before = "", {}, 0
    for night in year:
        arrive(folder, night)
        arrived += night.files
        config = job(folder if not night.baseline else f"{folder}/pubmed27*.xml.gz", output)
        result = run(config, baseline=night.baseline)
        if night.baseline:
            first = night.files[0].name
        assert [type(e) for e in result.left] == [ChecksumError] * len(night.broken)
        new = view_of(output)
        assert new == expected(arrived, first)
        assert replayed(output, old, before) == new
        texts = {(i, c.title) for file in arrived for i, c in file.citations.items() if i not in file.deleted}
        assert tagged(output) == len(texts)
        if compacted:
            compact(output, keep=1)
            assert view_of(output) == new
        old, before = new, len(read_manifests(Layout.at(output)))
        assert run(config, baseline=night.baseline).batches == []


def test_a_few_nights(tmp_path: Path) -> None:
    year = list(nights(baseline=2, days=2, size=4))
    check_year(str(tmp_path / "in"), str(tmp_path / "out"), year, run_nightly, compacted=True)


UNTAGGABLE = {"1": "Aspirin UNTAGGABLE.", "2": "Aspirin UNTAGGABLE.", "3": "Fever."}


def loadable(engine: type[CapitalWordsEngine]) -> Loadable[Engine]:
    return Loadable(engine, engine.fingerprint)


def two_files(folder: Path) -> str:
    """A file with documents that cannot be tagged, and one that revises one of them."""
    for name, texts in (("n01.xml", UNTAGGABLE), ("n02.xml", {"2": "Asthma."})):
        citations = {(pmid, 1): Citation(text, 2025) for pmid, text in texts.items()}
        storage.write_whole(str(folder / name), gzip.decompress(UpdateFile(name, citations).content()))
    return str(folder)


def test_what_fails_three_times_is_given_up(tmp_path: Path) -> None:
    output = str(tmp_path / "out")
    config = job(two_files(tmp_path / "in"), output)
    found = [run_nightly(config).batches]
    assert view_of(output).keys() == {"2", "3"}
    for engine in (CapitalWordsEngine, CapitalWordsEngine, HealedEngine):
        retried = retry_failed(config, generator=loadable(engine))
        found.append(retried.batches)
    counts = [[(b.manifest.counts["failed"], b.manifest.counts["unchanged"]) for b in batches] for batches in found]
    assert counts == [[(2, 0), (0, 0)], [(2, 1)], [(2, 1)], []]
    assert retried.given_up == {1: 2}


def test_what_failed_may_succeed_later(tmp_path: Path) -> None:
    output = str(tmp_path / "out")
    config = job(two_files(tmp_path / "in"), output)
    run_nightly(config)
    [batch] = retry_failed(config, generator=loadable(HealedEngine)).batches
    assert batch.manifest.counts["ok"] == 2
    assert {id: text for id, (_, text, _, _) in view_of(output).items()} == UNTAGGABLE | {"2": "Asthma."}
    changed = open_dataset(output).changes(since=2).changed
    assert changed["source_id"].to_pylist() == ["1"]
    assert retry_failed(config, generator=loadable(HealedEngine)).batches == []


def test_settings_of_single_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="single runs"):
        run_nightly(job(str(tmp_path), str(tmp_path / "out"), limit=3))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_year(tmp_path: Path) -> None:
    check_year(str(tmp_path / "in"), str(tmp_path / "out"), list(nights()), run_nightly)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_year_on_s3(bucket: str) -> None:
    year = list(nights(baseline=2, days=10, size=4))
    check_year(f"s3://{bucket}/in", f"s3://{bucket}/out", year, run_nightly)


def program(config: JobConfig, seconds: float) -> list[str]:
    """The command of a nightly run in a process of its own."""
    return [sys.executable, str(TESTS / "capital_words.py"), config.model_dump_json(), str(seconds), "nightly"]


@pytest.mark.slow
def test_a_run_that_is_told_to_stop_gives_back_what_it_has_not_written(tmp_path: Path) -> None:
    folder, output = str(tmp_path / "in"), str(tmp_path / "out")
    files = next(iter(nights(baseline=3, size=6))).files
    arrive(folder, Night(files))
    config = job(folder, output)
    process = subprocess.Popen(program(config, 0.5), stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not storage.list_names(storage.join(output, "commits")):
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == EXIT_STOPPED, said[-3000:]
    assert "the same command goes on" in said
    done = len(read_manifests(Layout.at(output)))
    assert 0 < done < len(files)
    assert len(run_nightly(config).batches) == len(files) - done
    assert view_of(output) == expected(files, "")


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_at_random_moments_of_a_year(tmp_path: Path) -> None:
    folder, output = str(tmp_path / "in"), str(tmp_path / "out")
    year = list(nights(baseline=4, days=10, size=4))[:-1]
    rng, kills = random.Random(5), 0
    arrived: list[UpdateFile] = []
    for night in year:
        arrive(folder, night)
        arrived += night.files
        while kills < KILLS:
            process = subprocess.Popen(program(job(folder, output), 0.02), stderr=subprocess.DEVNULL)
            children: list[psutil.Process] = []
            try:
                process.wait(rng.uniform(4, 16))
                break
            except subprocess.TimeoutExpired:
                children = psutil.Process(process.pid).children(recursive=True)
                process.kill()
                process.wait()
                kills += 1
            finally:
                _, alive = psutil.wait_procs(children, timeout=20)
                for child in alive:
                    child.kill()
        run_nightly(job(folder, output))
    assert kills == KILLS
    assert view_of(output) == expected(arrived, "")
