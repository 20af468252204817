"""``llmner candidates``: what a generator finds in annotated sentences, for training and measuring a selector."""

from pathlib import Path
from random import Random

from rich.console import Console

from llmner.annotations import read_annotations
from llmner.errors import ConfigError
from llmner.models.loading import load_engine
from llmner.models.spec import GeneratorSpec
from llmner.selection.candidates import find_candidates
from llmner.tagset import load_tag_set


def write_candidates(
    data: Path,
    tag_set: str,
    output: Path,
    console: Console,
    *,
    generator: GeneratorSpec,
    sentences: int | None,
    seed: int,
) -> None:
    """Write the candidates of annotated sentences as JSON lines.

    Args:
        data: File of annotated sentences.
        tag_set: The tag set that they are annotated with, by name or YAML file.
        output: File to write.
        console: Where the summary goes.
        generator: The generator.
        sentences: Sentences to draw; None for all.
        seed: Seed of the draw.

    Raises:
        LlmnerError: The sentences, the tag set or the model cannot be used.
    """
    types = load_tag_set(tag_set)
    read = read_annotations(data, types=[t.name for t in types.types])
    if not read:
        raise ConfigError(f"{data}: no sentences to find candidates in")
    count = len(read) if sentences is None else min(sentences, len(read))
    chosen = {i + 1: read[i] for i in sorted(Random(seed).sample(range(len(read)), count))}
    engine = load_engine(generator)
    found = 0
    with output.open("w", encoding="utf-8") as stream:
        for judged in find_candidates(engine, chosen, types, source=data.name):
            stream.write(judged.to_json() + "\n")
            found += len(judged.candidates)
    console.print(f"{len(chosen)} sentences with {found} candidates in {output}", soft_wrap=True)
