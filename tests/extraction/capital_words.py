"""An engine that needs no model: capitalised words are mentions. As a program it runs a job with it."""

import json
import os
import re
import sys
import time
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import ClassVar

from llmner.config import JobConfig
from llmner.errors import TaggingError
from llmner.extraction.pipeline import Extracted, extract
from llmner.mentions import Mention
from llmner.tagging.engine import TaggingRequest, TaggingResult

WORD = re.compile(r"[A-Z]\w+")


class CapitalWordsEngine:
    """Tags capitalised words with the first type of the tag set, and pairs of them with the last.

    A sentence with ``UNTAGGABLE`` has an error for its result, one with ``BROKEN`` makes the engine raise, and one with
    ``DEADLY`` kills the process. It is as slow as it is told to be.
    """

    fingerprint: ClassVar[dict[str, str]] = {"model": "capital words"}

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.calls = 0

    def tag(self, requests: Sequence[TaggingRequest]) -> list[TaggingResult]:
        self.calls += 1
        time.sleep(self.seconds * len(requests))
        return [self._tag(r) for r in requests]

    def _tag(self, request: TaggingRequest) -> TaggingResult:
        if "DEADLY" in request.text:
            os.kill(os.getpid(), 9)
        if "BROKEN" in request.text:
            raise RuntimeError("out of order")
        if "UNTAGGABLE" in request.text:
            return TaggingResult(error=TaggingError("this cannot be tagged"))
        types = request.tag_set.types
        words = list(WORD.finditer(request.text))
        mentions = [Mention(w.start(), w.end(), types[0].name, 0.123456) for w in words]
        for a, b in pairwise(words):
            if b.start() == a.end() + 1:
                mentions.append(Mention(a.start(), b.end(), types[-1].name, 0.5))
        mentions.sort(key=lambda m: (m.start, -m.end))
        tokens = len(request.text.split())
        return TaggingResult(tuple(mentions), source_tokens=tokens, fed_tokens=tokens)


def run(config: JobConfig, seconds: float = 0.0, **options: object) -> Extracted:
    """Extract with this engine."""
    return extract(config, partial(CapitalWordsEngine, seconds), CapitalWordsEngine.fingerprint, **options)


if __name__ == "__main__":
    run(JobConfig.model_validate(json.loads(sys.argv[1])), float(sys.argv[2]))
