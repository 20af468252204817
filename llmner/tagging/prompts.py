"""The prompt: instruction, tag set and definitions first, the sentence last.

Everything up to the sentence is the same for all sentences of a tag set, so an engine computes it once and
keeps it. The markers around the sentence are plain lines, so that the sentence can be found again in a row of
token ids.

Invariant: ``prefix(tag_set) + shown(sentence) + SUFFIX`` is the whole prompt.
"""

import hashlib

from llmner.tagset import TagSet

BEFORE = "\nText:\n"  # every template ends with it
SUFFIX = "\nTags:\n"
_TEMPLATES = {
    "en": "Copy the text once for each entity type that occurs in it, with its mentions in [brackets]."
    "\nTag set: {name}\nTypes:\n{types}\nText:\n",
    "zh": "对文中出现的每个实体类型，重写一遍原文，并用[方括号]标出该类实体。"
    "\nTag set: {name}\nTypes:\n{types}\nText:\n",
}


def prefix(tag_set: TagSet, *, definitions: bool = True) -> str:
    """The fixed part of the prompt, up to where the sentence starts.

    Args:
        tag_set: The types.
        definitions: Whether they are defined or only named.
    """
    types = "\n".join(f"{t.label}: {t.definition}" if definitions else t.label for t in tag_set.types)
    return _TEMPLATES[tag_set.lang].format(name=tag_set.name, types=types)


def labels(prefix: str) -> tuple[str, ...]:
    """The labels of the tag set that a prefix was made of."""
    lines = prefix.partition("\nTypes:\n")[2].removesuffix(BEFORE).split("\n")
    return tuple(dict.fromkeys(line.partition(": ")[0] for line in lines))


def line_head(label: str) -> str:
    """What stands before the sentence on a type's line."""
    return f"{label}: "


def prompt_digest() -> str:
    """Hex sha256 of the templates; part of a data set's fingerprint."""
    return hashlib.sha256(repr((_TEMPLATES, SUFFIX, line_head("x"))).encode()).hexdigest()
