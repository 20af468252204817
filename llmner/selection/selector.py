"""What a selector is, and the one that judges in this process: candidates in, probabilities and a verdict out.

A selector is a folder: a LoRA adapter in peft's format, ``head.safetensors`` and ``selector.json`` with base model,
calibration, thresholds and what annotation lets nest. The folder's digest says which selector it is.

Invariant: one result a request, in order; a sentence that cannot be judged has a result with an error. A score is the
probability that the candidate is right, and depends on nothing but sentence, tag set, candidate and generator score.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import Field, ValidationError

from llmner.config import NumberType
from llmner.errors import LlmnerError, ModelError, SelectionError
from llmner.mentions import Mention
from llmner.models import loading
from llmner.models.registry import DEFAULT, base_of, prompt_form, selector_of
from llmner.models.spec import SelectorSpec
from llmner.models.weights import described, fetched
from llmner.selection.calibration import Calibration
from llmner.selection.candidates import VERSION, Sheet, SheetCodec, unit_spans
from llmner.selection.competition import Nesting, Rules
from llmner.settings import Settings
from llmner.tagging.prompts import Form
from llmner.tagset import TagSet

if TYPE_CHECKING:
    from llmner.selection.model import SelectorModel

SETTINGS = "selector.json"
HEAD = "head.safetensors"
_PASS_TOKENS = 4096  # tokens of a pass, padding included: what is in memory, not what is answered


class Tuning(Settings):
    """What dev data says about a tag set.

    Attributes:
        calibration: From logit and generator score to a probability.
        threshold: Candidates below it go; best by the F1 that may be expected.
    """

    calibration: Calibration = Calibration()
    threshold: float = Field(default=0.5, ge=0, le=1)


class SelectorSettings(Settings):
    """A selector's settings, all that it is besides its weights.

    Attributes:
        base: Base model: a named model, a folder or a Hugging Face id.
        default: Tuning for tag sets that were not in the dev data, fitted on all that were.
        tuned: Tuning by tag set for those that were.
        nesting: By tag set what its annotation lets nest; of one that is not named anything may.
        measured: Figures on the dev data by tag set, for people.
    """

    base: str
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
    """A sentence and the candidates found in it with one tag set."""

    text: str
    tag_set: TagSet
    candidates: tuple[Mention, ...]


@dataclass(frozen=True, slots=True)
class SelectionResult:
    """What the selector made of a request.

    Attributes:
        scores: For each candidate the probability that it is right.
        error: Why there is no answer; then there are no scores.
    """

    scores: tuple[float, ...] = ()
    error: LlmnerError | None = None


class Selector(Protocol):
    """Judges candidates."""

    @property
    def fingerprint(self) -> dict[str, str]:
        """What shapes its scores."""
        ...

    def judge(self, requests: Sequence[SelectionRequest]) -> list[SelectionResult]:
        """Judge the candidates of sentences, as many at once as fit; results in the order of the requests."""
        ...


class LocalSelector:
    """Judges candidates in this process, on a CPU or one GPU.

    Args:
        model: The network.
        tokenizer: Its tokenizer.
        form: How it is asked.
        window: Most tokens of prompt, sentence and candidate that it reads.
        settings: Calibration, thresholds and what may nest.
        fingerprint: What shapes its scores, see ``SelectorSpec.fingerprint``.
    """

    def __init__(
        self,
        model: "SelectorModel",
        tokenizer: Any,
        *,
        form: Form,
        window: int,
        settings: SelectorSettings,
        fingerprint: dict[str, str],
    ) -> None:
        self._model = model
        self._codec = SheetCodec(tokenizer, form)
        self._window = window
        self._settings = settings
        self._fingerprint = fingerprint

    @property
    def fingerprint(self) -> dict[str, str]:
        """See ``Selector.fingerprint``."""
        return dict(self._fingerprint)

    def judge(self, requests: Sequence[SelectionRequest]) -> list[SelectionResult]:
        """See ``Selector.judge``."""
        results = []
        for request, logits in zip(requests, self.logits(requests), strict=True):
            if isinstance(logits, SelectionError):
                results.append(SelectionResult(error=logits))
            else:
                calibration = self._settings.tuning(request.tag_set.name).calibration
                scores = calibration.probabilities(logits, [c.score for c in request.candidates])
                results.append(SelectionResult(tuple(scores)))
        return results

    def logits(self, requests: Sequence[SelectionRequest]) -> list[list[float] | SelectionError]:
        """Return for each request the logits of its candidates before calibration, or why there are none."""
        import torch

        from llmner.selection.model import packed

        answers: list[list[float] | SelectionError] = [[] for _ in requests]
        sheets: dict[TagSet, dict[int, Sheet]] = {}
        for i, request in enumerate(requests):
            try:
                if request.candidates:
                    sheets.setdefault(request.tag_set, {})[i] = self._sheet(request)
            except SelectionError as e:
                answers[i] = e
        with torch.inference_mode():
            for tag_set, own in sheets.items():
                numbers = list(own)
                for batch in packed(list(own.values()), tokens=_PASS_TOKENS):
                    here = [own[numbers[i]] for i in batch]
                    logits = iter(self._model(self._codec.prefix(tag_set), here).tolist())
                    for i, sheet in zip(batch, here, strict=True):
                        answers[numbers[i]] = [next(logits) for _ in sheet.branches]
        return answers

    def _sheet(self, request: SelectionRequest) -> Sheet:
        tag_set, source = request.tag_set, self._codec.source(request.text)
        spans = unit_spans(source, request.candidates, tag_set)
        if len(spans) < len(request.candidates):
            raise SelectionError(f"a candidate has a type that tag set {tag_set.name} does not know")
        sheet = self._codec.sheet(source, tag_set, spans)
        longest = len(self._codec.prefix(tag_set)) + len(sheet.sentence) + max(map(len, sheet.branches))
        if longest > self._window:
            message = f"a sentence with a candidate has {longest} tokens, the selector reads {self._window}"
            raise SelectionError(message, hint="cut sentences shorter")
        return sheet


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
    return SelectorSpec(
        name=selector,
        folder=folder,
        base=base_of(read_settings(folder).base),
        candidates=VERSION,
        form=prompt_form(folder),
        dtype=dtype,
    )


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


def load_selector(spec: SelectorSpec, *, threads: int | None = None, device: str | None = None) -> LocalSelector:
    """Load a selector.

    Args:
        spec: The selector.
        threads: CPU threads to compute with; None leaves torch's choice.
        device: ``cpu`` or ``cuda``; None for ``cuda`` where there is one.

    Raises:
        ModelError: A part is missing or of another kind.
    """
    import torch
    from safetensors.torch import load_file

    from llmner.selection.model import SelectorModel

    if threads:
        torch.set_num_threads(threads)
    device = device or loading.default_device()
    transformer, tokenizer = loading.load_packed(spec.base, spec.folder, spec.dtype, device, headless=True)
    model = SelectorModel(transformer, transformer.config.hidden_size).to(device).eval()
    head = fetched(spec.folder) / HEAD
    try:
        model.head.load_state_dict(load_file(head, device=device))
    except (OSError, RuntimeError) as e:
        raise ModelError(f"{head}: not the head of this selector: {e}") from e
    return LocalSelector(
        model,
        tokenizer,
        form=spec.form,
        window=transformer.config.max_position_embeddings,
        settings=read_settings(spec.folder),
        fingerprint=spec.fingerprint(),
    )


def write_settings(folder: Path, settings: SelectorSettings) -> None:
    """Write the settings into a selector's folder."""
    text = json.dumps(settings.model_dump(), ensure_ascii=False, indent=1)
    (folder / SETTINGS).write_text(text + "\n", encoding="utf-8")
