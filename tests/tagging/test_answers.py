"""Answers as mentions with scores, written under the grammar and freely."""

import math

import pytest
from sentences import TOKENISER, VOCABULARY

from llmner.errors import TaggingError
from llmner.mentions import Mention
from llmner.tagging.answers import read_exact, read_free
from llmner.tagging.engine import TaggingRequest
from llmner.tagging.layouts import LAYOUTS
from llmner.tagset import EntityType, TagSet

TAG_SET = TagSet("t", "en", tuple(EntityType(n, n, "d") for n in ("aa", "ab", "b")))
REQUEST = TaggingRequest("p53 binds", TAG_SET)
SOURCE = TOKENISER(REQUEST.text)


def test_an_exact_answer_gives_the_product_of_its_tags() -> None:
    tokens = VOCABULARY.write(SOURCE, {1: [(0, 2)]})
    logprobs = [0.0] * len(tokens)
    for place, probability in ((0, 0.5), (tokens.index(1), 0.8), (tokens.index(2), 0.9)):
        logprobs[place] = math.log(probability)
    [mention] = read_exact(tokens, logprobs, SOURCE, VOCABULARY.cursor(SOURCE), REQUEST)
    assert (mention.start, mention.end, mention.type, mention.match) == (0, 3, "ab", "exact")
    assert mention.score == pytest.approx(0.5 * 0.8 * 0.9)


@pytest.mark.parametrize("tokens", [[99], [4, 4], [10, 11]])
def test_what_the_grammar_does_not_admit_is_an_error(tokens: list[int]) -> None:
    with pytest.raises(TaggingError):
        read_exact(tokens, [0.0] * len(tokens), SOURCE, VOCABULARY.cursor(SOURCE), REQUEST)


def test_a_free_answer_gives_the_product_of_its_tags() -> None:
    pieces = ["aa", ":", " [", "p", "53", "]", " binds", "\n", "b", ":", " p53", "[ ", "bonds", "]", "\n"]
    probabilities = [0.5, 1, 0.8, 1, 0.1, 0.9, 1, 1, 0.7, 1, 1, 0.6, 1, 0.5, 1]
    mentions = read_free(
        "".join(pieces), pieces, [math.log(p) for p in probabilities], REQUEST, layout=LAYOUTS["lines"]
    )
    assert mentions[0] == Mention(0, 3, "aa", pytest.approx(0.5 * 0.8 * 0.9))
    assert len(mentions) == 1, "bonds is not in the text"


def test_pieces_that_do_not_join_to_the_text_still_give_scores() -> None:
    [mention] = read_free(
        "aa: [p53] binds",
        ["aa", ":", "[", "p53", "]", "binds"],
        [0, 0, math.log(0.5), 0, 0, 0],
        REQUEST,
        layout=LAYOUTS["lines"],
    )
    assert mention.score == pytest.approx(0.5)


def test_a_free_answer_in_one_line_gives_the_product_of_its_tags() -> None:
    pieces = ["[", "p", "53", "|", "a", "b", "]", " b", "[inds", "|aa", "]", "[", "]"]
    probabilities = [0.8, 0.1, 0.1, 0.9, 0.5, 0.6, 0.7, 1, 0.4, 0.5, 0.5, 1, 1]
    [first, second] = read_free(
        "".join(pieces), pieces, [math.log(p) for p in probabilities], REQUEST, layout=LAYOUTS["inline"]
    )
    assert first == Mention(0, 3, "ab", pytest.approx(0.8 * 0.9 * 0.5 * 0.6 * 0.7))
    assert second == Mention(5, 9, "aa", pytest.approx(0.4 * 0.5 * 0.5))
