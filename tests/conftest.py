"""What tests in several folders share; tiny_models.py lies beside it."""

import pytest
import tiny_models
from transformers import PreTrainedTokenizerFast


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer for the tiny models."""
    return tiny_models.byte_tokenizer()
