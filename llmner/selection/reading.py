"""A selector that reads each sentence again with its candidates, in this process: a network and a head.

Invariant: a score depends on nothing but sentence, tag set, candidate and generator score.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmner.errors import ModelError, SelectionError
from llmner.mentions import Mention
from llmner.models import loading
from llmner.models.spec import SelectorSpec
from llmner.models.weights import fetched
from llmner.selection.calibration import Evidence, log_odds
from llmner.selection.candidates import Sheet, SheetCodec, unit_spans
from llmner.selection.selector import SelectionRequest, SelectionResult, SelectorSettings, read_settings
from llmner.tagging.prompts import Form
from llmner.tagset import TagSet

if TYPE_CHECKING:
    from llmner.selection.model import SelectorModel

HEAD = "head.safetensors"
_PASS_TOKENS = 4096  # tokens of a pass, padding included: what is in memory, not what is answered


class ReadingSelector:
    """Reads each sentence again with its candidates, in this process, on a CPU or one GPU.

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
                scores = calibration.probabilities(reading_evidence(logits, request.candidates))
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


def reading_evidence(logits: Sequence[float], candidates: Sequence[Mention]) -> Evidence:
    """Return the evidence of a second reading: its logit of each candidate, and the generator's score."""
    return {"logit": logits, "generator": [log_odds(c.score) for c in candidates]}


def load_reading_selector(
    spec: SelectorSpec, *, threads: int | None = None, device: str | None = None
) -> ReadingSelector:
    """Load a selector that reads sentences again; see ``loading.load_selector``."""
    import torch
    from safetensors.torch import load_file

    from llmner.selection.model import SelectorModel

    assert spec.base is not None
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
    return ReadingSelector(
        model,
        tokenizer,
        form=spec.form,
        window=transformer.config.max_position_embeddings,
        settings=read_settings(spec.folder),
        fingerprint=spec.fingerprint(),
    )
