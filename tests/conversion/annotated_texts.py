"""Texts with mentions, for writing them in each format and reading them back."""

from hypothesis import strategies as st

from llmner.mentions import Mention

TYPES = ["Disease", "Chemical", "Gene_or_product"]
# No tabs and line ends, which the line formats cannot hold; Greek, Han and a character outside the first plane.
WORDS = st.text("abcXYZ019-.()αβ病毒🧬", min_size=1, max_size=8)
LINES = st.lists(WORDS, min_size=1, max_size=12).map(" ".join)


@st.composite
def mentions(draw: st.DrawFn, text: str) -> tuple[Mention, ...]:
    """Mentions of a text, nested and crossing ones too, without white space at their ends."""
    found = set()
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, min(len(text), start + 20)))
        if text[start:end] == text[start:end].strip():
            found.add(Mention(start, end, draw(st.sampled_from(TYPES))))
    return tuple(sorted(found))


@st.composite
def annotated(draw: st.DrawFn) -> tuple[str, tuple[Mention, ...]]:
    """A text of one line and its mentions."""
    text = draw(LINES)
    return text, draw(mentions(text))
