"""``llmner publish``: the current view as plain files, or the mentions at another threshold from their scores."""

from functools import partial

from rich.console import Console

from llmner.annotator import decide
from llmner.commands.progress import steps_shown
from llmner.dataset.files import in_threads
from llmner.dataset.layout import Layout
from llmner.dataset.publish import republish
from llmner.dataset.published import publish_view
from llmner.dataset.reading import open_committed
from llmner.errors import DatasetError
from llmner.selection.competition import Rules


def run_publish_view(uri: str, console: Console, *, delta: bool) -> None:
    """Publish the current view, and say where its parts lie.

    Args:
        uri: The data set.
        console: Where it is said.
        delta: Whether its files are a version of Delta tables, too.

    Raises:
        ConfigError: Delta tables cannot be written here.
        DatasetError: There is no data set, or a part of it is damaged.
    """
    with steps_shown(console, "files") as progress:
        publication = publish_view(uri, delta=delta, progress=progress)
    layout = Layout.at(uri)
    line = f"Published  commit {publication.commit} in {len(publication.parts)} parts, {layout.published}"
    console.print(line, soft_wrap=True, markup=False, highlight=False)


def run_publish(uri: str, threshold: float, console: Console) -> None:
    """Write the mentions that score at least so high and win against their rivals, and say where they lie.

    Args:
        uri: The data set.
        threshold: In [0, 1].
        console: Where it is said.

    Raises:
        DatasetError: There is no data set, or no selector has scored it.
    """
    dataset = open_committed(uri)
    prefix = "selector."
    parts = {k.removeprefix(prefix): v for k, v in dataset.description.parts.items() if k.startswith(prefix)}
    if not parts:
        raise DatasetError(f"{dataset.uri}: no selector has scored it", hint="extract with `select: {mode: on}`")
    rules = Rules.of_parts(parts, threshold=threshold)
    with steps_shown(console, "files") as progress:
        folder = republish(
            dataset.layout, dataset.files(), threshold, partial(decide, rules=rules), in_threads, progress
        )
    console.print(f"Mentions   {folder}", soft_wrap=True, markup=False, highlight=False)
