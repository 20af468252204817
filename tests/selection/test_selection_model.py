"""The network judges each candidate as if it stood alone, on decoders and encoders."""

import pytest
import tiny_models
import torch
from transformers import BertConfig, BertModel

from llmner.selection.candidates import SheetCodec
from llmner.selection.model import SelectorModel, packed
from llmner.selection.samples import UnitSpan
from llmner.tagging.attention import IMPLEMENTATION
from llmner.tagging.prompts import Form
from llmner.tagset import EntityType, TagSet

TAG_SET = TagSet("t", "en", (EntityType("cell", "cell", "A kind of cell."), EntityType("gene", "gene", "A gene.")))
TEXTS = [
    "Activation of CD28 in the T-cells.",
    "心肌梗死，HbA1c。",
    "the many cells, the many words, the many cells again",
]


def transformer(name: str, vocabulary: int, seed: int = 4):
    if name == "bert":
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=vocabulary, hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
            max_position_embeddings=600, initializer_range=0.3,
        )  # fmt: skip
        return BertModel(config, add_pooling_layer=False).eval()
    return tiny_models.random_model(name, vocabulary, seed=seed).get_decoder()


def model_of(name: str, vocabulary: int) -> SelectorModel:
    model = SelectorModel(transformer(name, vocabulary), 48)
    model.transformer.set_attn_implementation(IMPLEMENTATION)
    torch.nn.init.normal_(model.head.weight)
    return model.eval()


def sheets_of(codec: SheetCodec):
    sheets = []
    for i, text in enumerate(TEXTS):
        source = codec.source(text)
        units = len(source.blank)
        spans = [UnitSpan(a, b, (a + b) % 2) for a in range(0, units, 2) for b in (a + 1, min(a + 3, units)) if b > a]
        sheets.append(codec.sheet(source, TAG_SET, spans[: 3 + 2 * i]))
    return sheets


@pytest.mark.parametrize("name", [*tiny_models.CONFIGS, "bert"])
@torch.inference_mode()
def test_each_candidate_is_judged_as_if_alone(name, tokenizer):
    codec = SheetCodec(tokenizer)
    sheets, prefix = sheets_of(codec), codec.prefix(TAG_SET)
    model = model_of(name, len(tokenizer))
    together = model(prefix, sheets)
    assert together.std() > 0.1, "a model that judges all alike shows nothing"
    alone = torch.cat([model(prefix, [type(s)(s.sentence, (b,))]) for s in sheets for b in s.branches])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", [*tiny_models.CONFIGS])
@torch.inference_mode()
def test_a_decoder_reads_prompt_sentence_and_candidate_as_one_text(name, tokenizer):
    codec = SheetCodec(tokenizer)
    sheets, prefix = sheets_of(codec), codec.prefix(TAG_SET)
    model = model_of(name, len(tokenizer))
    judged = iter(model(prefix, sheets))
    plain = transformer(name, len(tokenizer))
    for sheet in sheets:
        for branch in sheet.branches:
            hidden = plain(input_ids=torch.tensor([[*prefix, *sheet.sentence, *branch]])).last_hidden_state[0, -1]
            torch.testing.assert_close(model.head(hidden)[0], next(judged), rtol=1e-3, atol=1e-3)


def test_gradients_reach_every_layer(tokenizer):
    codec = SheetCodec(tokenizer)
    model = model_of("gemma3", len(tokenizer)).train()
    model(codec.prefix(TAG_SET), sheets_of(codec)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_a_candidate_is_shown_as_a_piece_of_the_tagged_text(tokenizer):
    codec = SheetCodec(tokenizer)
    source = codec.source("Activation of CD28 in the T-cells.")
    sheet = codec.sheet(source, TAG_SET, [UnitSpan(2, 4, 1), UnitSpan(0, 1, 0), UnitSpan(8, 9, 0)])
    assert tokenizer.decode(sheet.sentence).endswith("T-cells.\nTags:\n")
    assert [tokenizer.decode(b) for b in sheet.branches] == [
        "gene: Activation of[ CD28] in the\n",
        "cell: [Activation] of CD\n",
        "cell:  T-[cells].\n",
    ]
    assert sheet.size == len(sheet.sentence) + sum(map(len, sheet.branches))


def test_a_candidate_of_typed_brackets_is_shown_in_them(tokenizer):
    codec = SheetCodec(tokenizer, Form(layout="inline"))
    source = codec.source("CD28|CD3 in cells.")
    sheet = codec.sheet(source, TAG_SET, [UnitSpan(3, 5, 1)])
    assert "[mention|type]" in tokenizer.decode(codec.prefix(TAG_SET))
    assert [tokenizer.decode(b) for b in sheet.branches] == ["28\u00a6[CD3|gene] in cells\n"]


def test_packed_holds_every_sheet_once(tokenizer):
    sheets = sheets_of(SheetCodec(tokenizer)) * 4
    batches = list(packed(sheets, tokens=300))
    assert sorted(i for b in batches for i in b) == list(range(len(sheets)))
    assert len(batches) > 1
    assert all(len(b) == 1 or sum(sheets[i].size for i in b) <= 300 for b in batches)
