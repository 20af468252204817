"""Options that several commands have, each with one meaning."""

from pathlib import Path
from typing import Annotated, Any

import typer

from llmner.config import NumberType

Model = Annotated[str, typer.Option(help="Named model or its YAML file, Hugging Face id or path.")]
Adapter = Annotated[str | None, typer.Option(help="Adapter: folder or Hugging Face id.")]
OpenBias = Annotated[float, typer.Option(help="Above 0 the generator finds more, and errs more.")]
NumberTypeOption = Annotated[NumberType, typer.Option("--dtype", help="Number type to compute with.")]
Config = Annotated[Path, typer.Option(help="Settings (YAML); docs/configuration.md lists them.")]
Data = Annotated[Path, typer.Option(help="Folder that the paths of corpora are relative to.")]
Output = Annotated[str | None, typer.Option(help="Folder of checkpoints and the result.")]
Dataset = Annotated[str, typer.Argument(help="Data set; a path or URL.")]
CommitOption = Annotated[int | None, typer.Option("--commit", help="As of this commit; by default the newest.")]
Memory = Annotated[str, typer.Option(help="Most memory that the joins may take.")]
Steps = Annotated[int | None, typer.Option(help="Steps of training.")]


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {key: value for key, value in options.items() if value is not None}
