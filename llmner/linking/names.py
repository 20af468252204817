"""The forms under which a name is looked up, from the strictest to the loosest.

>>> forms("Beta-Blockers")
Forms(lower='beta-blockers', punctuation='beta blockers', plural='beta blocker')

Invariant: two names with the same form at one step have the same form at every later step.
"""

import re
import unicodedata
from typing import NamedTuple

# Changed whenever the same name would get another form: lexicons store the forms.
FORMS_VERSION = "1"

STEPS = ("exact", "lower", "punctuation", "plural", "near")

_SEPARATORS = re.compile(r"[\W_]+")
_NO_PLURAL = ("ss", "us", "is")


class Forms(NamedTuple):
    """A name's forms by step; empty where nothing of it is left."""

    lower: str
    punctuation: str
    plural: str


def forms(name: str) -> Forms:
    """Return the forms of a name: lower case, without punctuation, and in the singular."""
    lower = " ".join(unicodedata.normalize("NFKC", name).lower().split())
    punctuation = _SEPARATORS.sub(" ", lower).strip()
    return Forms(lower, punctuation, " ".join(map(_singular, punctuation.split())))


def _singular(word: str) -> str:
    if len(word) < 4 or not word.endswith("s") or word.endswith(_NO_PLURAL):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("sses", "xes", "ches", "shes")) else word[:-1]
