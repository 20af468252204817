"""Entity types with definitions: a tag set is what one annotation guideline calls entities.

The same word means different things in different guidelines (``Disease`` in BC5CDR and in NCBI-disease),
so a tag set has a name, and every mention carries it.
"""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import yaml

from llmner.errors import ConfigError
from llmner.resources import resource


@dataclass(frozen=True)
class EntityType:
    """An entity type.

    Attributes:
        name: What data sets and users call it (``dis``).
        label: What the model writes at the start of a line (``疾病``); unique in its tag set.
        definition: What counts as a mention of it, one sentence in the tag set's language.
    """

    name: str
    label: str
    definition: str


@dataclass(frozen=True)
class TagSet:
    """Entity types in the order in which the model writes their lines.

    Attributes:
        name: Identifier, also shown to the model.
        lang: Language of the text it is for, ``en`` or ``zh``.
        types: At least one type.
    """

    name: str
    lang: Literal["en", "zh"]
    types: tuple[EntityType, ...]

    def __post_init__(self) -> None:
        for what in ("name", "label"):
            values = [getattr(t, what) for t in self.types]
            if not values or len(set(values)) != len(values):
                raise ConfigError(f"tag set {self.name}: type {what}s must be there and unique, got {values}")
        for t in self.types:
            if not t.label.strip() or any(c in t.label for c in "[]:：\n\r"):
                raise ConfigError(f"tag set {self.name}: label {t.label!r} is empty or has a bracket, colon or newline")

    def narrowed(self, names: Collection[str]) -> "TagSet":
        """Return the tag set with some of its types only, in its order and under its name.

        Args:
            names: Names of the types to keep, at least one.

        Raises:
            ConfigError: A name is not one of its types.
        """
        if unknown := set(names) - {t.name for t in self.types}:
            known = ", ".join(t.name for t in self.types)
            raise ConfigError(f"tag set {self.name} has no type {', '.join(sorted(unknown))}", hint=f"it has {known}")
        return replace(self, types=tuple(t for t in self.types if t.name in names))

    @cached_property
    def digest(self) -> str:
        """Hex sha256 of everything that shapes the prompt; part of a data set's fingerprint."""
        content = [self.name, self.lang, [[t.name, t.label, t.definition] for t in self.types]]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def load_tag_set(name: str) -> TagSet:
    """Load a tag set by the name of a bundled one or by the path of a YAML file, or some of its types.

    ``biomed:Gene,Disease`` is the tag set ``biomed`` with these two types alone.

    The file holds ``name``, ``lang`` and ``types``: a list of ``name``, optional ``label`` (default: the name)
    and ``definition``.

    Raises:
        ConfigError: No such tag set, the file is not one, or it has no such type.
    """
    if ":" in name:
        whole, _, names = name.rpartition(":")
        return load_tag_set(whole).narrowed([n.strip() for n in names.split(",")])
    path = Path(name) if name.endswith((".yaml", ".yml")) else resource(f"tagsets/{name}.yaml")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(bundled_tag_sets())
        raise ConfigError(f"no tag set {name!r}", hint=f"bundled: {known}; or give the path of a .yaml file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path}: not YAML: {e}") from e
    try:
        types = tuple(EntityType(t["name"], t.get("label", t["name"]), t["definition"].strip()) for t in raw["types"])
        return TagSet(raw["name"], raw["lang"], types)
    except (KeyError, TypeError, AttributeError) as e:
        raise ConfigError(f"{path}: a tag set needs name, lang and types with name and definition: {e!r}") from e


def bundled_tag_sets() -> list[str]:
    """Names of the tag sets that come with the package."""
    return sorted(p.stem for p in resource("tagsets").glob("*.yaml"))
