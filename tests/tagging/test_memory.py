"""What follows from model and card, by hand."""

from llmner.tagging.memory import Shape, sequences_that_fit

GIB = 1 << 30
VLLM = {"tokens": 1024, "limits": (16, 1024)}


def test_sentences_at_once_follow_from_model_and_card() -> None:
    nine_billion = Shape(cache_bytes=2 * 40 * 2 * 128 * 2, weights=18 * GIB)  # 40 KiB a token
    assert sequences_that_fit(nine_billion, 72 * GIB, **VLLM) == 1024  # 54 GiB at 40 MiB a sentence would hold 1,382
    assert sequences_that_fit(nine_billion, 20 * GIB, **VLLM) == 2 * GIB // (40 * 1024 * 1024)
    assert sequences_that_fit(nine_billion, 18 * GIB, **VLLM) == 16, "vLLM says if even these do not fit"
    unknown = Shape(cache_bytes=nine_billion.cache_bytes, weights=0)
    assert sequences_that_fit(unknown, 40 * GIB, **VLLM) == 20 * GIB // (40 * 1024 * 1024)
