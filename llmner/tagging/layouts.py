"""The layouts of a tagged text: how a model is told to write tags, and how what it writes is read.

Invariant: a layout is one object; nothing outside of it asks which one it is.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from llmner.tagging.grammar import Encode, Vocabulary
from llmner.tagging.inline import Inline
from llmner.tagging.lines import Lines

LayoutName = Literal["lines", "inline"]


class Layout(Protocol):
    """A way to write tags into a copied sentence."""

    @property
    def one_line(self) -> bool:
        """Whether mentions of all types share a line, so that none may cross another."""
        ...

    @property
    def instructions(self) -> Mapping[str, str]:
        """What a model is told to do, by language."""
        ...

    def sentence(self, text: str) -> str:
        """Return a sentence as it stands in prompt and answer, of the same length."""
        ...

    def around(self, label: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return what tells the type of a single mention: before its line, and between it and its closing bracket."""
        ...

    def vocabulary(self, labels: Sequence[str], encode: Encode, end: int) -> Vocabulary:
        """Return the tokens of a tag set with these labels.

        Args:
            labels: Labels of the types, in order.
            encode: Token ids of a string.
            end: The token that ends an answer.

        Raises:
            ModelError: A tag is not a single token, or two labels cannot be told apart by their tokens.
        """
        ...

    def begin(self, line: str) -> tuple[str | None, int] | None:
        """Find the label of a line of an answer and where its copy begins.

        Returns:
            No label where each mention has its own; nothing at all where the line should have one and has none.
        """
        ...

    def probabilities(self, text: str, pieces: Sequence[str], logprobs: Sequence[float]) -> list[float]:
        """Find for each character of an answer that marks a mention the probability of that mark; 1 for all others.

        Args:
            text: The answer.
            pieces: The text of each token. Joined they need not be the text: some tokenizers drop spaces.
            logprobs: Of each token, natural.
        """
        ...


LAYOUTS: Mapping[LayoutName, Layout] = {"lines": Lines(), "inline": Inline()}
