"""Whole jobs on a real Ray: what goes in comes out, once, whatever is wrong with some of it."""

import gzip
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from capital_words import BrokenEngine, IncompleteEngine, StuckEngine, run
from corpora import documents, mentions, pubmed_xml, text, write_jsonl

from llmner.config import JobConfig
from llmner.dataset.compact import compact
from llmner.dataset.layout import Layout
from llmner.dataset.lock import BatchLock
from llmner.dataset.reading import open_committed
from llmner.errors import (
    AccessError,
    BatchLockedError,
    DatasetError,
    FingerprintMismatchError,
    InputNotFoundError,
    JobFailedError,
    ModelError,
)
from llmner.extraction.counts import Progress
from llmner.extraction.models import Loadable
from llmner.extraction.run import MAX_FRUITLESS, extract

pytestmark = pytest.mark.usefixtures("cluster")


def job(*inputs: Path | str, output: Path | str, **more: object) -> JobConfig:
    tag = {"rows_per_call": 8, "cpus": 1, **more.pop("tag", {})}
    values = {"inputs": [str(i) for i in inputs], "output": str(output), "tag": tag, "documents_per_file": 20, **more}
    return JobConfig.model_validate(values)


def test_documents_of_several_formats_come_out_once_each(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(50)])
    (corpus / "b.xml.gz").write_bytes(gzip.compress(pubmed_xml(range(100, 130)).encode()))
    seen: list[Progress] = []
    result = run(job(corpus, output=tmp_path / "out"), on_progress=seen.append)
    rows = documents(str(tmp_path / "out"))
    assert [row["source_id"] for row in rows] == [f"d{i}" for i in range(50)] + [str(i) for i in range(100, 130)]
    assert [row["record"] for row in rows] == [*range(50), *(2**32 + i for i in range(30))]
    for row in rows:
        assert row["status"] == ("ok" if row["mentions"] else "empty")
        assert row["text_sha256"] == hashlib.sha256(row["text"].encode()).hexdigest()
        assert all(row["text"][m["start"] : m["end"]] == m["text"] for m in row["mentions"])
    counts = result.manifest.counts
    assert counts["documents"] == counts["ok"] + counts["empty"] == 80
    assert counts["mentions"] == sum(len(row["mentions"]) for row in rows)
    flat = mentions(str(tmp_path / "out"))
    assert len(flat) == len({m["mention_id"] for m in flat}) == counts["mentions"]
    assert [Path(i.uri).name for i in result.manifest.inputs] == ["a.jsonl", "b.xml.gz"]
    assert [sum(i.counts.values()) for i in result.manifest.inputs] == [50, 30]
    for file in result.manifest.files:
        content = (Path(result.batch.documents) / file.name).read_bytes()
        assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert seen[-1].documents == seen[-1].records == 80


def test_a_run_leaves_exactly_these_files(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(12)])
    result = run(job(corpus, output=tmp_path / "out", batch="one"))
    [file] = result.manifest.files
    left = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert left == {
        "dataset.json",
        "commits/00000001.json",
        f"batches/one/documents/{file.name}",
        f"mentions/batch=one/{file.name}",
    }


def test_the_same_command_again_does_nothing(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(12)])
    first = run(job(corpus, output=tmp_path / "out"))
    state = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    second = run(job(corpus, output=tmp_path / "out"))
    assert (first.already_done, second.already_done) == (False, True)
    assert second.manifest == first.manifest
    assert state == {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in (tmp_path / "out").rglob("*") if p.is_file()}


def test_what_was_compacted_is_done(corpus: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "out")
    for number in range(2):
        file = write_jsonl(corpus / f"{number}.jsonl", [text(i) for i in range(6)], first=6 * number)
        run(job(file, output=output))
    before = mentions(output)
    for _ in range(2):
        compact(output, keep=1)
    again = run(job(corpus / "0.jsonl", output=output))
    assert again.already_done
    assert again.manifest.counts["documents"] == 6
    assert again.manifest.files == []
    assert sorted(mentions(output), key=str) == sorted(before, key=str)


def test_a_crash_behind_the_commit_is_made_good(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(12)])
    result = run(job(corpus, output=tmp_path / "out"))
    before = mentions(str(tmp_path / "out"))
    for file in Path(result.batch.mentions).iterdir():
        file.unlink()
    assert run(job(corpus, output=tmp_path / "out")).already_done
    assert mentions(str(tmp_path / "out")) == before


def test_what_a_manifest_lists_must_be_there(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(12)])
    result = run(job(corpus, output=tmp_path / "out", batch="b"))
    [file] = Path(result.batch.documents).iterdir()
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    with pytest.raises(DatasetError, match=rf"1 of its 1 files .* another size, the first: .*{file.name}"):
        run(job(corpus, output=tmp_path / "out", batch="b"))
    file.unlink()
    with pytest.raises(DatasetError, match="1 of its 1 files are missing"):
        run(job(corpus, output=tmp_path / "out", batch="b"))
    file.write_bytes(content)
    assert run(job(corpus, output=tmp_path / "out", batch="b")).already_done


def test_a_batch_is_finished_under_its_lock_and_what_others_write_is_left_alone(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(12)])
    result = run(job(corpus, output=tmp_path / "out", batch="b"))
    [mentions_file] = Path(result.batch.mentions).iterdir()
    mentions_file.unlink()
    theirs = Path(result.batch.documents) / "new.parquet.0123.part"
    theirs.write_bytes(b"half of a file")
    ours = Path(result.batch.documents) / "left.parquet"
    ours.write_bytes(b"of a run that was killed")
    with BatchLock(result.batch.locks, lease=1.0), pytest.raises(BatchLockedError):
        run(job(corpus, output=tmp_path / "out", batch="b"))
    assert not mentions_file.exists()
    assert run(job(corpus, output=tmp_path / "out", batch="b")).already_done
    assert (mentions_file.exists(), theirs.exists(), ours.exists()) == (True, True, False)


def test_a_run_that_another_took_over_from_ends_and_harms_nothing(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(60)])
    run(job(corpus, output=tmp_path / "other", batch="b"))
    out = Layout.at(str(tmp_path / "out"))

    def take_over(progress: Progress) -> None:
        """Do what a run does that takes over and is faster: lock, commit, clean up."""
        if progress.documents and not Path(out.commits).exists():
            holder = json.loads((Path(out.batch("b").locks) / "00000000.lock").read_text())
            taken = json.dumps({**holder, "token": "another", "released": True})
            (Path(out.batch("b").locks) / "00000001.lock").write_text(taken)
            for part in ("batches", "mentions", "commits"):
                shutil.copytree(tmp_path / "other" / part, tmp_path / "out" / part, dirs_exist_ok=True)
            shutil.rmtree(out.batch("b").checkpoints, ignore_errors=True)

    with pytest.raises(DatasetError, match="this run lost its lock"):
        run(job(corpus, output=tmp_path / "out", batch="b"), 0.2, on_progress=take_over)
    assert documents(str(tmp_path / "out")) == documents(str(tmp_path / "other"))
    assert run(job(corpus, output=tmp_path / "out", batch="b")).already_done


def test_batches_add_up_and_names_are_kept_apart(corpus: Path, tmp_path: Path) -> None:
    a = write_jsonl(corpus / "a.jsonl", [text(i) for i in range(5)])
    b = write_jsonl(corpus / "b.jsonl", [text(i) for i in range(5, 9)], first=5)
    run(job(a, output=tmp_path / "out", batch="x"))
    with pytest.raises(DatasetError, match="inputs were others"):
        run(job(b, output=tmp_path / "out", batch="x"))
    run(job(b, output=tmp_path / "out"))
    assert [m.commit for m in open_committed(str(tmp_path / "out")).manifests] == [1, 2]
    assert len(documents(str(tmp_path / "out"))) == 9


def test_other_settings_are_refused(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", ["Aspirin"])
    run(job(corpus, output=tmp_path / "out"))
    with pytest.raises(FingerprintMismatchError, match=r"tag_sets\.en: biomed .* -> genia"):
        run(job(corpus, output=tmp_path / "out", tag_sets={"en": ["genia"]}))


def test_the_last_of_repeated_keys_stays(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", [f"Old {i}" for i in range(30)])
    write_jsonl(corpus / "b.jsonl", [f"New {i}" for i in range(20, 40)], first=20)
    result = run(job(corpus, output=tmp_path / "out"))
    rows = documents(str(tmp_path / "out"))
    assert len({row["doc_key"] for row in rows}) == len(rows) == 40
    assert [row["text"] for row in rows] == [f"Old {i}" for i in range(20)] + [f"New {i}" for i in range(20, 40)]
    assert result.manifest.counts["superseded"] == 10
    assert result.manifest.counts["records"] == 50
    assert len(mentions(str(tmp_path / "out"))) == result.manifest.counts["mentions"]
    assert len(list(Path(result.batch.documents).iterdir())) == len(result.manifest.files)


def test_a_limit_goes_by_the_order_of_the_inputs(corpus: Path, tmp_path: Path) -> None:
    for name, first in (("a", 0), ("b", 30), ("c", 60)):
        write_jsonl(corpus / f"{name}.jsonl", [text(i) for i in range(30)], first=first)
    run(job(corpus, output=tmp_path / "out", limit=40))
    assert [row["source_id"] for row in documents(str(tmp_path / "out"))] == [f"d{i}" for i in range(40)]


def test_bad_documents_touch_no_other(corpus: Path, tmp_path: Path) -> None:
    texts = [text(i) for i in range(30)]
    texts[4], texts[11], texts[17], texts[23] = "UNTAGGABLE", "DEADLY", "ENDLESS", "BROKEN"
    write_jsonl(corpus / "a.jsonl", texts)
    result = run(job(corpus, output=tmp_path / "out", tag={"seconds": 4, "seconds_per_character": 0}))
    rows = documents(str(tmp_path / "out"))
    failed = {row["source_id"]: row for row in rows if row["status"] == "failed"}
    assert {i: row["error_class"] for i, row in failed.items()} == {
        "d4": "TaggingError",
        "d11": "WorkerDiedError",
        "d17": "WorkerDiedError",
        "d23": "WorkerDiedError",
    }
    assert "the model gave no answer in 4 s" in failed["d17"]["error_message"]
    assert "RuntimeError: out of order" in failed["d23"]["error_message"]
    assert (result.manifest.counts["ok"], result.manifest.counts["failed"]) == (
        sum(bool(row["mentions"]) for row in rows),
        4,
    )
    failed_numbers = {int(i[1:]) for i in failed}
    (corpus / "a.jsonl").unlink()
    write_jsonl(corpus / "a.jsonl", [t for i, t in enumerate(texts) if i not in failed_numbers])
    run(job(corpus, output=tmp_path / "good"))
    keep = [(row["text"], row["mentions"]) for row in rows if row["status"] != "failed"]
    assert [(row["text"], row["mentions"]) for row in documents(str(tmp_path / "good"))] == keep


@pytest.mark.slow
def test_a_model_that_is_broken_ends_the_job_and_leaves_no_manifest(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", ["Aspirin"] * 8)
    with pytest.raises(ModelError, match="out of order"):
        extract(
            job(corpus, output=tmp_path / "out", batch="b"), generator=Loadable(BrokenEngine, BrokenEngine.fingerprint)
        )
    assert open_committed(str(tmp_path / "out")).manifests == ()
    with BatchLock(Layout.at(str(tmp_path / "out")).batch("b").locks) as lock:
        assert lock.held(), "the lock is released"


def test_nothing_to_do(corpus: Path, tmp_path: Path) -> None:
    (corpus / "a.xml").write_text(pubmed_xml([]))
    result = run(job(corpus, output=tmp_path / "out"))
    assert result.manifest.counts["documents"] == 0
    assert documents(str(tmp_path / "out")) == mentions(str(tmp_path / "out")) == []
    assert run(job(corpus, output=tmp_path / "out")).already_done


def test_two_runs_at_once(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", ["Aspirin"])
    locks = Layout.at(str(tmp_path / "out")).batch("b").locks
    with BatchLock(locks, lease=1.0), pytest.raises(BatchLockedError, match="another run"):
        run(job(corpus, output=tmp_path / "out", batch="b"))
    run(job(corpus, output=tmp_path / "out", batch="b"))


def broken_inputs(corpus: Path) -> dict[str, str]:
    """Inputs that are broken each in its way; what their error must name."""
    articles = pubmed_xml(range(200, 240)).encode()
    (corpus / "truncated.xml.gz").write_bytes(gzip.compress(articles)[:-200])
    (corpus / "checksum.xml").write_bytes(articles)
    (corpus / "checksum.xml.md5").write_text("MD5(checksum.xml)= " + "0" * 32)
    (corpus / "empty.jsonl").write_bytes(b"")
    pq.write_table(pa.table({"id": ["1"], "body": ["Aspirin"]}), corpus / "column.parquet")
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    (corpus / "bomb.xml").write_text(
        pubmed_xml([300]).replace("?>\n", f"?>\n{bomb}\n", 1).replace("Aspirin.", "&b;", 1)
    )
    return {"truncated.xml.gz": "gzip", "checksum.xml": "MD5", "empty.jsonl": "empty", "column.parquet": "text"}


def test_broken_inputs_are_named_and_lose_nothing_else(corpus: Path, tmp_path: Path) -> None:
    expected = broken_inputs(corpus)
    middle = pubmed_xml(range(400, 410)).replace("<ArticleTitle>Study 405", "<ArticleTitle><Study 405")
    (corpus / "middle.xml").write_text(middle)
    huge = pubmed_xml([501, 502]).replace("Study 501", "Study 501 " + "x" * 5_000_000)
    (corpus / "huge.xml").write_text(huge)
    lines = [json.dumps({"id": "g0", "text": "Aspirin"}), "[1, 2]", json.dumps({"id": "g1", "text": "Fever"})]
    (corpus / "lines.jsonl").write_bytes("\n".join(lines).encode() + b'\n{"id": "g2", "text": "\xff\xfe"}\n')
    write_jsonl(corpus / "sound.jsonl", [text(i) for i in range(25)])
    result = run(job(corpus, output=tmp_path / "out"))
    counts = result.manifest.counts
    assert counts["documents"] == sum(counts[s] for s in ("ok", "empty", "rejected", "failed"))
    assert counts["failed"] == 0
    inputs = {Path(i.uri).name: i for i in result.manifest.inputs}
    for name, word in expected.items():
        assert inputs[name].error is not None, name
        assert name in inputs[name].error
        assert word in inputs[name].error
    for name in ("sound.jsonl", "lines.jsonl", "huge.xml"):
        assert inputs[name].error is None, name
    rows = documents(str(tmp_path / "out"))
    ok = {row["source_id"] for row in rows if row["status"] in ("ok", "empty")}
    assert {f"d{i}" for i in range(25)} <= ok
    assert {"g0", "g1", "502"} <= ok
    assert {str(i) for i in range(400, 410)} - ok <= {"405"}
    for row in rows:
        if row["status"] == "rejected":
            assert row["error_class"]
            assert row["error_stage"] == "read"
            assert row["source_file"].rpartition("/")[2] in row["error_message"]


@contextmanager
def http_server(content: bytes, *, failures: int) -> Iterator[tuple[str, list[str]]]:
    """Serves one file; so many requests for its content fail. Gives the URL, and the answers so far."""
    answers: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            if not self.path.endswith("a.jsonl"):
                self.send_error(404)
            elif self.command == "GET" and len(answers) < failures:
                answers.append("failed")
                self.send_error(500)
            else:
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command == "GET":
                    answers.append("served")
                    self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/a.jsonl", answers
        server.shutdown()
        thread.join()


def test_a_read_that_storage_fails_in_passing_is_tried_again(corpus: Path, tmp_path: Path) -> None:
    content = write_jsonl(corpus / "a.jsonl", [text(i) for i in range(10)]).read_bytes()
    with http_server(content, failures=2) as (url, answers):
        result = run(job(url, output=tmp_path / "out"))
    assert answers[:3] == ["failed", "failed", "served"]
    assert result.manifest.counts["documents"] == 10


@pytest.mark.slow
def test_storage_that_goes_on_failing_ends_the_job_and_says_so(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = pytest.raises(JobFailedError, match=r"a\.jsonl: storage failed: 500.*run the same command again")
    with http_server(b"{}", failures=1000) as (url, answers), said:
        run(job(url, output=tmp_path / "out"))
    assert set(answers) == {"failed"}
    assert caplog.text.count("starting again") == MAX_FRUITLESS
    assert open_committed(str(tmp_path / "out")).manifests == ()


@pytest.mark.slow
def test_a_run_that_stands_still_starts_again_by_itself(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_jsonl(corpus / "a.jsonl", [text(i) for i in range(30)])
    config = job(corpus, output=tmp_path / "out", stall_minutes=0.4)
    generator = Loadable(partial(StuckEngine, tmp_path / "mark"), StuckEngine.fingerprint)
    result = extract(config, generator=generator)
    assert "nothing has come through for 0.4 minutes; starting again" in caplog.text
    assert result.manifest.counts["documents"] == len(documents(str(tmp_path / "out"))) == 30


def test_a_model_that_is_long_at_work_is_no_standstill(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_jsonl(corpus / "a.jsonl", [text(0)])
    config = job(corpus, output=tmp_path / "out", stall_minutes=0.3)
    result = run(config, seconds=8.0)  # two sentences, each for two tag sets, in one call
    assert "starting again" not in caplog.text
    assert (result.manifest.counts["documents"], result.manifest.figures["deaths"]) == (1, 0)


def test_what_storage_refuses_is_blamed_on_its_path(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", ["Aspirin"])
    batch = Layout.at(str(tmp_path / "out")).batch("b")
    Path(batch.documents).parent.mkdir(parents=True)
    Path(batch.documents).write_text("a file where the documents should lie")
    with pytest.raises(AccessError, match=r"batches/b/documents"):
        run(job(corpus, output=tmp_path / "out", batch="b"))


def test_what_a_model_lacks_is_not_blamed_on_storage(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", ["Aspirin"])
    generator = Loadable(IncompleteEngine, IncompleteEngine.fingerprint)
    with pytest.raises(ModelError, match=r"a model cannot be loaded: weights\.safetensors"):
        extract(job(corpus, output=tmp_path / "out"), generator=generator)


def test_a_missing_input_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match=r"nothing\.xml"):
        run(job(tmp_path / "nothing.xml", output=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_an_output_without_permission(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", ["Aspirin"])
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(AccessError, match="no permission"):
        run(job(corpus, output=locked / "out"))


def test_an_output_that_cannot_be_a_folder(corpus: Path, tmp_path: Path) -> None:
    write_jsonl(corpus / "a.jsonl", ["Aspirin"])
    (tmp_path / "file").write_text("")
    with pytest.raises(AccessError, match="cannot be written"):
        run(job(corpus, output=tmp_path / "file" / "out"))
