"""Which model is meant: by name, by a file of the user's, by folder, by a repository at a commit."""

import json
from pathlib import Path

import pytest
import tiny_models
import tiny_selector

from llmner.config import JobConfig
from llmner.errors import ConfigError, ModelError
from llmner.extraction.models import generator_of, selection_of
from llmner.models.loading import load_engine
from llmner.models.registry import PROMPT_FILE, adapter_of, base_of, generator_spec, names, selector_of
from llmner.models.spec import GeneratorSpec
from llmner.selection.selector import selector_spec
from llmner.tagging.engine import TaggingRequest
from llmner.tagging.prompts import Form
from llmner.tagset import load_tag_set

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A named model of the user's: a file beside base, adapter and selector."""
    base = tiny_models.save("gemma3", tmp_path / "base")
    tiny_models.save_adapter(base, tmp_path / "adapter", seed=1)
    tiny_selector.save(tmp_path / "base", tmp_path / "selector")
    file = tmp_path / "mine.yaml"
    file.write_text("base: base\nadapter: adapter\nselector: selector\ntag_sets: [bc5cdr]\n")
    return file


@pytest.mark.parametrize("name", ["adapter_model.bin", "tokenizer.model", "vocab.txt", "chat_template.jinja"])
def test_every_file_that_shapes_answers_tells_one_model_from_another(mine: Path, name: str) -> None:
    file = mine.parent / "adapter" / name
    seen = set()
    for content in (b"one", b"another"):
        file.write_bytes(content)
        seen.add(generator_spec(str(mine)).fingerprint()["adapter"])
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("gpus", "decided"), [(0, {("float32", "float32"), ("int8", "bfloat16")}), (1, {("bfloat16", "bfloat16")})]
)
def test_the_number_type_is_decided_where_the_job_starts(mine: Path, gpus: int, decided: set[tuple[str, str]]) -> None:
    workers = {"gpus": gpus}
    job = {"inputs": ["in"], "output": "out", "model": str(mine), "tag": workers, "select": {"mode": "on", **workers}}
    config = JobConfig.model_validate(job)
    selection = selection_of(config)
    assert selection is not None
    assert (generator_of(config).fingerprint["dtype"], selection.selector.fingerprint["dtype"]) in decided


def test_a_file_is_a_model_that_loads(mine: Path) -> None:
    spec = generator_spec(str(mine), open_bias=2.0, dtype="float32")
    assert (spec.base, spec.adapter) == (str(mine.parent / "base"), str(mine.parent / "adapter"))
    engine = load_engine(spec, device="cpu", rows=2)
    assert engine.fingerprint == spec.fingerprint()
    assert spec.fingerprint()["decoding"].endswith("open bias 2")
    assert spec.fingerprint()["dtype"] == "float32"
    [result] = engine.tag([TaggingRequest("the cell", load_tag_set("bc5cdr"))])
    assert result.error is None
    assert selector_spec(str(mine)).folder == selector_of(str(mine)) == str(mine.parent / "selector")
    assert GeneratorSpec.model_validate_json(spec.model_dump_json()) == spec, "it travels as it is"


def test_a_name_stands_for_base_adapter_and_selector(mine: Path) -> None:
    assert "embedded" in names()
    assert base_of("embedded").startswith("package:")
    assert adapter_of(str(mine)) == str(mine.parent / "adapter")
    with_another = generator_spec(str(mine.parent / "base"), adapter=str(mine))
    assert with_another.adapter == str(mine.parent / "adapter")
    mine.write_text("base: base\n")
    assert generator_spec(str(mine)).adapter is None
    with pytest.raises(ConfigError, match="has no selector"):
        selector_of(str(mine))


def test_the_form_is_the_adapters_or_the_files(mine: Path) -> None:
    (mine.parent / "adapter" / PROMPT_FILE).write_text(json.dumps({"definitions": False, "layout": "inline"}))
    inline = generator_spec(str(mine))
    assert inline.form == Form(definitions=False, layout="inline")
    mine.write_text("base: base\nform: {layout: inline}\n")
    assert generator_spec(str(mine)).form == Form(layout="inline")
    assert inline.fingerprint()["prompt"] != generator_spec(str(mine)).fingerprint()["prompt"]
    other = tiny_models.save_adapter(str(mine.parent / "base"), mine.parent / "other", seed=2)
    with pytest.raises(ModelError, match="trained on different prompts"):
        generator_spec(str(mine.parent / "base"), adapters={"zh": other, "en": str(mine.parent / "adapter")})
    (mine.parent / "adapter" / PROMPT_FILE).write_text("{")
    with pytest.raises(ModelError, match=r"prompt\.json: does not say how"):
        generator_spec(str(mine.parent / "base"), adapter=str(mine.parent / "adapter"))


@pytest.mark.parametrize(
    ("content", "said"), [("base: [a]\n", "base: "), ("adapter: a\n", "base: Field required"), ("name: x\n", "name")]
)
def test_a_file_that_is_no_model_is_told(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(ConfigError, match=said):
        generator_spec(str(tmp_path / "mine.yaml"))


def test_a_repository_is_pinned_at_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the Hub's cache has it on a machine without a network."""
    repository = tmp_path / "models--org--name"
    tiny_models.save("llama", repository / "snapshots" / COMMIT)
    for revision in ("main", "v1"):
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / revision).write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for reference in ("org/name", "org/name@v1", f"org/name@{COMMIT}"):
        spec = generator_spec(reference, dtype="float32")
        assert spec.base == spec.fingerprint()["base"] == f"org/name@{COMMIT}"
    (repository / "refs" / "main").write_text("f" * 40)  # the branch moves on, the specification does not
    assert load_engine(spec, device="cpu").fingerprint["base"] == f"org/name@{COMMIT}"
    for unknown in ("org/nothing", "org/name@v2", str(tmp_path / "nowhere")):
        with pytest.raises(ModelError, match="neither a folder, nor a repository"):
            generator_spec(unknown)
