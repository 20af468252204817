"""The losses against their definitions, term by term."""

import numpy as np
import pytest
import tiny_models
import torch

from llmner.tagging.attention import IMPLEMENTATION
from llmner.tagging.codec import Codec
from llmner.tagset import EntityType, TagSet
from llmner.training.corpus import collate, example
from llmner.training.losses import GeneratorLoss, constrained_loss, full_loss

TAG_SET = TagSet("t", "en", (EntityType("a", "a", "An A."), EntityType("b", "b", "A B.")))


@pytest.mark.parametrize("softcap", [None, 2.0])
def test_constrained_loss_is_cross_entropy_over_the_allowed_tokens(softcap):
    torch.manual_seed(0)
    hidden, embedding = torch.randn(3, 5), torch.randn(11, 5)
    allowed = [(4, 7), (1, 2, 3), (9, 4)]
    chosen = [1, 0, 0]
    expected = 0.0
    for h, tokens, c in zip(hidden, allowed, chosen, strict=True):
        logits = embedding[list(tokens)] @ h
        logits = torch.tanh(logits / softcap) * softcap if softcap else logits
        expected -= float(logits.log_softmax(0)[c])
    words = [1, 2, 3, 4, 7, 9]
    columns = torch.tensor([[3, 4, -1], [0, 1, 2], [5, 3, -1]])
    for mixed in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            loss = constrained_loss(hidden, embedding[words], columns, torch.tensor(chosen), softcap)
        assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_full_loss_is_cross_entropy_over_the_vocabulary():
    torch.manual_seed(0)
    hidden, embedding = torch.randn(1100, 5, requires_grad=True), torch.randn(11, 5)
    answers = torch.randint(11, (1100,))
    expected = torch.nn.functional.cross_entropy(hidden @ embedding.T, answers, reduction="sum")
    loss = full_loss(hidden, embedding, answers)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(loss, hidden), torch.autograd.grad(expected, hidden))


@pytest.mark.parametrize("name", tiny_models.CONFIGS)
@pytest.mark.parametrize("kind", ["constrained", "full"])
def test_a_packed_batch_has_the_loss_of_its_sentences_one_by_one(name, kind, tokenizer):
    """The whole model on each sentence alone, all logits, against one packed pass; gradients, too."""
    from peft import LoraConfig, get_peft_model

    model = tiny_models.random_model(name, len(tokenizer), seed=5)
    model = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False))
    codec = Codec(tokenizer)
    sentences = [
        ("the cell died in the end", {0: [(1, 2)]}),
        ("T", {}),
        ("心肌梗死，HbA1c。", {0: [(0, 2)], 1: [(5, 6)]}),
    ]
    examples = []
    for text, spans in sentences:
        source = codec.source(text)
        target, cursor = codec.write(source, spans, TAG_SET), codec.cursor(source, TAG_SET)
        examples.append(example("t", [*source.tokens, *codec.suffix], target, cursor))
    prefix = codec.prefix(TAG_SET)
    each = [_alone(model, e, prefix, kind) / len(examples) for e in examples]
    expected = sum(each)
    wanted = torch.autograd.grad(expected, [p for p in model.parameters() if p.requires_grad])

    model.get_base_model().set_attn_implementation(IMPLEMENTATION)
    packed = GeneratorLoss(model, kind, len(examples))
    loss = packed(_batch(examples, prefix))
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-4)
    got = torch.autograd.grad(loss, [p for p in model.parameters() if p.requires_grad])
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)

    # A sentence weighs as much where it is the only one of its batch.
    torch.testing.assert_close(packed(_batch(examples[:1], prefix)), each[0], rtol=1e-4, atol=1e-4)


def _batch(examples, prefix):
    return {k: torch.from_numpy(v) if hasattr(v, "shape") else v for k, v in collate(examples, prefix).items()}


def _alone(model, e, prefix, kind):
    logits = model(torch.tensor([[*prefix, *e.tokens[:-1]]])).logits[0, len(prefix) :]
    if kind == "full":
        answers = torch.from_numpy(e.tokens[e.answer :].astype(np.int64))
        return torch.nn.functional.cross_entropy(logits[e.answer - 1 :], answers, reduction="sum")
    total = torch.zeros(())
    bounds = np.cumsum([0, *e.counts]).tolist()
    for place, chosen, a, b in zip(e.places, e.chosen, bounds, bounds[1:], strict=False):
        total = total - logits[place, e.allowed[a:b].tolist()].log_softmax(0)[chosen]
    return total
