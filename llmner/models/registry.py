"""Models with a name: one file for each in ``models/named``; a user's own file is given by its path.

A name stands wherever a reference to weights may stand: as a base it means the model's base, as an adapter its adapter,
as a selector its selector. So nothing else in the package knows any model by name.

Invariant: what leaves this module is a specification with pinned references.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from llmner.config import NumberType
from llmner.errors import ConfigError, ModelError
from llmner.models.spec import GeneratorSpec
from llmner.models.weights import described, pinned
from llmner.settings import Settings, read_mapping, validated
from llmner.tagging.prompts import DEFAULT_FORM, Form

DEFAULT = "embedded"
PROMPT_FILE = "prompt.json"  # beside an adapter's weights: how it was asked in training
_NAMED = Path(__file__).resolve().parent / "named"


class NamedModel(Settings):
    """A model with a name. Paths are relative to its file.

    Attributes:
        base: Folder, Hugging Face id (``org/name@revision``) or ``package:name`` of the base model.
        adapter: Folder or Hugging Face id of its adapter.
        adapters: The same for single tag sets or languages, by their names; vLLM only.
        selector: Folder or Hugging Face id of a selector for it.
        form: How it was trained to be asked and to answer; by default as its adapter says.
        tag_sets: Tag sets that it was trained on.
        licence: Terms of its weights.
        card: Markdown file that describes it.
    """

    base: str
    adapter: str | None = None
    adapters: Mapping[str, str] = {}
    selector: str | None = None
    form: Form | None = None
    tag_sets: tuple[str, ...] = ()
    licence: str = ""
    card: str | None = None


def names() -> list[str]:
    """Return the names of the models that come with the package."""
    return sorted(path.stem for path in _NAMED.glob("*.yaml"))


def named(model: str) -> NamedModel | None:
    """Return a model with a name, or the one that a YAML file describes; None for any other reference.

    Raises:
        ConfigError: The file does not describe a model.
    """
    is_file = model.endswith((".yaml", ".yml"))
    if not is_file and model not in names():
        return None
    path = Path(model) if is_file else _NAMED / f"{model}.yaml"
    found = validated(NamedModel, read_mapping(path), str(path))
    places = {key: _from(path.parent, getattr(found, key)) for key in ("base", "adapter", "selector", "card")}
    adapters = {name: _from(path.parent, reference) for name, reference in found.adapters.items()}
    return found.model_copy(update={**places, "adapters": adapters})


def base_of(model: str) -> str:
    """Return the pinned reference of a model's base.

    Raises:
        ModelError: There is no such model.
    """
    entry = named(model)
    return pinned(entry.base if entry else model)


def adapter_of(adapter: str) -> str | None:
    """Return the pinned reference of an adapter, or of the adapter of a named model; None where that has none.

    Raises:
        ModelError: There is no such adapter.
    """
    entry = named(adapter)
    reference = entry.adapter if entry else adapter
    return pinned(reference) if reference else None


def selector_of(selector: str) -> str:
    """Return the pinned reference of a selector, or of the selector of a named model.

    Raises:
        ConfigError: The named model has no selector.
        ModelError: There is no such selector.
    """
    entry = named(selector)
    reference = entry.selector if entry else selector
    if reference is None:
        raise ConfigError(f"model {selector!r} has no selector", hint="name one, or run without")
    return pinned(reference)


def prompt_form(adapter: str) -> Form:
    """Return how an adapter was trained to be asked and to answer, the default where it does not say.

    Raises:
        ModelError: There is no such adapter, or what it says cannot be read.
    """
    file = described(adapter) / PROMPT_FILE
    try:
        return Form(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else DEFAULT_FORM
    except (OSError, ValueError, TypeError) as e:
        raise ModelError(f"{file}: does not say how the adapter is to be asked: {e}") from e


def generator_spec(
    model: str = DEFAULT,
    *,
    adapter: str | None = None,
    adapters: Mapping[str, str] = MappingProxyType({}),
    open_bias: float = 0.0,
    dtype: NumberType = "auto",
    grammar: bool = True,
) -> GeneratorSpec:
    """Specify a generator.

    Args:
        model: A named model, the path of a file that describes one, a folder, or a Hugging Face id.
        adapter: An adapter for it; by default the named model's own.
        adapters: See ``GeneratorSpec``; by default the named model's own.
        open_bias: See ``GeneratorSpec``.
        dtype: See ``GeneratorSpec``.
        grammar: See ``GeneratorSpec``.

    Raises:
        ConfigError: The file does not describe a model.
        ModelError: A part does not exist, or adapters that were trained on different prompts are to go together.
    """
    entry = named(model) or NamedModel(base=model)
    own = adapter_of(adapter) if adapter else entry.adapter and pinned(entry.adapter)
    others = {name: pinned(reference) for name, reference in (adapters or entry.adapters).items()}
    forms = {prompt_form(reference) for reference in ([own] if own else []) + list(others.values())}
    if entry.form is None and len(forms) > 1:
        raise ModelError("adapters that were trained on different prompts cannot go together")
    return GeneratorSpec(
        name=model,
        base=pinned(entry.base),
        adapter=own,
        adapters=others,
        form=entry.form or next(iter(forms), DEFAULT_FORM),
        open_bias=open_bias,
        dtype=dtype,
        grammar=grammar,
    )


def _from(folder: Path, reference: str | None) -> str | None:
    """Return a path as seen from a folder, where there is something; any other reference as it is."""
    if reference and (folder / reference).exists():
        return str((folder / reference).resolve())
    return reference
