"""Settings as YAML files hold them: strict models, and errors that say which file and which key.

Invariant: a key that is not known is an error, never passed over.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from llmner.errors import ConfigError


class Settings(BaseModel):
    """Base of all settings: frozen, and every key is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


S = TypeVar("S", bound=Settings)


def read_mapping(path: Path) -> dict[str, Any]:
    """Return what a YAML file holds.

    Raises:
        ConfigError: Not readable, not YAML or no mapping.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path}: cannot be read: {e}") from e
    except yaml.YAMLError as e:
        raise ConfigError(f"{path}: not YAML: {e}") from e
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: settings are a mapping of keys to values, got {type(raw).__name__}")
    return raw


def validated(model: type[S], raw: Mapping[str, Any], where: str) -> S:
    """Make settings from what a file holds.

    Args:
        model: The settings' class.
        raw: Values by key.
        where: Where they are from; errors name it.

    Raises:
        ConfigError: A key that is unknown, missing or has an unusable value.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as e:
        problems = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'settings'}: {p['msg']}" for p in e.errors())
        raise ConfigError(f"{where}: {problems}", hint=f"keys: {', '.join(model.model_fields)}") from e
