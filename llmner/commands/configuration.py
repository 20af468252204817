"""``llmner configuration``: every key of the YAML files with its default and meaning, as Markdown.

Invariant: keys, types and defaults come from the settings' classes and meanings from their docstrings, so the page
cannot say anything else than the code does; ``docs/configuration.md`` is this page.
"""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any, get_args

from pydantic import TypeAdapter

from llmner.config import JobConfig
from llmner.models.registry import NamedModel
from llmner.settings import Settings
from llmner.training.selection_corpus import SelectorTraining
from llmner.training.settings import GeneratorTraining

_FILES: dict[str, type[Settings]] = {
    "Job: `llmner extract --config FILE`": JobConfig,
    "Generator's training: `llmner train generator --config FILE`": GeneratorTraining,
    "Selector's training: `llmner train selector --config FILE`": SelectorTraining,
    "Named model: `--model FILE`": NamedModel,
}
_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "object": "mapping",
}
_PREFACE = """# Configuration

All files are YAML; a key that is not listed here is an error. A table for each part that has keys of its own follows
the file that it belongs to. This page is what `llmner configuration` writes.
"""


def configuration_page() -> str:
    """Return the page."""
    parts = [_PREFACE]
    for title, settings in _FILES.items():
        parts.append(f"## {title}\n\n{_table(settings)}")
        parts += [f"### `{key}`\n\n{_table(part)}" for key, part in _parts(settings)]
    return "\n".join(parts)


def _table(settings: type) -> str:
    schema, meanings = TypeAdapter(settings).json_schema(), _meanings(settings)
    rows = [
        f"| `{key}` | {_kind(value)} | {_default(key, schema)} | {meanings[key]} |"
        for key, value in schema["properties"].items()
    ]
    return "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows]) + "\n"


def _meanings(settings: type) -> dict[str, str]:
    """Return what each key means, from the docstrings of the class and those it inherits from."""
    found: dict[str, str] = {}
    for base in reversed(settings.__mro__):
        section = inspect.cleandoc(base.__doc__ or "").partition("\nAttributes:\n")[2]
        for key, meaning in re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", section, re.MULTILINE):
            found[key] = " ".join(meaning.split()).replace("``", "`").replace("|", r"\|")
    return found


def _parts(settings: type[Settings]) -> Iterator[tuple[str, type]]:
    """Yield the keys whose values have keys of their own, and the class of these."""
    for key, field in settings.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and (issubclass(kind, Settings) or is_dataclass(kind)):
                yield key, kind


def _kind(schema: Mapping[str, Any]) -> str:
    """Say in words which values a JSON schema admits."""
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "prefixItems" in schema:
        return f"list of {len(schema['prefixItems'])}"
    if schema.get("type") == "array":
        return f"list: {_kind(schema['items'])}"
    if "$ref" in schema:
        return "keys below"
    return _WORDS[schema["type"]]


def _default(key: str, schema: Mapping[str, Any]) -> str:
    value = schema["properties"][key]
    if key in schema.get("required", ()):
        return "required"
    if "$ref" in value:
        return ""
    default = value.get("default")
    return "" if default in (None, "") else f"`{json.dumps(default, ensure_ascii=False)}`"
