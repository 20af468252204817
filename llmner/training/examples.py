"""A corpus of the settings as training examples, each asked for the types that it is annotated with.

A corpus that annotates a part of a tag set's types (BC5CDR: chemicals and diseases, nothing of genes or species) is
asked for that part: the prompt has the tag set's name and definitions, and only these types. So many corpora teach
one tag set, and a type that a corpus does not annotate is never taught to be absent.

Invariant: no sentence that a run is measured on is trained on, in whichever corpus it stands; the same seed gives the
same examples.
"""

import logging
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llmner.annotations import AnnotatedSentence, read_annotations
from llmner.errors import ConfigError
from llmner.tagging.codec import Codec
from llmner.tagset import TagSet, load_tag_set
from llmner.training.corpus import Example, example, writable
from llmner.training.settings import CorpusSettings, GeneratorTraining
from llmner.units import split_units

logger = logging.getLogger(__name__)

_SHORT = 5  # sentences of fewer words ("Results", "Case report.") are in every corpus


@dataclass(frozen=True)
class Corpora:
    """What a run learns from.

    Attributes:
        examples: The examples of each corpus that is trained on.
        asked: The tag sets, whole or in part, that they are asked for, by digest.
    """

    examples: list[list[Example]]
    asked: dict[str, TagSet]


def asked_tag_set(corpus: CorpusSettings) -> TagSet:
    """Return what a corpus's sentences are asked for: its tag set, or the part of it that the corpus annotates."""
    tag_set = load_tag_set(corpus.tag_set)
    return tag_set.narrowed(corpus.types.values()) if corpus.types else tag_set


def read_sentences(corpus: CorpusSettings, path: Path) -> list[AnnotatedSentence]:
    """Read sentences of a corpus, with their mentions under its tag set's types.

    Raises:
        InputError: The file is missing or not as it should be.
        ConfigError: The corpus's map names a type that its tag set does not have.
    """
    tag_set = asked_tag_set(corpus)
    if corpus.types is None:
        return read_annotations(path, types=[t.name for t in tag_set.types])
    return [s.mapped(corpus.types) for s in read_annotations(path)]


def read_corpora(settings: GeneratorTraining, codec: Codec) -> Corpora:
    """Read the corpora of a run as training examples.

    Args:
        settings: The run's.
        codec: How the model is asked and answers.

    Raises:
        InputError: A file is missing or not as it should be.
        ConfigError: A sentence to train on is one to measure on.
    """
    train = [(c, read_sentences(c, c.train)) for c in settings.trained_on]
    dev = [(c, read_sentences(c, c.dev)) for c in settings.corpora if c.dev]
    check_apart([(c.train, s) for c, s in train], [(c.dev, s) for c, s in dev if c.dev])
    asked: dict[str, TagSet] = {}
    examples = [_examples(c, sentences, codec, asked, settings) for c, sentences in train]
    return Corpora(examples, asked)


def check_apart(
    train: Sequence[tuple[Path, Sequence[AnnotatedSentence]]], dev: Sequence[tuple[Path, Sequence[AnnotatedSentence]]]
) -> None:
    """Check that no sentence to train on is one to measure on, white space and very short sentences aside.

    Args:
        train: Files with their sentences.
        dev: Files with their sentences.

    Raises:
        ConfigError: There are such sentences; the message counts them and shows one.
    """
    measured = {key: path for path, sentences in dev for s in sentences if (key := _key(s.text))}
    for path, sentences in train:
        shared = [s.text for s in sentences if _key(s.text) in measured]
        if shared:
            other = measured[_key(shared[0])]
            raise ConfigError(
                f"{path} and {other}: {len(shared)} sentences to train on are measured on, for instance {shared[0]!r}",
                hint="take them out of the sentences to train on",
            )


def _key(text: str) -> str:
    """Return the text without white space; empty where it is too short to tell one document from another."""
    units = [unit for unit in split_units(text) if any(c.isalnum() for c in unit)]
    return "".join(text.split()) if len(units) >= _SHORT else ""


def _examples(
    corpus: CorpusSettings,
    sentences: Sequence[AnnotatedSentence],
    codec: Codec,
    asked: dict[str, TagSet],
    settings: GeneratorTraining,
) -> list[Example]:
    """Return the examples of a corpus; what they are asked for is added to ``asked``."""
    rng = random.Random(f"{settings.seed} {corpus.name}")
    whole = asked_tag_set(corpus)
    names = [t.name for t in whole.types]
    result = []
    left_out: Counter = Counter()
    for sentence in sentences:
        if not sentence.mentions and rng.random() >= corpus.empty:
            left_out["no mentions"] += 1
            continue
        tag_set = whole
        if len(names) > 1 and rng.random() < corpus.partial:
            part = rng.sample(names, rng.randrange(1, len(names)))
            tag_set, sentence = whole.narrowed(part), sentence.mapped({name: name for name in part})
        source = codec.source(sentence.text)
        spans, not_written = writable(sentence, source, tag_set, one_line=codec.layout.one_line)
        left_out += not_written
        prompt, target = [*source.tokens, *codec.suffix], codec.write(source, spans, tag_set)
        e = example(tag_set.digest, prompt, target, codec.cursor(source, tag_set))
        if e.fed <= settings.max_tokens:
            asked[tag_set.digest] = tag_set
            result.append(e)
        else:
            left_out["too long"] += 1
    logger.info("%s from %s: %d sentences; left out: %s", corpus.name, corpus.train, len(result), dict(left_out))
    return result
