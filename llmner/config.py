"""The settings of a job: what to read, with what to tag it, where to write, on which resources.

Invariant: a job that is valid can be planned; a key that is unknown or has an unusable value is an error that names it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from llmner.errors import ConfigError
from llmner.settings import Settings, read_mapping, validated
from llmner.sources.limits import DEFAULT_LIMITS, Limits
from llmner.sources.registry import AUTO, format_named
from llmner.tagset import TagSet, load_tag_set

Lang = Literal["en", "zh"]
NumberType = Literal["auto", "float32", "bfloat16", "int8"]


class Workers(Settings):
    """What the workers of a stage with a model get.

    Attributes:
        actors: Least and most workers.
        cpus: Cores that Ray reserves for a worker.
        gpus: GPUs of a worker, or a part of one.
        accelerator: Kind of GPU, as Ray calls it (``H100``); any where not given.
        threads: Threads of a worker's model; all cores of its node where not given.
        rows_per_call: Documents that the model is given at once, and that a lost worker repeats.
        calls: Calls that are in a worker's model at once. The local engine takes one.
        seconds: Seconds after which a model that gives no answer is started anew, its documents one by one; what hangs
            it alone, too, fails.
        seconds_per_character: Seconds that come to these for each character that the model was given.
    """

    actors: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (1, 1)
    cpus: float = Field(default=1.0, gt=0)
    gpus: float = Field(default=0.0, ge=0)
    accelerator: str | None = None
    threads: int | None = Field(default=None, ge=1)
    rows_per_call: int = Field(default=32, ge=1)
    calls: int = Field(default=1, ge=1)
    seconds: float = Field(default=300, gt=0)
    seconds_per_character: float = Field(default=0.02, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> "Workers":
        if self.actors[0] > self.actors[1]:
            raise ValueError(f"actors: the least number comes first, got {list(self.actors)}")
        return self


class Selecting(Workers):
    """The selector and its workers.

    Attributes:
        mode: ``on`` keeps the mentions that the selector lets pass, ``score-only`` scores and keeps all, ``off``
            runs none; ``auto`` is ``on`` where the job's ``model`` has a selector that takes next to no time.
        model: A named model, a folder or a Hugging Face id; by default the selector of the job's ``model``.
        threshold: Mentions below it are not kept; by default the selector's own for each tag set, tuned on dev data.
    """

    mode: Literal["auto", "off", "on", "score-only"] = "auto"
    model: str | None = None
    threshold: float | None = Field(default=None, ge=0, le=1)

    @field_validator("mode", mode="before")
    @classmethod
    def _yaml_word(cls, value: Any) -> Any:
        # YAML reads on and off as truth values.
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


class VllmOptions(Settings):
    """How vLLM runs in a worker.

    Attributes:
        tensor_parallel: GPUs over which one model is spread; all of a worker's.
        sequences: Sentences decoded together; where not given, as many as model and card hold.
        window: Tokens of the longest prompt with its answer.
        draft: Tokens that the copy drafter may propose at once; 0 turns it off.
        grammar: Whether only the copy and its tags may be written. Without it the answer is aligned with the text.
    """

    tensor_parallel: int = Field(default=1, ge=1)
    sequences: int | None = Field(default=None, ge=1)
    window: int = Field(default=4096, ge=256)
    draft: int = Field(default=15, ge=0)
    grammar: bool = True


class JobConfig(Settings):
    """An extraction job.

    Attributes:
        inputs: Files, folders or patterns, as URIs or local paths.
        output: URI or path of the data set.
        format: Name of the format of the inputs; ``auto`` looks at the content of each file, then at its name.
        fields: Field map of JSON lines and Parquet inputs: our field to theirs.
        limits: How large records, texts and files may be.
        model: A named model, the path of a file that describes one, a folder, or a Hugging Face id, where
            ``org/name@revision`` names a branch, tag or commit.
        adapter: An adapter for it, a folder or a Hugging Face id; by default the named model's own.
        adapters: Other adapters for single tag sets or languages, by their names; vLLM only.
        dtype: Number type that models compute with; ``auto`` for the fastest that a worker's device multiplies well,
            decided once where the job starts. ``int8`` is for CPUs: linear layers in 8 bits, all else in bfloat16.
        engine: What runs the model: ``local``, in the worker's process, or ``vllm``.
        vllm: How vLLM runs.
        tag_sets: Tag sets by language of the document.
        open_bias: Added to the generator's logit of opening a tag: above 0 it finds more and errs more, for a
            selector to choose from; by default what the selector was fitted to, and 0 without one.
        tag: The generator's workers.
        select: The selector and its workers.
        max_sentence: Code points above which a sentence is cut at a safe place.
        documents_per_file: Documents gathered before a file is written and counts as done.
        files_per_batch: Files after which a batch is committed and another begun, which bounds the memory of the driver
            and what a lost head repeats; by default as many as have 2 GB together.
        batch: Name of the batch; by default it follows from the inputs, and inputs that the data set holds with the
            same content are not read again. Of several batches each gets a number behind the name.
        limit: Only so many documents, in the order of the inputs.
        max_failed_share: Share of failed and rejected documents, of a hundred or more, above which the run ends
            without a batch; what is done stays.
        price_per_hour: What all machines of the run cost an hour together, in any currency; then metrics and manifest
            say what a million source tokens cost.
        stall_minutes: Minutes without anything moving after which the run starts again with what is not done: more
            than a worker takes to load its model, and than the cluster needs to come by a node. A model that is at work
            moves, however slow it is, as long as it has the time that ``tag.seconds`` and
            ``tag.seconds_per_character`` give it.
    """

    inputs: tuple[str, ...] = Field(min_length=1)
    output: str = Field(min_length=1)
    format: str = AUTO
    fields: Mapping[str, str] = {}
    limits: Limits = DEFAULT_LIMITS
    model: str = "embedded"
    adapter: str | None = None
    adapters: Mapping[str, str] = {}
    dtype: NumberType = "auto"
    engine: Literal["local", "vllm"] = "local"
    vllm: VllmOptions = VllmOptions()
    tag_sets: Mapping[Lang, tuple[str, ...]] = {"en": ("biomed",), "zh": ("cmeee_v2",)}
    open_bias: float | None = None
    tag: Workers = Workers()
    select: Selecting = Selecting()
    max_sentence: int = Field(default=400, ge=50)
    documents_per_file: int = Field(default=1000, ge=1)
    files_per_batch: int | None = Field(default=None, ge=1)
    batch: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] | None = None
    limit: int | None = Field(default=None, ge=1)
    max_failed_share: float = Field(default=0.5, ge=0, le=1)
    price_per_hour: float | None = Field(default=None, ge=0)
    stall_minutes: float = Field(default=60, gt=0)

    @field_validator("format")
    @classmethod
    def _known_format(cls, name: str) -> str:
        if name != AUTO and not format_named(name).documents:
            raise ValueError(f"{name} is a format of annotations, not of documents")
        return name

    @model_validator(mode="after")
    def _engine_can(self) -> "JobConfig":
        if self.engine == "local" and (self.adapters or self.tag.calls > 1):
            raise ValueError("adapters and tag.calls above 1 need engine: vllm")
        if self.select.calls > 1:
            raise ValueError("select.calls: the selector takes one at a time")
        if self.engine == "vllm" and self.dtype == "int8":
            raise ValueError("dtype: int8 needs engine: local")
        if self.engine == "vllm" and self.open_bias and self.vllm.draft:
            raise ValueError("open_bias with engine: vllm needs vllm.draft: 0, vLLM ignores biases when it drafts")
        if self.engine == "vllm" and self.vllm.tensor_parallel > 1 and self.tag.gpus != self.vllm.tensor_parallel:
            raise ValueError(f"tag.gpus must be vllm.tensor_parallel, {self.vllm.tensor_parallel}")
        return self

    def load_tag_sets(self) -> dict[str, tuple[TagSet, ...]]:
        """Load the tag sets, by language.

        Raises:
            ConfigError: One does not exist, or is listed under another language than its own.
        """
        loaded: dict[str, tuple[TagSet, ...]] = {
            lang: tuple(load_tag_set(name) for name in names) for lang, names in self.tag_sets.items()
        }
        for lang, tag_sets in loaded.items():
            for t in tag_sets:
                if t.lang != lang:
                    raise ConfigError(f"tag_sets.{lang}: tag set {t.name} is for {t.lang}", hint=f"move it to {t.lang}")
        return loaded


def load_config(path: str | Path | None, overrides: Mapping[str, Any]) -> JobConfig:
    """Read a job from YAML.

    Args:
        path: The file; None for defaults and overrides alone.
        overrides: Values that replace the file's, by key; of ``select`` only the keys that are given.

    Raises:
        ConfigError: Not readable, not YAML, or a key that is unknown, missing or has an unusable value.
    """
    raw = read_mapping(Path(path)) if path is not None else {}
    if isinstance(raw.get("select"), Mapping) and "select" in overrides:
        overrides = {**overrides, "select": {**raw["select"], **overrides["select"]}}
    return validated(JobConfig, {**raw, **overrides}, str(path) if path is not None else "options")


def tag_sets_by_language(names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Sort names of tag sets by the language that each is for."""
    result: dict[str, tuple[str, ...]] = {}
    for name in names:
        lang = load_tag_set(name).lang
        result[lang] = (*result.get(lang, ()), name)
    return result
