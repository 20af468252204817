"""Copy-speculative decoding against step-by-step decoding, on small random models in float32."""

from typing import Any

import pytest
import torch
from tiny_models import CONFIGS, random_model

from llmner.tagging.answers import mentions_of
from llmner.tagging.attention import IMPLEMENTATION
from llmner.tagging.codec import Codec
from llmner.tagging.engine import TaggingRequest
from llmner.tagging.local_engine import LocalEngine
from llmner.tagging.prompts import Form
from llmner.tagset import EntityType, TagSet

TAG_SET = TagSet(
    "cells",
    "en",
    (
        EntityType("cell_type", "cell_type", "A kind of cell."),
        EntityType("cell_line", "cell_line", "Cells kept in culture."),
        EntityType("DNA", "DNA", "A gene."),
    ),
)
OTHER = TagSet("other", "zh", (EntityType("dis", "疾病", "疾病的名称。"),))
SENTENCES = [
    "Activation of CD28 in the cells.",
    "HeLa",
    "  [3H]thymidine fell by 12.5%;  T-cells died.",
    "心肌梗死，HbA1c。",
    "é́x 🧬 the many words " * 3,
    " ",
    "",
]


@torch.inference_mode()
def step_by_step(model: torch.nn.Module, codec: Codec, request: TaggingRequest) -> tuple[list[int], Any]:
    """Greedy decoding under the grammar: the whole sequence anew for every token, all logits."""
    source = codec.source(request.text)
    cursor = codec.cursor(source, request.tag_set)
    tokens = [*codec.prefix(request.tag_set), *source.tokens, *codec.suffix]
    written = []
    while not cursor.done:
        allowed = cursor.allowed()
        logits = model(torch.tensor([tokens + written])).logits[0, -1, list(allowed)]
        best = int(logits.argmax())
        written.append(allowed[best])
        cursor.advance(allowed[best], float(logits.softmax(0)[best]))
        assert len(written) < 1000
    return written, cursor


@pytest.mark.parametrize(("name", "form"), [*((name, Form()) for name in CONFIGS), ("gemma3", Form(layout="inline"))])
def test_equals_step_by_step_decoding(name, form, tokenizer, monkeypatch):
    """Token for token, with rows that share passes, two tag sets at once, and more sentences than rows."""
    requests = [TaggingRequest(t, s) for t in SENTENCES for s in (TAG_SET, OTHER)]
    model = random_model(name, len(tokenizer), seed=5)
    codec = Codec(tokenizer, form)
    expected = [step_by_step(model, codec, r) if r.text.strip() else ([], None) for r in requests]
    assert sum(len(c.tags) for _, c in expected if c) > 10, "a random model that places no tags shows nothing"
    model.set_attn_implementation(IMPLEMENTATION)
    for draft in (1, 5, 50):
        _check_equal(model, tokenizer, form, requests, expected, draft, monkeypatch)


def _check_equal(model, tokenizer, form, requests, expected, draft, monkeypatch):
    codec = Codec(tokenizer, form)
    written: dict[Any, list[int]] = {}
    kind = type(codec.cursor(codec.source(""), TAG_SET))
    advance = kind.advance
    monkeypatch.setattr(
        kind,
        "advance",
        lambda self, token, probability=1.0: (
            written.setdefault(self, []).append(token),
            advance(self, token, probability),
        ),
    )
    engine = LocalEngine(model, tokenizer, fingerprint={}, form=form, rows=3, draft=draft)
    results = engine.tag(requests)
    monkeypatch.undo()

    for request, result, (tokens, cursor) in zip(requests, results, expected, strict=True):
        assert result.error is None
        if cursor is None:
            assert result.mentions == ()
            continue
        # The tags fix the whole token sequence: between them the grammar leaves only the copy.
        want = mentions_of(cursor.tags, codec.source(request.text), request)
        assert [(m.start, m.end, m.type) for m in result.mentions] == [(m.start, m.end, m.type) for m in want]
        assert [m.score for m in result.mentions] == pytest.approx([m.score for m in want], abs=1e-4)
        assert tokens in written.values()


def test_spans_are_never_blank_and_lie_in_the_text(tokenizer):
    model = random_model("llama", len(tokenizer), seed=2)
    model.set_attn_implementation(IMPLEMENTATION)
    engine = LocalEngine(model, tokenizer, fingerprint={}, rows=4)
    for text, result in zip(SENTENCES, engine.tag([TaggingRequest(t, TAG_SET) for t in SENTENCES]), strict=True):
        for m in result.mentions:
            assert text[m.start : m.end] == text[m.start : m.end].strip() != ""
            assert 0 < m.score <= 1


def test_a_text_beyond_the_window_fails_alone(tokenizer):
    model = random_model("llama", len(tokenizer), seed=2)
    model.config.max_position_embeddings = 600
    model.set_attn_implementation(IMPLEMENTATION)
    engine = LocalEngine(model, tokenizer, fingerprint={}, rows=2)
    short, long = engine.tag([TaggingRequest("HeLa", OTHER), TaggingRequest("word " * 300, OTHER)])
    assert short.error is None
    assert long.error is not None
    assert "600 tokens" in str(long.error)
    assert long.mentions == ()


def test_a_bias_on_opening_finds_more_and_leaves_the_scores_alone(tokenizer):
    """Without a bias the model's own answer; with one more tags, of which the likeliest come in first."""
    model = random_model("gemma3", len(tokenizer), seed=5)
    model.set_attn_implementation(IMPLEMENTATION)
    requests = [TaggingRequest(t, TAG_SET) for t in SENTENCES]
    found = {
        bias: LocalEngine(model, tokenizer, fingerprint={}, rows=3, open_bias=bias).tag(requests)
        for bias in (-100.0, 0.0, 5.0, 100.0)
    }
    plain = LocalEngine(model, tokenizer, fingerprint={}, rows=3).tag(requests)
    assert [r.mentions for r in found[0.0]] == [r.mentions for r in plain]
    counts = [sum(len(r.mentions) for r in found[bias]) for bias in sorted(found)]
    assert counts[0] == 0 < counts[1] < counts[2] < counts[3]
    everywhere = [m for r in found[100.0] for m in r.mentions]
    assert all(r.mentions for r, text in zip(found[100.0], SENTENCES, strict=True) if text.strip())
    assert min(m.score for m in everywhere) < 0.05, "the model's own probability, not the biased one"
