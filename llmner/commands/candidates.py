"""``llmner candidates``: what a generator finds in annotated sentences, for training and measuring a selector."""

from pathlib import Path

from rich.console import Console

from llmner.annotations import draw, read_annotations
from llmner.commands.convert import parsed_types
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
    types: str | None = None,
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
        types: Which types of the corpus count as which of the tag set's, as ``A=B,C``; only these are candidates.
        sentences: Sentences to draw, in whole documents; None for all.
        seed: Seed of the draw.

    Raises:
        LlmnerError: The sentences, the tag set or the model cannot be used.
    """
    asked = load_tag_set(tag_set)
    mapped = parsed_types(types) if types else {t.name: t.name for t in asked.types}
    asked.narrowed(mapped.values())  # tells names that are not in it
    read = [s.mapped(mapped) for s in read_annotations(data, types=None if types else mapped)]
    if not read:
        raise ConfigError(f"{data}: no sentences to find candidates in")
    chosen = {i + 1: read[i] for i in draw(read, sentences, seed=seed)}
    engine = load_engine(generator)
    found = 0
    with output.open("w", encoding="utf-8") as stream:
        source = f"{data.absolute().parent.name}/{data.name}"
        for judged in find_candidates(engine, chosen, asked, source=source, types=set(mapped.values())):
            stream.write(judged.to_json() + "\n")
            found += len(judged.candidates)
    console.print(f"{len(chosen)} sentences with {found} candidates in {output}", soft_wrap=True)
