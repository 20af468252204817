"""Jobs from YAML."""

import json
from pathlib import Path

import pytest

from llmner.config import JobConfig, load_config, tag_sets_by_language
from llmner.errors import ConfigError

BASE = {"inputs": ["a.xml"], "output": "out"}


def write(folder: Path, text: str) -> Path:
    path = folder / "job.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_options_override_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "inputs: [x.jsonl]\noutput: there\ntag: {actors: [2, 8], gpus: 1}\n")
    config = load_config(path, {"output": "here", "limit": 5})
    assert (config.inputs, config.output, config.limit) == (("x.jsonl",), "here", 5)
    assert config.tag.actors == (2, 8)
    assert config.model == "embedded"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("inputs: [a]\noutput: o\nbatchsize: 3\n", "batchsize"),
        ("inputs: [a]\noutput: o\ntag: {actor: 3}\n", r"tag\.actor"),
        ("inputs: [a]\noutput: o\ntag: {actors: [4, 2]}\n", "the least number comes first"),
        ("inputs: [a]\noutput: o\nlimit: 0\n", "limit"),
        ("inputs: []\noutput: o\n", "inputs"),
        ("inputs: [a]\n", "output"),
        ("inputs: [a]\noutput: o\nbatch: ../x\n", "batch"),
        ("- a\n- b\n", "mapping"),
        ("inputs: [a\n", "not YAML"),
    ],
)
def test_errors_name_file_and_key(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named) as e:
        load_config(write(tmp_path, text), {})
    assert "job.yaml" in str(e.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml", {})


def test_a_tag_set_under_the_wrong_language() -> None:
    with pytest.raises(ConfigError, match="cmeee_v2 is for zh"):
        load_config(None, {**BASE, "tag_sets": {"en": ["cmeee_v2"]}}).load_tag_sets()


def test_tag_sets_sort_themselves_by_language() -> None:
    assert tag_sets_by_language(("genia", "cmeee_v2", "bc5cdr")) == {"en": ("genia", "bc5cdr"), "zh": ("cmeee_v2",)}
    with pytest.raises(ConfigError, match="no tag set 'nonesuch'"):
        tag_sets_by_language(("nonesuch",))


def test_the_sample_job_is_valid() -> None:
    sample = Path(__file__).resolve().parents[1] / "configs" / "jobs" / "sample.yaml"
    assert load_config(sample, {}).load_tag_sets().keys() == {"en", "zh"}


def test_what_only_vllm_can_do_asks_for_it() -> None:
    base = BASE
    JobConfig.model_validate(base | {"engine": "vllm", "adapters": {"zh": "a"}, "tag": {"calls": 4, "gpus": 0.5}})
    for more in ({"adapters": {"zh": "a"}}, {"tag": {"calls": 2}}):
        with pytest.raises(ValueError, match="engine: vllm"):
            JobConfig.model_validate(base | more)
    spread = base | {"engine": "vllm", "vllm": {"tensor_parallel": 2}}
    JobConfig.model_validate(spread | {"tag": {"gpus": 2}})
    with pytest.raises(ValueError, match="tensor_parallel"):
        JobConfig.model_validate(spread | {"tag": {"gpus": 1}})
    biased = base | {"engine": "vllm", "open_bias": 1.0}
    JobConfig.model_validate(biased | {"vllm": {"draft": 0}})
    with pytest.raises(ValueError, match="draft"):
        JobConfig.model_validate(biased)


def test_the_words_on_and_off_of_yaml(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    for word, mode in (("on", "on"), ("off", "off"), ("score-only", "score-only")):
        file.write_text(f"inputs: [a]\noutput: b\nselect: {{mode: {word}}}\n")
        assert load_config(file, {}).select.mode == mode
    assert json.loads(load_config(file, {}).model_dump_json())["select"]["threshold"] is None
