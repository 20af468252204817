"""What a model has written, as mentions: an answer under the grammar token by token, a free one as text.

Invariant: spans are in code points of the request's text; a score is the probability of what marks the span: the
name of its line, its opening and its closing tag.
"""

import math
from collections.abc import Sequence

from llmner.errors import TaggingError
from llmner.mentions import Mention, trimmed
from llmner.tagging.engine import TaggingRequest
from llmner.tagging.grammar import Cursor, Tag
from llmner.tagging.layouts import Layout
from llmner.tagging.markup import parse
from llmner.units import TokenisedText, shown


def mentions_of(tags: Sequence[Tag], source: TokenisedText, request: TaggingRequest) -> tuple[Mention, ...]:
    """Tags in units as mentions in code points, trimmed of white space.

    Args:
        tags: Tagged spans; of equal ones the likelier counts.
        source: The sentence they are in.
        request: The same sentence as text.

    Returns:
        Mentions in order of start, then longest first.
    """
    text = shown(request.text)  # where control characters are white space, too
    found: dict[tuple[int, int, str], Mention] = {}
    for tag in tags:
        start, end = trimmed(text, source.offsets[tag.first], source.offsets[tag.last])
        if start >= end:
            continue
        mention = Mention(start, end, request.tag_set.types[tag.type].name, tag.score)
        key = (start, end, mention.type)
        if key not in found or found[key].score < mention.score:
            found[key] = mention
    return tuple(sorted(found.values(), key=lambda m: (m.start, -m.end, m.type)))


def read_exact(
    tokens: Sequence[int],
    logprobs: Sequence[float],
    source: TokenisedText,
    cursor: Cursor,
    request: TaggingRequest,
) -> tuple[Mention, ...]:
    """Read an answer that was written under the grammar.

    Args:
        tokens: All of it, with the end token.
        logprobs: Of each token, natural, among the tokens that the grammar allowed.
        source: The sentence.
        cursor: At the answer's beginning.
        request: The same sentence as text.

    Raises:
        TaggingError: The answer is not one that the grammar admits.
    """
    for token, logprob in zip(tokens, logprobs, strict=True):
        if cursor.done or token not in cursor.allowed():
            raise TaggingError(f"the engine wrote token {token} where the grammar does not allow it")
        cursor.advance(token, math.exp(logprob))
    if not cursor.done:
        raise TaggingError("the engine ended an answer before its end")
    return mentions_of(cursor.tags, source, request)


def read_free(
    text: str, pieces: Sequence[str], logprobs: Sequence[float], request: TaggingRequest, *, layout: Layout
) -> tuple[Mention, ...]:
    """Read an answer that was written without the grammar; a copy that drifts is repaired where that is certain.

    Args:
        text: All of it.
        pieces: The text of each token. Joined they need not be the text: some tokenizers drop spaces.
        logprobs: Of each token, natural, among the whole vocabulary.
        request: The sentence.
        layout: How the model writes tags.
    """
    probabilities = layout.probabilities(text, pieces, logprobs)
    return parse(text, request.text, request.tag_set, layout=layout, probabilities=probabilities).mentions
