"""A job in batches: inputs that the data set holds are not read again, the others go in batches of bounded size.

Ray Data's driver keeps a kilobyte for each block and stage until its run ends, so a run may not be of any length.

Invariant: batches depend on the sorted files that the data set does not hold, and are committed in that order. So the
same job, started again after any of them, makes the rest as the first one would have.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

from llmner.config import JobConfig
from llmner.dataset.manifest import Manifest, read_manifests
from llmner.extraction.cluster import own_ray
from llmner.extraction.models import Loadable, Selection
from llmner.extraction.pipeline import OnProgress
from llmner.extraction.resolve import reading
from llmner.extraction.run import Extracted, extract, finished, planned
from llmner.sources.files import SourceFile, digested, find_files
from llmner.tagging.engine import Engine

logger = logging.getLogger(__name__)

BATCH_BYTES = 2_000_000_000  # as stored: of PubMed's files some 60, with two million records


def extract_in_batches(
    config: JobConfig,
    *,
    generator: Loadable[Engine],
    selection: Selection | None = None,
    on_progress: OnProgress = lambda _: None,
    on_batch: Callable[[Extracted], None] = lambda _: None,
) -> list[Extracted]:
    """Run a job, or the rest of it.

    Args:
        config: The job.
        generator: Finds mentions.
        selection: Judges them; None where no selector runs.
        on_progress: Called about once a second, from another thread.
        on_batch: Called with each batch when it is committed, or found to be.

    Returns:
        The batches that hold the inputs, those that were committed before first.

    Raises:
        LlmnerError: The job cannot be run as asked, or failed; batches that are committed stay.
    """
    files = find_files(config.inputs, config.format)
    layout = planned(config, files, generator, selection).layout
    found = []

    def keep(extracted: Extracted) -> None:
        found.append(extracted)
        on_batch(extracted)

    if config.batch is None:
        holding, files = divided(files, read_manifests(layout), reading(config))
        for manifest in holding:
            keep(finished(layout.batch(manifest.batch), manifest))
    groups = grouped(files, config.files_per_batch) if config.limit is None else [files]
    if len(groups) > 1:
        logger.info("%d files in %d batches, committed one after the other", len(files), len(groups))
    with own_ray() if groups else nullcontext():
        for number, group in enumerate(groups, 1):
            name = f"{config.batch}-{number:03}" if config.batch and len(groups) > 1 else config.batch
            job = config.model_copy(update={"inputs": tuple(f.url for f in group), "batch": name})
            keep(extract(job, generator=generator, selection=selection, on_progress=on_progress))
    return found


def divided(
    files: Sequence[SourceFile], manifests: Sequence[Manifest], reading: str
) -> tuple[list[Manifest], list[SourceFile]]:
    """Tell the files that a data set holds from those that it does not.

    A file is held if a batch was made of one of its name and content, read in the same way.

    Args:
        files: Files as listed.
        manifests: The batches of the data set.
        reading: See ``resolve.reading``.

    Returns:
        The batches that hold files, in the order of their commits, and the files that none holds.
    """
    alike = [m for m in manifests if m.reading == reading and m.retries is None]
    holders = {(i.uri.rpartition("/")[2], i.size, i.version): m for m in alike for i in m.inputs}
    sizes = {(name, size) for name, size, _ in holders}
    candidates = [f for f in files if (f.name, f.size) in sizes]  # only these need be read
    known = {
        file.url: holders[key]
        for file in digested(candidates)
        if (key := (file.name, file.size, file.revision)) in holders
    }
    commits = {m.commit for m in known.values()}
    return [m for m in alike if m.commit in commits], [f for f in files if f.url not in known]


def grouped(files: Sequence[SourceFile], most: int | None) -> list[list[SourceFile]]:
    """Put files into groups, in their order.

    Args:
        files: Files as listed.
        most: Files of a group; None for as many as have ``BATCH_BYTES`` together, at least one.
    """
    return list(_grouped(files, most))


def _grouped(files: Sequence[SourceFile], most: int | None) -> Iterator[list[SourceFile]]:
    group: list[SourceFile] = []
    for file in files:
        full = len(group) == most if most else sum(f.size for f in group) + file.size > BATCH_BYTES
        if group and full:
            yield group
            group = []
        group.append(file)
    if group:
        yield group
