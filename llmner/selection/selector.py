"""What a selector is: candidates in, probabilities and a verdict out.

A selector is a folder with ``selector.json``: calibration, thresholds and what annotation lets nest. One that reads the
sentences again (``reading``) also has its base model's name there, a LoRA adapter in peft's format and
``head.safetensors``; one without a base weighs what is known already (``weighing``). The folder's digest says which one
it is.

Invariant: one result a request, in order; a sentence that cannot be judged has a result with an error. A score is the
probability that the candidate is right.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import Field, ValidationError

from llmner.config import NumberType
from llmner.errors import LlmnerError, ModelError
from llmner.mentions import Mention
from llmner.models.registry import DEFAULT, base_of, named, prompt_form, selector_of
from llmner.models.spec import SelectorSpec
from llmner.models.weights import described, pinned
from llmner.selection.calibration import Calibration
from llmner.selection.candidates import VERSION as SHEET_VERSION
from llmner.selection.competition import Nesting, Rules
from llmner.selection.evidence import VERSION as EVIDENCE_VERSION
from llmner.settings import Settings
from llmner.tagset import TagSet

SETTINGS = "selector.json"


class Tuning(Settings):
    """What dev data says about a tag set.

    Attributes:
        calibration: From evidence to a probability.
        threshold: Candidates below it go; best by the F1 that may be expected.
    """

    calibration: Calibration = Calibration(weights={"logit": 1.0})
    threshold: float = Field(default=0.5, ge=0, le=1)


class SelectorSettings(Settings):
    """A selector's settings, all that it is besides its weights.

    Attributes:
        base: Base model: a named model, a folder or a Hugging Face id; None for a selector that reads nothing again.
        open_bias: Bias of the generator whose candidates it was fitted to.
        default: Tuning for tag sets that were not in the dev data, fitted on all that were.
        tuned: Tuning by tag set for those that were.
        nesting: By tag set what its annotation lets nest; of one that is not named anything may.
        measured: Figures on the dev data by tag set, for people.
    """

    base: str | None = None
    open_bias: float = 0.0
    default: Tuning = Tuning()
    tuned: Mapping[str, Tuning] = {}
    nesting: Mapping[str, tuple[Nesting, ...]] = {}
    measured: Mapping[str, dict[str, float]] = {}

    def tuning(self, tag_set: str) -> Tuning:
        """Return the tuning for a tag set."""
        return self.tuned.get(tag_set, self.default)

    def rules(self, threshold: float | None = None) -> Rules:
        """Return how scores decide, by its own thresholds or by one for all tag sets."""
        if threshold is not None:
            return Rules(threshold, {}, self.nesting)
        return Rules(self.default.threshold, {k: t.threshold for k, t in self.tuned.items()}, self.nesting)


@dataclass(frozen=True, slots=True)
class SelectionRequest:
    """A sentence and the candidates found in it with one tag set.

    Attributes:
        text: The sentence.
        tag_set: The tag set.
        candidates: What was found.
        document: What the requests of its document share in a call; empty for a sentence by itself.
    """

    text: str
    tag_set: TagSet
    candidates: tuple[Mention, ...]
    document: str = ""


@dataclass(frozen=True, slots=True)
class SelectionResult:
    """What the selector made of a request.

    Attributes:
        scores: For each candidate the probability that it is right.
        error: Why there is no answer; then there are no scores.
        repeats: What the selector proposes besides, and its scores.
    """

    scores: tuple[float, ...] = ()
    error: LlmnerError | None = None
    repeats: tuple[tuple[Mention, float], ...] = ()


class Selector(Protocol):
    """Judges candidates."""

    @property
    def fingerprint(self) -> dict[str, str]:
        """What shapes its scores."""
        ...

    def judge(self, requests: Sequence[SelectionRequest]) -> list[SelectionResult]:
        """Judge the candidates of sentences, as many at once as fit; results in the order of the requests."""
        ...


def selector_spec(selector: str = DEFAULT, *, dtype: NumberType = "auto") -> SelectorSpec:
    """Specify a selector.

    Args:
        selector: A named model that has one, a folder, or a Hugging Face id.
        dtype: See ``SelectorSpec``.

    Raises:
        ConfigError: The named model has no selector.
        ModelError: There is none.
    """
    folder = selector_of(selector)
    base = read_settings(folder).base
    if base is None:
        return SelectorSpec(name=selector, folder=folder, candidates=EVIDENCE_VERSION)
    return SelectorSpec(
        name=selector,
        folder=folder,
        base=base_of(base),
        candidates=SHEET_VERSION,
        form=prompt_form(folder),
        dtype=dtype,
    )


def own_selector(model: str) -> str | None:
    """Return a model's name where it has a selector that reads nothing again, and None where it has none.

    Raises:
        ConfigError: A file of this name does not describe a model.
        ModelError: Its selector cannot be read.
    """
    entry = named(model)
    if entry is None or entry.selector is None or read_settings(pinned(entry.selector)).base is not None:
        return None
    return model


def fitted_open_bias(selector: str | None) -> float:
    """Return the bias of the generator that a selector was fitted to; 0 without one.

    Raises:
        ConfigError: The named model has no selector.
        ModelError: There is none.
    """
    return read_settings(selector_of(selector)).open_bias if selector else 0.0


def read_settings(folder: str) -> SelectorSettings:
    """Return the settings of a selector.

    Args:
        folder: Its folder, or the reference of one.

    Raises:
        ModelError: There is no selector, or its settings cannot be read.
    """
    file = described(folder) / SETTINGS
    try:
        return SelectorSettings.model_validate_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{folder}: no selector here", hint="llmner train selector makes one") from None
    except (OSError, UnicodeDecodeError, ValidationError) as e:
        raise ModelError(f"{file}: not a selector's settings: {e}") from e


def write_settings(folder: Path, settings: SelectorSettings) -> None:
    """Write the settings into a selector's folder."""
    text = json.dumps(settings.model_dump(), ensure_ascii=False, indent=1)
    (folder / SETTINGS).write_text(text + "\n", encoding="utf-8")
