"""What an engine is: something that tags sentences. Requests go in, results come out in the same order.

Invariant: one result a request; a request that cannot be tagged has a result with an error, it never raises
and never loses its neighbours. An engine that is broken itself raises, so that its worker is restarted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from llmner.errors import LlmnerError
from llmner.mentions import Mention
from llmner.tagset import TagSet


@dataclass(frozen=True, slots=True)
class TaggingRequest:
    """A sentence to tag with the types of one tag set."""

    text: str
    tag_set: TagSet


@dataclass(frozen=True, slots=True)
class TaggingResult:
    """What the engine made of a request.

    Attributes:
        mentions: Spans in code points of the request's text, in order of start, then longest first.
        source_tokens: Tokens of the sentence itself.
        fed_tokens: Tokens the model was fed for it, kept prompt prefix not counted.
        error: Why there is no answer; then there are no mentions.
    """

    mentions: tuple[Mention, ...] = ()
    source_tokens: int = 0
    fed_tokens: int = 0
    error: LlmnerError | None = None


class Engine(Protocol):
    """Tags sentences."""

    @property
    def fingerprint(self) -> dict[str, str]:
        """What shapes its answers: digests of model, adapter and prompt, and the decoding settings."""
        ...

    def tag(self, requests: Sequence[TaggingRequest]) -> list[TaggingResult]:
        """Tag sentences, as many at once as fit; results in the order of the requests."""
        ...
