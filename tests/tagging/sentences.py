"""Sentences, and a tokenizer and vocabulary for them, as property tests of several modules need them."""

from hypothesis import strategies as st

from llmner.annotations import AnnotatedSentence
from llmner.mentions import Mention
from llmner.tagging.inline import InlineVocabulary
from llmner.tagging.lines import LinesVocabulary
from llmner.units import UnitTokeniser

TEXTS = st.text(
    alphabet=st.one_of(st.characters(codec="utf-8"), st.sampled_from("[] \n\tab1é\u0301细胞🧬.")), max_size=40
)
# Two tokens a character, so that boundaries inside units exist; all of them above the special tokens.
TOKENISER = UnitTokeniser(lambda text: [t for c in text for t in (100 + ord(c), 50)])
VOCABULARY = LinesVocabulary(heads=((10, 11), (10, 12), (13,)), open=1, close=2, newline=3, end=4)
INLINE_VOCABULARY = InlineVocabulary(types=((10, 11, 2), (10, 2), (13, 2)), open=1, bar=3, end=4)


@st.composite
def annotated(draw, types):
    """Sentences with mentions of these types anywhere, crossing ones and repeated ones among them."""
    text = draw(TEXTS)
    places = st.integers(0, len(text))
    spans = draw(st.lists(st.tuples(places, places, st.sampled_from(types)), max_size=8))
    return AnnotatedSentence(text, tuple(Mention(a, b, t) for a, b, t in spans if a < b))
