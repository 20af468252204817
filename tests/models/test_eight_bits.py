"""Linear layers in 8 bits: close to the products of floats, a token's never changed by another's."""

import pytest
import torch
from torch import nn

from llmner.config import JobConfig
from llmner.errors import ConfigError, ModelError
from llmner.models.eight_bits import to_eight_bits
from llmner.models.loading import decided_number_type, load_engine
from llmner.models.registry import generator_spec
from llmner.settings import validated
from llmner.tagging.engine import TaggingRequest
from llmner.tagset import load_tag_set

WIDTH, OUT = 64, 48


@pytest.fixture
def layers() -> tuple[nn.Module, nn.Module]:
    """Two layers beside each other, as floats and in 8 bits."""
    torch.manual_seed(1)
    floats, bits = (nn.ModuleList(nn.Linear(WIDTH, OUT, bias=False) for _ in range(2)) for _ in range(2))
    bits.load_state_dict(floats.state_dict())
    to_eight_bits(bits)
    return floats, bits


@torch.inference_mode()
def test_products_are_close_whatever_the_size_of_a_token(layers):
    floats, bits = layers
    x = torch.randn(1, 20, WIDTH) * torch.logspace(-3, 3, 20)[:, None]
    for ours, theirs in zip(bits, floats, strict=True):
        right = theirs(x)
        assert ((ours(x) - right).norm(dim=-1) / right.norm(dim=-1)).max() < 0.02


@torch.inference_mode()
def test_a_token_is_computed_the_same_beside_others_and_alone(layers):
    bits = layers[1][0]
    x = torch.randn(1, 20, WIDTH)
    x[0, 3] *= 1000
    together = bits(x)
    assert all(torch.equal(bits(x[:, i : i + 1]), together[:, i : i + 1]) for i in range(20))


@torch.inference_mode()
def test_layers_that_share_what_they_are_fed_see_what_is_new(layers):
    floats, bits = layers
    for _ in range(3):
        x = torch.randn(1, 5, WIDTH)
        assert all(torch.allclose(bits[i](x), floats[i](x), atol=0.05) for i in range(2))


@torch.inference_mode()
def test_tokens_of_zeros_stay_zero(layers):
    assert not layers[1][0](torch.zeros(1, 3, WIDTH)).any()


def test_the_embedded_model_finds_the_same_in_eight_bits():
    request = TaggingRequest("Naloxone reverses the antihypertensive effect of clonidine.", load_tag_set("bc5cdr"))
    bfloat16, int8 = (load_engine(generator_spec("embedded", dtype=d)).tag([request])[0] for d in ("bfloat16", "int8"))
    assert [(m.start, m.end, m.type) for m in int8.mentions] == [(m.start, m.end, m.type) for m in bfloat16.mentions]
    assert int8.mentions


def test_only_the_local_engine_on_a_cpu_computes_so():
    with pytest.raises(ConfigError, match="needs engine: local"):
        validated(JobConfig, {"inputs": ["in"], "output": "out", "dtype": "int8", "engine": "vllm"}, "job")
    assert decided_number_type("int8", gpu=False, integers=False) == "int8"
    assert decided_number_type("auto", gpu=True, integers=True) == "bfloat16"
    with pytest.raises(ModelError, match="CPUs alone"):
        decided_number_type("int8", gpu=True, integers=True)
