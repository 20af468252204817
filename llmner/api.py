"""The Python API: load a model, annotate texts, look at what it found.

    >>> import llmner
    >>> model = llmner.load("embedded")
    >>> doc = model.annotate("Naloxone reverses the effect of clonidine.", tag_set="bc5cdr")
    >>> [(m.text, m.type) for m in doc.mentions]
    [('Naloxone', 'Chemical'), ('clonidine', 'Chemical')]

Invariant: a text gives what it gives in an extraction with the same model; one that fails has an error and no mentions,
and its neighbours lose nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from rich.progress import track
from rich.text import Text

from llmner.annotator import Annotator
from llmner.config import NumberType
from llmner.documents import Document
from llmner.errors import ConfigError
from llmner.models.loading import load_engine
from llmner.models.registry import DEFAULT, generator_spec
from llmner.report.highlight import highlight
from llmner.report.terminal import bracketed
from llmner.selection.competition import Rules
from llmner.selection.loading import load_selector
from llmner.selection.selector import Selector, fitted_open_bias, own_selector, read_settings, selector_spec
from llmner.tagging.engine import Engine
from llmner.tagset import TagSet, load_tag_set

_TOGETHER = 32  # texts that the model is given at once


@dataclass(frozen=True, slots=True)
class NestedMention:
    """A typed span of a text.

    Attributes:
        text: Its words.
        start: First code point in the document's text, 0-based.
        end: One past the last code point.
        type: Entity type.
        score: Probability that it is right, to four digits: the selector's where one judged it, else the generator's.
        tag_set: Tag set that the type is from.
        children: The mentions directly inside it, of the same tag set.
    """

    text: str
    start: int
    end: int
    type: str
    score: float
    tag_set: str
    children: tuple["NestedMention", ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class AnnotatedDocument:
    """A text with its mentions. Jupyter and rich show it highlighted.

    Attributes:
        text: The text.
        mentions: All mentions in order of start, then longest first; those inside others are also their children.
        error: Why it could not be annotated; then it has no mentions.
    """

    text: str
    mentions: tuple[NestedMention, ...] = ()
    error: str | None = None

    def __str__(self) -> str:
        return bracketed(self.text, self._rows).plain

    def __repr__(self) -> str:
        return f"<AnnotatedDocument: {f'failed: {self.error}' if self.error else self}>"

    def __rich__(self) -> Text:
        return bracketed(self.text, self._rows)

    def _repr_html_(self) -> str:
        return highlight(self.text, self._rows)

    @property
    def _rows(self) -> list[dict[str, Any]]:
        """The mentions as rows of a data set, as far as pictures need them."""
        return [
            {"start": m.start, "end": m.end, "type": m.type, "tag_set": m.tag_set}
            | {"generator_score": m.score, "kept": True}
            for m in self.mentions
        ]


class Model:
    """A generator, and a selector if there is one, loaded into this process. ``load`` makes it.

    Args:
        generator: Finds mentions.
        selector: Judges them; None keeps all.
        rules: Decide by the selector's scores.
    """

    def __init__(self, generator: Engine, selector: Selector | None = None, rules: Rules | None = None) -> None:
        self._generator = generator
        self._selector = selector
        self._rules = rules

    @overload  # a text is a sequence of texts, too; the first signature that fits is taken
    def annotate(  # type: ignore[overload-overlap]
        self, text: str, *, tag_set: str | Sequence[str], progress: bool = ...
    ) -> AnnotatedDocument: ...

    @overload
    def annotate(
        self, text: Sequence[str], *, tag_set: str | Sequence[str], progress: bool = ...
    ) -> list[AnnotatedDocument]: ...

    def annotate(
        self, text: str | Sequence[str], *, tag_set: str | Sequence[str], progress: bool = True
    ) -> AnnotatedDocument | list[AnnotatedDocument]:
        """Find the mentions of one text, or of many in one call.

        Args:
            text: A text, or a sequence of texts.
            tag_set: The types to find: a tag set by name or YAML file, or several of one language.
            progress: Whether many texts show a progress bar.

        Returns:
            A document for a text, a list of documents in the same order for a sequence.

        Raises:
            ConfigError: There is no such tag set, or the tag sets are of several languages.
        """
        tag_sets = _load_tag_sets(tag_set)
        annotator = Annotator(self._generator, tag_sets, selector=self._selector, rules=self._rules)
        [lang] = tag_sets
        texts = [text] if isinstance(text, str) else list(text)
        documents = [Document("text", str(i), "", t, lang=lang) for i, t in enumerate(texts)]
        parts = [documents[i : i + _TOGETHER] for i in range(0, len(documents), _TOGETHER)]
        shown = track(parts, "annotating", transient=True, disable=not progress or isinstance(text, str))
        found = [_document(row) for part in shown for row in annotator.annotate(part)]
        return found[0] if isinstance(text, str) else found


def load(
    model: str = DEFAULT,
    *,
    adapter: str | None = None,
    selector: str | None = "auto",
    open_bias: float | None = None,
    dtype: NumberType = "auto",
    device: str | None = None,
) -> Model:
    """Load a model into this process.

    Args:
        model: A named model, the path of a YAML file that describes one, a folder, or a Hugging Face id.
        adapter: An adapter for it; by default the named model's own.
        selector: A selector to judge what the generator finds: a named model, a folder, or a Hugging Face id; None for
            none, ``auto`` for the model's own where it has one that takes next to no time.
        open_bias: Above 0 the generator finds more and errs more, for a selector to choose from; by default what the
            selector was fitted to, and 0 without one.
        dtype: Number type to compute with; ``auto`` for the fastest that the device multiplies well.
        device: ``cpu`` or ``cuda``; None for ``cuda`` where there is one.

    Raises:
        ConfigError: A file does not describe a model.
        ModelError: A part is missing or of another kind.
    """
    selector = own_selector(model) if selector == "auto" else selector
    bias = fitted_open_bias(selector) if open_bias is None else open_bias
    generator = load_engine(generator_spec(model, adapter=adapter, open_bias=bias, dtype=dtype), device=device)
    if selector is None:
        return Model(generator)
    spec = selector_spec(selector, dtype=dtype)
    return Model(generator, load_selector(spec, device=device), read_settings(spec.folder).rules())


def _load_tag_sets(names: str | Sequence[str]) -> dict[str, list[TagSet]]:
    tag_sets = [load_tag_set(name) for name in ([names] if isinstance(names, str) else names)]
    languages = sorted({t.lang for t in tag_sets})
    if len(languages) != 1:
        raise ConfigError(
            f"tag sets of {' and '.join(languages) or 'no language'} for one text",
            hint="annotate the texts of each language with its own tag sets",
        )
    return {languages[0]: tag_sets}


def _document(row: Mapping[str, Any]) -> AnnotatedDocument:
    """Make a document from an annotated row; its mentions come from the innermost to the outermost."""
    mentions: list[Mapping[str, Any]] = row["mentions"]
    children: dict[int | None, list[int]] = {}
    for i, m in enumerate(mentions):
        children.setdefault(m["parent"], []).append(i)
    made: dict[int, NestedMention] = {}

    def make(i: int) -> NestedMention:
        if i not in made:
            m = mentions[i]
            score = m["generator_score"] if m["selector_score"] is None else m["selector_score"]
            inside = tuple(make(child) for child in children.get(i, ()))
            made[i] = NestedMention(m["text"], m["start"], m["end"], m["type"], round(score, 4), m["tag_set"], inside)
        return made[i]

    found = tuple(make(i) for i, m in enumerate(mentions) if m["kept"])
    return AnnotatedDocument(row["text"], found, row["error_message"])
