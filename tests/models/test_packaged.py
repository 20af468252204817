"""The embedded base model: prepared once, whole or not at all."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch

from llmner.errors import ModelError
from llmner.models import loading, packaged
from llmner.models.registry import generator_spec
from llmner.models.weights import fetched


@pytest.mark.slow
def test_two_processes_prepare_one_model_that_speaks(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMNER_CACHE", str(tmp_path))
    code = "from llmner.models import packaged; print(packaged.prepare('bfloat16'))"
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    folders = {p.communicate(timeout=280)[0].strip() for p in both}
    assert [p.returncode for p in both] == [0, 0]
    assert len(folders) == 1
    assert folders == {str(folder) for folder in tmp_path.iterdir()}, "something is left beside the model"
    folder = packaged.prepare("bfloat16")
    assert str(folder) in folders
    assert json.loads((folder / "config.json").read_text())["model_type"] == "gemma3_text"

    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = "Metformin [3H] 用于2型糖尿病。\n"
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
    assert len(tokenizer.encode("diabetes mellitus", add_special_tokens=False)) <= 4
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.tensor([[2, *tokenizer.encode("The opposite of hot is", add_special_tokens=False)]])
    assert "cold" in tokenizer.decode(model.generate(ids, max_new_tokens=4, do_sample=False)[0])


def test_missing_or_damaged_packages_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMNER_CACHE", str(tmp_path))
    monkeypatch.setattr(packaged, "_PARTS", ["no-such-package-of-ours"])
    with pytest.raises(ModelError, match="no-such-package-of-ours is not installed") as e:
        packaged.prepare("bfloat16")
    assert "pip install" in str(e.value)
    assert list(tmp_path.iterdir()) == []

    monkeypatch.setattr(packaged, "_PARTS", ["llmner"])  # an installed package without model parts
    assert metadata.version("llmner")
    with pytest.raises(ModelError, match="damaged: sha256"):
        packaged.prepare("bfloat16")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's map of the process")
def test_models_of_one_base_have_the_embedding_in_memory_once():
    dtype, spec = loading.number_type("auto", "cpu"), generator_spec()
    generator, _ = loading.load(spec.base, adapter=spec.adapter, dtype=dtype, device="cpu")
    transformer, _ = loading.load(spec.base, dtype=dtype, device="cpu", headless=True)
    weights = [m.get_input_embeddings().weight for m in (generator, transformer)]
    assert weights[0].data_ptr() != weights[1].data_ptr()
    file = fetched(spec.base, dtype=str(dtype).removeprefix("torch.")) / "model.safetensors"
    assert [mapped_file(w.data_ptr()) for w in weights] == [str(file)] * 2


def mapped_file(address: int) -> str:
    """The file that this process's memory at an address is mapped from; empty where there is none."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        extent, *_, name = line.split(maxsplit=5)
        first, last = (int(end, 16) for end in extent.split("-"))
        if first <= address < last:
            return name.strip()
    return ""
