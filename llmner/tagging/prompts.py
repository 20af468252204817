"""The prompt: instruction, tag set and definitions first, the sentence last.

Everything up to the sentence is the same for all sentences of a tag set, so an engine computes it once and
keeps it. The markers around the sentence are plain lines, so that the sentence can be found again in a row of
token ids.

Invariant: ``prefix(tag_set) + shown(sentence) + SUFFIX`` is the whole prompt.
"""

import hashlib
from dataclasses import dataclass

from llmner.tagging.layouts import LAYOUTS, LayoutName
from llmner.tagging.lines import line_head
from llmner.tagset import TagSet

BEFORE = "\nText:\n"  # every template ends with it
SUFFIX = "\nTags:\n"
_INSTRUCTIONS = {(name, lang): said for name, layout in LAYOUTS.items() for lang, said in layout.instructions.items()}
_TEMPLATE = "{instruction}\nTag set: {name}\nTypes:\n{types}\nText:\n"


@dataclass(frozen=True, slots=True)
class Form:
    """How a model is asked and how it answers: what it was trained on.

    Attributes:
        definitions: Whether the types are defined or only named.
        layout: Name of the layout of the answer, see ``layouts``.
    """

    definitions: bool = True
    layout: LayoutName = "lines"


DEFAULT_FORM = Form()


def form_of(prefix: str) -> Form:
    """Return the form that a prefix was made in, as far as its tokens depend on it."""
    layouts = (layout for (layout, _), line in _INSTRUCTIONS.items() if prefix.startswith(line))
    return Form(layout=next(layouts, "lines"))


def prefix(tag_set: TagSet, form: Form = DEFAULT_FORM) -> str:
    """Return the fixed part of the prompt, up to where the sentence starts."""
    types = "\n".join(f"{t.label}: {t.definition}" if form.definitions else t.label for t in tag_set.types)
    instruction = _INSTRUCTIONS[form.layout, tag_set.lang]
    return _TEMPLATE.format(instruction=instruction, name=tag_set.name, types=types)


def sentence(text: str, form: Form) -> str:
    """Return a sentence as it stands in prompt and answer, of the same length."""
    return LAYOUTS[form.layout].sentence(text)


def labels(prefix: str) -> tuple[str, ...]:
    """Return the labels of the tag set that a prefix was made of."""
    lines = prefix.partition("\nTypes:\n")[2].removesuffix(BEFORE).split("\n")
    return tuple(dict.fromkeys(line.partition(": ")[0] for line in lines))


def prompt_digest() -> str:
    """Hex sha256 of the templates; part of a data set's fingerprint."""
    return hashlib.sha256(repr((_INSTRUCTIONS, _TEMPLATE, SUFFIX, line_head("x"))).encode()).hexdigest()
