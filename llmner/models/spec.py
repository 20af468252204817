"""What a generator and a selector are: everything that shapes their answers, and nothing else.

A specification is made once, where a job starts (``registry.generator_spec``, ``selection.selector.selector_spec``),
and travels as it is to the workers, into the fingerprint and into ``evaluate``.

Invariant: its references are pinned, see ``weights``; two workers with the same specification give the same answers.
"""

from collections.abc import Mapping

from llmner.config import NumberType
from llmner.models.weights import identity
from llmner.settings import Settings
from llmner.tagging.grammar import VERSION as GRAMMAR_VERSION
from llmner.tagging.prompts import DEFAULT_FORM, Form, prompt_digest


class GeneratorSpec(Settings):
    """A generator.

    Attributes:
        name: The model as the user named it.
        base: Reference of the base model.
        adapter: Reference of its LoRA adapter; None where the base needs none.
        adapters: References of other adapters for single tag sets or languages, by their names.
        form: How it was trained to be asked and to answer.
        open_bias: Added to the logit of opening a tag: above 0 it finds more and errs more.
        dtype: Number type that it computes with.
        grammar: Whether only the copy and its tags may be written.
    """

    name: str
    base: str
    adapter: str | None = None
    adapters: Mapping[str, str] = {}
    form: Form = DEFAULT_FORM
    open_bias: float = 0.0
    dtype: NumberType = "auto"
    grammar: bool = True

    def fingerprint(self) -> dict[str, str]:
        """Return what shapes its answers, as readable parts. Loads no model.

        Under the grammar all engines give the same answers, so which engine runs the model does not count.
        """
        decoding = f"greedy, grammar {GRAMMAR_VERSION}" if self.grammar else "greedy, free"
        return {
            "model": self.name,
            "base": identity(self.base),
            "adapter": identity(self.adapter) if self.adapter else "none",
            **{f"adapter.{name}": identity(reference) for name, reference in sorted(self.adapters.items())},
            "prompt": f"{prompt_digest()}, {_described(self.form)}",
            "decoding": f"{decoding}, open bias {self.open_bias:g}" if self.open_bias else decoding,
            "dtype": self.dtype,
        }


class SelectorSpec(Settings):
    """A selector.

    Attributes:
        name: The selector as the user named it.
        folder: Reference of the folder with its adapter, head and settings.
        base: Reference of its base model; None where it reads nothing again.
        candidates: Version of how candidates are shown to it: see ``selection.candidates``, or ``selection.evidence``.
        form: How it was trained to be asked.
        dtype: Number type that it computes with.
    """

    name: str
    folder: str
    base: str | None = None
    candidates: int
    form: Form = DEFAULT_FORM
    dtype: NumberType = "auto"

    def fingerprint(self) -> dict[str, str]:
        """Return what shapes its scores, as readable parts. Loads no model."""
        if self.base is None:
            return {"weights": identity(self.folder), "evidence": str(self.candidates)}
        return {
            "base": identity(self.base),
            "weights": identity(self.folder),
            "prompt": f"{prompt_digest()}, {_described(self.form)}, candidate {self.candidates}",
            "dtype": self.dtype,
        }


def _described(form: Form) -> str:
    return f"{form.layout}, {'types defined' if form.definitions else 'types named'}"
