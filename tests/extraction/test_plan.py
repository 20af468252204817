"""What a run will take: counted on a sample, measured on a model, and the rest follows."""

import gzip
import json
import random
from pathlib import Path

import pytest
import tiny_models
from typer.testing import CliRunner

from llmner.cli import app
from llmner.config import JobConfig
from llmner.extraction.estimate import estimate
from llmner.extraction.rates import Rate, measure, recall, remember
from llmner.extraction.sampling import Sample, take_sample
from llmner.sources.files import find_files

SENTENCE = "Aspirin lowers fever. "
RATE = Rate(
    measured="today",
    tokens_per_second=100.0,
    tokens_per_character={"en": 0.5},
    load_seconds=21.0,
    memory=10**9,
    bytes_per_character=2.0,
)


def write(path: Path, documents: int, rng: random.Random) -> None:
    """Documents of which no two compress each other away."""
    lines = (
        json.dumps({"id": f"{path.name}-{i}", "text": SENTENCE * 2 + "".join(rng.choices("abcdefghij ", k=600)) + "."})
        for i in range(documents)
    )
    path.write_bytes(gzip.compress("\n".join(lines).encode()))


def job(corpus: Path, **more: object) -> JobConfig:
    return JobConfig.model_validate({"inputs": [str(corpus)], "output": "unused", **more})


def sample_of(config: JobConfig) -> Sample:
    return take_sample(find_files(config.inputs, config.format), config)


def test_small_inputs_are_counted_whole(corpus: Path) -> None:
    lines = [{"id": "1", "text": SENTENCE * 3}, {"id": "2", "text": "阿司匹林可以退热。"}, {"id": "3"}]
    (corpus / "a.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    sample = sample_of(job(corpus, tag_sets={"en": ["bc5cdr", "genia"], "zh": ["cmeee_v2"]}))
    assert (sample.read, sample.documents, sample.rejected) == (sample.size, 3, 1)
    assert sample.sentences == 3 * 2 + 1
    assert sample.characters == {"en": 2 * 3 * len(SENTENCE.strip()), "zh": 9}


def test_large_inputs_are_judged_by_their_first_documents(corpus: Path) -> None:
    rng = random.Random(3)
    for i in range(3):
        write(corpus / f"{i}.jsonl.gz", 6000, rng)
    sample = sample_of(job(corpus))
    assert sample.read < sample.size / 1.5
    assert sample.documents == pytest.approx(18_000, rel=0.05)
    assert len(sample.rows) == 600


def test_a_limit_is_counted_itself(corpus: Path) -> None:
    texts = ["Short."] * 6 + ["It is longer here. And there are more of them."] * 300
    (corpus / "a.jsonl").write_text("\n".join(json.dumps({"id": str(i), "text": t}) for i, t in enumerate(texts)))
    sample = sample_of(job(corpus, limit=5, tag_sets={"en": ["bc5cdr"]}))
    assert (sample.documents, sample.sentences, len(sample.rows)) == (5, 5, 5)


def test_kinds_of_files_are_judged_apart(corpus: Path) -> None:
    for i in range(40):
        (corpus / f"{i}.txt").write_text("A long text. " * 5000)
    write(corpus / "a.jsonl.gz", 300, random.Random(3))
    assert sample_of(job(corpus)).documents == pytest.approx(340)


def test_figures_follow_from_sample_and_rate(corpus: Path) -> None:
    sample = Sample(files=2, size=100, read=100, documents=3000, sentences=6000, texts=1e6)
    sample.characters["en"] = 1_440_000
    config = job(corpus, tag={"actors": [1, 4]}, documents_per_file=1000)
    planned = estimate(sample, config, RATE)
    assert (planned.documents, planned.tokens, planned.workers) == (3000, 720_000, 4)
    assert planned.worker_hours == pytest.approx(2.0 / 0.87)
    assert planned.hours == pytest.approx(2.0 / 0.87 / 4 + 0.01)
    assert (planned.output, planned.objects) == (2_000_000, 2 * 3 + 3)
    half = estimate(sample, job(corpus, limit=1500), None)
    assert (half.documents, half.tokens, half.hours) == (1500, 180_000, None)


def test_a_rate_is_measured_and_remembered(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMNER_CACHE", str(tmp_path / "cache"))
    write(corpus / "a.jsonl.gz", 4, random.Random(3))
    model = tiny_models.save("llama", tmp_path / "model")
    config = job(corpus, model=model, tag_sets={"en": ["bc5cdr"]})
    assert recall(config) is None
    rate = measure(sample_of(config).rows, config, seconds=60)
    assert rate.tokens_per_second > 0
    assert 0.2 < rate.tokens_per_character["en"] <= 1.5, "a byte tokenizer"
    assert rate.bytes_per_character > 0.1
    remember(rate, config)
    assert recall(config) == rate
    assert recall(job(corpus, model=model, tag_sets={"en": ["genia"]})) is None
    remember(RATE, job(corpus))
    shown = CliRunner().invoke(app, ["plan", str(corpus), "--price", "3"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    output = " ".join(shown.output.split())
    assert "documents │ 4" in output
    assert "100 source tokens/s, measured today" in output
    assert "at 3 an hour of a worker" in output
