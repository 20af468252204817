"""The models of a run: how the driver describes them, and how a worker loads them.

Invariant: a worker annotates with exactly the models that the data set's fingerprint names, or not at all.
"""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, Literal, Protocol, TypeVar

from llmner.annotator import Judge, Step, Tagger, TaggerAndJudge, TagSets
from llmner.config import JobConfig
from llmner.cores import available_cores
from llmner.errors import ModelError
from llmner.models.loading import decided_number_type, load_engine, load_vllm_engine
from llmner.models.registry import generator_spec
from llmner.models.spec import GeneratorSpec
from llmner.selection.competition import Rules
from llmner.selection.loading import load_selector
from llmner.selection.selector import (
    Selector,
    fitted_open_bias,
    own_selector,
    read_settings,
    selector_spec,
)
from llmner.tagging.engine import Engine

logger = logging.getLogger(__name__)


class _Fingerprinted(Protocol):
    @property
    def fingerprint(self) -> dict[str, str]: ...


M = TypeVar("M", bound=_Fingerprinted)


@dataclass(frozen=True)
class Loadable(Generic[M]):
    """A model that is not loaded yet.

    Attributes:
        factory: Loads it in a worker.
        fingerprint: What shapes its answers.
    """

    factory: Callable[[], M]
    fingerprint: Mapping[str, str]

    def load(self) -> M:
        """Load it.

        Raises:
            ModelError: It cannot be read, or is another one than its fingerprint says.
        """
        try:
            model = self.factory()
        except OSError as e:
            raise ModelError(f"a model cannot be loaded: {e}", hint="see that this machine has its files") from e
        if model.fingerprint != dict(self.fingerprint):
            raise ModelError(
                f"the worker's model is {model.fingerprint}, the data set is made with {dict(self.fingerprint)}",
                hint="give all nodes the same models and the same version of llmner",
            )
        return model


@dataclass(frozen=True)
class Selection:
    """How a run selects.

    Attributes:
        selector: The selector.
        rules: How its scores decide.
        mode: ``on``, or ``score-only``: everything is kept.
        reads: Whether the selector reads sentences again, and so needs workers of its own.
    """

    selector: Loadable[Selector]
    rules: Rules
    mode: Literal["on", "score-only"]
    reads: bool = True

    def parts(self) -> dict[str, str]:
        """Return its parts of a fingerprint."""
        return {**self.selector.fingerprint, "mode": self.mode, **self.rules.parts()}


def load_tagger(generator: Loadable[Engine], tag_sets: TagSets, selection: Selection | None = None) -> Step:
    """Load a worker's generator, and a selector that judges in the same worker."""
    tagger = Tagger(generator.load(), tag_sets)
    return TaggerAndJudge(tagger, load_judge(selection, tag_sets)) if selection else tagger


def load_judge(selection: Selection, tag_sets: TagSets) -> Judge:
    """Load a worker's selector."""
    return Judge(selection.selector.load(), tag_sets, selection.rules if selection.mode == "on" else None)


def generator_of(config: JobConfig) -> Loadable[Engine]:
    """Return the generator of a job; its number type is decided here, for all workers.

    Raises:
        ModelError: There is no such model.
    """
    spec = generator_spec(
        config.model,
        adapter=config.adapter,
        adapters=config.adapters,
        open_bias=_open_bias(config),
        dtype=decided_number_type(config.dtype, gpu=config.tag.gpus > 0, integers=config.engine == "local"),
        grammar=config.engine == "local" or config.vllm.grammar,
    )
    return Loadable(partial(_load_generator, config, spec), spec.fingerprint())


def _open_bias(config: JobConfig) -> float:
    """Return the generator's bias: the job's, or what its selector was fitted to. vLLM ignores it when it drafts."""
    if config.open_bias is not None:
        return config.open_bias
    drafts = config.engine == "vllm" and config.vllm.draft > 0
    return 0.0 if drafts else fitted_open_bias(selector_named(config))


def _load_generator(config: JobConfig, spec: GeneratorSpec) -> Engine:
    # Ray sets OMP_NUM_THREADS to the cores that it reserves; reading and writing next to the engine need little.
    threads = config.tag.threads or available_cores()
    if config.engine == "vllm":
        os.environ["OMP_NUM_THREADS"] = str(threads)
        return load_vllm_engine(spec, config.vllm, gpus=config.tag.gpus)
    return load_engine(spec, threads=threads, gpus=config.tag.gpus)


def selector_named(config: JobConfig) -> str | None:
    """Return which selector a job names, or has without naming it; None where it has none.

    Raises:
        ConfigError: The file of the job's model does not describe one.
        ModelError: The selector cannot be read.
    """
    select = config.select
    if select.mode == "off":
        return None
    if select.mode == "auto" and select.model is None:
        return own_selector(config.model)
    return select.model or config.model


def selection_of(config: JobConfig) -> Selection | None:
    """Return the selection of a job, its number type decided for all workers; None where no selector runs.

    Raises:
        ModelError: There is no such selector.
    """
    select, name = config.select, selector_named(config)
    if name is None:
        return None
    spec = selector_spec(name, dtype=decided_number_type(config.dtype, gpu=select.gpus > 0, integers=False))
    settings = read_settings(spec.folder)
    unknown = sorted({t.name for sets in config.load_tag_sets().values() for t in sets} - set(settings.tuned))
    if select.mode == "on" and unknown:
        logger.warning(
            "selector %s was not trained on tag set %s and may drop right mentions there (mode: score-only drops none)",
            spec.name,
            ", ".join(unknown),
        )
    factory = partial(load_selector, spec, threads=select.threads or available_cores())
    selector: Loadable[Selector] = Loadable(factory, spec.fingerprint())
    mode: Literal["on", "score-only"] = "score-only" if select.mode == "score-only" else "on"
    return Selection(selector, settings.rules(select.threshold), mode, reads=spec.base is not None)
