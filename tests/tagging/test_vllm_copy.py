"""How much the copy drafter drafts, from what was accepted; vLLM itself is not needed for that."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import tiny_models

from llmner.tagging.codec import Codec
from llmner.tagging.prompts import Form
from llmner.tagging.vllm_copy import CopyDrafter
from llmner.tagset import load_tag_set

ROWS = 64


def drafter(folder: Path) -> tuple[CopyDrafter, Codec]:
    tokenizer = tiny_models.byte_tokenizer()
    tokenizer.save_pretrained(folder)
    config = SimpleNamespace(
        model_config=SimpleNamespace(tokenizer=str(folder), tokenizer_revision=None),
        speculative_config=SimpleNamespace(num_speculative_tokens=31),
        device_config=SimpleNamespace(device_type="cuda"),
    )
    return CopyDrafter(config), Codec(tokenizer, Form(layout="inline"))


def propose(made: CopyDrafter, row: list[int], written: list[int]) -> list[int]:
    """The draft for each of many rows that are all alike."""
    rows = np.tile(np.array(row, np.int32), (ROWS, 1))
    drafts = made.propose([written] * ROWS, np.full(ROWS, len(row)), rows)
    assert drafts == [drafts[0]] * ROWS
    return drafts[0]


def lengths(folder: Path, *, agrees: bool) -> tuple[int, int]:
    """What is drafted for a long sentence before and after many short ones, whose drafts end with them."""
    made, codec = drafter(folder)
    tag_set = load_tag_set("bc5cdr")
    prefix, long = codec.prefix(tag_set), codec.source("a" * 200).tokens
    begun = [*prefix, *long, *codec.suffix, long[0]]
    first = len(propose(made, begun, [long[0]]))
    short = codec.source("gout")
    answer = codec.write(short, {}, tag_set)
    for _ in range(40):
        row = [*prefix, *short.tokens, *codec.suffix]
        written, rest = answer[:1], answer[1:]
        while rest:
            row += written
            draft = propose(made, row, written)
            written, rest = (
                ([*draft, *rest[len(draft) :], 0][: len(draft) + 1], rest[len(draft) + 1 :]) if agrees else ([7], [])
            )
        propose(made, [*row, *written], written)
    return first, len(propose(made, begun, [long[0]]))


def test_short_drafts_that_are_accepted_are_no_reason_to_draft_less(tmp_path: Path) -> None:
    before, after = lengths(tmp_path, agrees=True)
    assert after >= before > 1


def test_drafts_that_are_refused_become_shorter(tmp_path: Path) -> None:
    before, after = lengths(tmp_path, agrees=False)
    assert after < before
