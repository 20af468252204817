"""Corpus-scale biomedical entity extraction with generative language models.

The pipeline reads as one line: ``read -> segment -> tag -> select -> write``. Importing this package is light: what it
offers is imported when it is first used, and torch, ray and vllm by the modules that use them.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmner.api import AnnotatedDocument, Model, NestedMention, load
    from llmner.dataset.snapshot import open_dataset

# The threads of a model sleep while they wait for each other. Where another process uses the same cores, threads that
# spin keep the one that they wait for from running, and all take ten times as long. OpenMP reads this when torch is
# loaded, so it stands here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"

_PLACES = {
    "AnnotatedDocument": "llmner.api",
    "Model": "llmner.api",
    "NestedMention": "llmner.api",
    "load": "llmner.api",
    "open_dataset": "llmner.dataset.snapshot",
}

__all__ = ["AnnotatedDocument", "Model", "NestedMention", "load", "open_dataset"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
