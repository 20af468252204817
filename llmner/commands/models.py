"""``llmner models``: the models that have a name, and the card of one."""

from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from llmner.errors import ConfigError
from llmner.models.registry import named, names


def show_models(console: Console) -> None:
    """List the models that come with the package."""
    table = Table()
    for heading in ("name", "base", "adapter", "selector", "tag sets", "terms"):
        table.add_column(heading, overflow="fold")
    for name in names():
        model = named(name)
        assert model is not None
        parts = ("yes" if part else "no" for part in (model.adapter, model.selector))
        table.add_row(name, model.base, *parts, ", ".join(model.tag_sets), model.licence)
    console.print(table)


def show_card(model: str, console: Console) -> None:
    """Show a model's card.

    Raises:
        ConfigError: There is no model of this name, or it has no card that can be read.
    """
    found = named(model)
    if found is None:
        raise ConfigError(f"no model is named {model!r}", hint=f"named: {', '.join(names())}; or give a YAML file")
    if found.card is None:
        raise ConfigError(f"model {model!r} has no card", hint="name its Markdown file as `card`")
    try:
        text = Path(found.card).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{found.card}: cannot be read as a model card: {e}") from e
    console.print(Markdown(text))
