"""Settings of training runs, as YAML files hold them.

Invariant: everything that shapes a result is in the settings, and ``identity`` is all of it but how long a run
lasts; where and how fast it computes is not. So a run can be prolonged, or brought home by letting the rate fall.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from llmner.errors import ConfigError
from llmner.models.registry import DEFAULT
from llmner.settings import Settings, read_mapping, validated
from llmner.tagging.prompts import Form

_LENGTH = {"steps", "epochs", "decay"}


class Cluster(Settings):
    """Where a run computes.

    Attributes:
        workers: Ray workers, each with its own copy of the model and its own batches; 0 trains in this process,
            without Ray.
        cpus: Cores of a worker.
        gpus: GPUs of a worker.
        failures: How often the workers are started again after one of them died.
    """

    workers: int = Field(default=0, ge=0)
    cpus: float = Field(default=1, gt=0)
    gpus: float = Field(default=0, ge=0)
    failures: int = Field(default=3, ge=0)


class RunSettings(Settings):
    """What all training runs have in common.

    Attributes:
        output: Folder of checkpoints and of the result: a local path, or a URL where a cluster trains.
        learning_rate: Highest learning rate, AdamW.
        steps: Updates of the weights in all.
        epochs: The same, given in passes over the data.
        warmup: Steps until the learning rate is at its highest.
        decay: Last steps of the run, in which the learning rate falls to zero linearly; before them it stays at its
            highest. 0: it never falls. By default it falls from the end of the warm-up on.
        average: Share of the averaged weights that a step keeps, for instance 0.99, an average over the last hundred
            steps or so. The averaged weights are what is measured and shipped. By default the last ones are.
        batch_tokens: Tokens a batch, prompt prefix not counted.
        accumulate: Batches for one step, shared evenly by all workers or processes.
        seed: Of initial weights, shuffles and samples.
        checkpoint_every: Steps between checkpoints.
        evaluate_every: Steps between measurements on development data, a multiple of ``checkpoint_every``. What
            was best there is the result; without it the last weights are.
        patience: Measurements without a better one after which the run ends.
        cluster: Where to compute.
    """

    output: str = Field(min_length=1)
    learning_rate: float = Field(default=8e-4, gt=0)
    steps: int | None = Field(default=None, gt=0)
    epochs: float | None = Field(default=None, gt=0)
    warmup: int = Field(default=40, ge=0)
    decay: int | None = Field(default=None, ge=0)
    average: float | None = Field(default=None, gt=0, lt=1)
    batch_tokens: int = Field(default=1500, gt=0)
    accumulate: int = Field(default=1, gt=0)
    seed: int = 13
    checkpoint_every: int = Field(default=100, gt=0)
    evaluate_every: int | None = Field(default=None, gt=0)
    patience: int | None = Field(default=None, gt=0)
    cluster: Cluster = Cluster()

    @model_validator(mode="after")
    def _consistent(self) -> "RunSettings":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either steps or epochs")
        if self.steps is not None and self.decay and self.warmup + self.decay > self.steps:
            raise ValueError(f"warmup and decay are longer than the run's {self.steps} steps")
        if self.accumulate % max(1, self.cluster.workers):
            raise ValueError(f"{self.cluster.workers} workers cannot share {self.accumulate} batches of a step evenly")
        if self.evaluate_every and self.evaluate_every % self.checkpoint_every:
            raise ValueError(f"evaluate_every must be a multiple of checkpoint_every, {self.checkpoint_every}")
        if self.patience and not self.evaluate_every:
            raise ValueError("patience needs evaluate_every")
        return self

    def identity(self) -> dict[str, Any]:
        """Return what shapes the result, ready for JSON."""
        return self.model_dump(mode="json", exclude={"output", "cluster"} | _LENGTH)

    def length(self) -> dict[str, Any]:
        """Return how long the run lasts, ready for JSON."""
        return self.model_dump(mode="json", include=_LENGTH)


class CorpusSettings(Settings):
    """An annotated corpus, JSON lines of sentences.

    Attributes:
        name: What logs and tables call it.
        train: Sentences to train on.
        dev: Sentences to measure on while training.
        tag_set: Name or path of its tag set; by default the corpus's own name.
        types: The tag set's type for each of the corpus's types; mentions of the others are left out, and the prompt
            asks only for the types that occur here. By default the corpus's types are the tag set's.
        partial: Share of the sentences that are asked for a part of those types only, drawn by the seed.
        empty: Share of the sentences without mentions that are trained on, drawn by the seed.
        weight: How often each sentence is seen in an epoch; of 0.4, another two fifths of them in each epoch.
    """

    name: str
    train: Path
    dev: Path | None = None
    tag_set: str = ""
    types: dict[str, str] | None = Field(default=None, min_length=1)
    partial: float = Field(default=0.0, ge=0, le=1)
    empty: float = Field(default=1.0, ge=0, le=1)
    weight: float = Field(default=1.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, raw: Any) -> Any:
        return {"tag_set": raw["name"], **raw} if isinstance(raw, dict) and "name" in raw else raw


class GeneratorTraining(RunSettings):
    """Settings of a generator's training.

    Attributes:
        model: Base model: a named model, a folder or a Hugging Face id.
        corpora: What to train on, all mixed.
        leave_out: Names of corpora that are only measured on (zero-shot); they do not decide what is best.
        balance_languages: Whether the weights are scaled so that each language has as many tokens as the other.
        loss: ``constrained``: over the tokens the grammar allows, where it leaves a choice; for decoding under the
            grammar. ``full``: over the whole vocabulary at every token of the answer, for free decoding, too.
        definitions: Whether the prompt defines the types or only names them.
        layout: Name of the layout of an answer, see ``tagging.layouts``.
        initial_adapter: An adapter, or a named model's, to go on from. Its dropout stays, and the ratio of its alpha
            to its rank; if its rank is lower than ``rank``, it is widened without a change of what it computes.
        rank: LoRA rank.
        alpha: LoRA alpha; the product is scaled by alpha / rank.
        dropout: LoRA dropout.
        quantised: Whether the base is held in 4 bits (NF4, QLoRA); quick on a GPU only.
        gradient_checkpointing: Whether a layer's activations are computed again instead of kept.
        max_tokens: Sentences whose example is longer are left out.
        dev_sentences: Sentences measured on in each corpus, drawn by the seed.
    """

    model: str = DEFAULT
    corpora: tuple[CorpusSettings, ...] = Field(min_length=1)
    leave_out: frozenset[str] = frozenset()
    balance_languages: bool = False
    loss: Literal["constrained", "full"] = "constrained"
    definitions: bool = True
    layout: Literal["lines", "inline"] = "lines"
    initial_adapter: str | None = None
    rank: int = Field(default=32, gt=0)
    alpha: int = Field(default=64, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    quantised: bool = False
    gradient_checkpointing: bool = False
    max_tokens: int = Field(default=600, gt=0)
    dev_sentences: int = Field(default=200, gt=0)

    @model_validator(mode="after")
    def _corpora_known(self) -> "GeneratorTraining":
        names = [c.name for c in self.corpora]
        if len(set(names)) != len(names):
            raise ValueError(f"corpora must have names of their own, got {names}")
        if unknown := self.leave_out - set(names):
            raise ValueError(f"leave_out: no such corpus: {', '.join(sorted(unknown))}")
        if not self.trained_on:
            raise ValueError("leave_out leaves nothing to train on")
        if self.evaluate_every and not any(c.dev for c in self.trained_on):
            raise ValueError("evaluate_every needs a corpus with dev sentences")
        return self

    def identity(self) -> dict[str, Any]:
        """See ``RunSettings.identity``; where the corpora lie does not matter."""
        corpora = [c.model_dump(mode="json", exclude={"train", "dev"}) for c in self.corpora]
        return {**super().identity(), "corpora": corpora, "leave_out": sorted(self.leave_out)}

    @property
    def form(self) -> Form:
        """How the model is asked and answers."""
        return Form(self.definitions, self.layout)

    @property
    def trained_on(self) -> tuple[CorpusSettings, ...]:
        """The corpora that are not left out."""
        return tuple(c for c in self.corpora if c.name not in self.leave_out)


def read_settings(path: Path, overrides: Mapping[str, Any], *, data: Path = Path()) -> GeneratorTraining:
    """Read a generator's training from YAML.

    A file may name another one beside it as ``extends`` and hold only what is different.

    Args:
        path: The file.
        overrides: Values that replace the file's, by key; ``steps`` and ``epochs`` replace each other.
        data: Folder that the corpora's paths are relative to.

    Raises:
        ConfigError: Not readable, not YAML, or a key that is unknown, missing or has an unusable value.
    """
    return generator_settings(changed(read_whole(path), overrides), str(path), data=data)


def generator_settings(raw: Mapping[str, Any], where: str, *, data: Path) -> GeneratorTraining:
    """Return a generator's training from what a file holds.

    Args:
        raw: Values by key.
        where: What an error names as their place.
        data: Folder that the corpora's paths are relative to.

    Raises:
        ConfigError: A key that is unknown, missing or has an unusable value.
    """
    try:
        corpora = [
            {**c, **{split: data / c[split] for split in ("train", "dev") if c.get(split)}}
            for c in raw.get("corpora", ())
        ]
    except (TypeError, AttributeError) as e:
        raise ConfigError(f"{where}: corpora are a list of mappings with name and train: {e!r}") from e
    return validated(GeneratorTraining, {**raw, "corpora": corpora}, where)


def read_whole(path: Path) -> dict[str, Any]:
    """Return what a YAML file and those it extends hold.

    ``further_corpora`` of a file come to the ``corpora`` of the one it extends.

    Raises:
        ConfigError: One of them is not readable, not YAML or no mapping.
    """
    raw = read_mapping(path)
    base = raw.pop("extends", None)
    if base is None:
        return raw
    whole = changed(read_whole(path.parent / base), raw)
    whole["corpora"] = [*whole.get("corpora", ()), *whole.pop("further_corpora", ())]
    return whole


def changed(raw: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values with some replaced; ``steps`` and ``epochs`` replace each other."""
    lengths = {"steps", "epochs"}
    kept = {k: v for k, v in raw.items() if not (k in lengths and lengths & changes.keys())}
    return {**kept, **changes}
