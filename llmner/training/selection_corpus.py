"""Settings of a selector's training, and what it learns from: sentences with candidates that are right or wrong.

Invariant: every gold mention of a sentence that is taken is a positive, no negative is gold, and the same settings
give the same examples.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from llmner.annotations import AnnotatedSentence, read_annotations
from llmner.errors import ConfigError
from llmner.mentions import Mention
from llmner.models.registry import DEFAULT
from llmner.selection.candidates import Sheet, SheetCodec, read_candidates, unit_spans
from llmner.selection.competition import Nesting, nesting_of
from llmner.selection.samples import Quota, count, find_repeats, lexicon_of, samples
from llmner.settings import validated
from llmner.tagset import TagSet, load_tag_set
from llmner.training.settings import CorpusSettings, RunSettings, changed, read_whole
from llmner.units import shown, split_units

logger = logging.getLogger(__name__)


class SelectorTraining(RunSettings):
    """Settings of a selector's training.

    Attributes:
        model: Base model: a named model, a folder or a Hugging Face id.
        initial_adapter: A generator's adapter of the same base that the new one begins as, of the same rank;
            a named model means its adapter. The selector is then asked as that generator is. A fresh adapter where it
            is not given.
        corpora: Annotated sentences to make samples from, besides those in ``candidates``.
        candidates: Files of a generator's candidates on sentences that it was not trained on, of the corpora's tag
            sets or bundled ones; see ``llmner candidates``.
        dev: Files of candidates on dev sentences, for calibration, threshold and measurements.
        rank: LoRA rank.
        alpha: LoRA alpha; the product is scaled by alpha / rank.
        boundary: Boundary negatives a gold mention.
        type: Type negatives a gold mention.
        spurious: Spurious negatives a sentence.
        contrastive: Weight of the contrastive loss beside cross-entropy.
        max_tokens: Sentences whose example is longer are left out.
    """

    model: str = DEFAULT
    initial_adapter: str | None = None
    corpora: tuple[CorpusSettings, ...] = ()
    candidates: tuple[Path, ...] = ()
    dev: tuple[Path, ...] = Field(min_length=1)
    learning_rate: float = Field(default=3e-4, gt=0)
    evaluate_every: int = Field(default=100, gt=0)
    rank: int = Field(default=32, gt=0)
    alpha: int = Field(default=64, gt=0)
    boundary: int = Field(default=4, ge=0)
    type: int = Field(default=1, ge=0)
    spurious: int = Field(default=4, ge=0)
    contrastive: float = Field(default=1.0, ge=0)
    max_tokens: int = Field(default=1000, gt=0)


def read_training(
    path: Path, overrides: Mapping[str, Any], *, data: Path = Path(), variant: str | None = None
) -> SelectorTraining:
    """Read a selector's training from YAML.

    A file may name another one beside it as ``extends`` and hold only what is different, and hold ``variants``: names,
    each with what is different in it.

    Args:
        path: The file.
        overrides: Values that replace the file's, by key; ``steps`` and ``epochs`` replace each other.
        data: Folder that the paths of corpora and candidates are relative to.
        variant: The variant to read, with an output of its own in that of the file.

    Raises:
        ConfigError: Not readable, not YAML, or a key that is unknown, missing or has an unusable value.
    """
    raw = changed(read_whole(path), overrides)
    variants = raw.pop("variants", {})
    if variant is not None:
        if variant not in variants:
            raise ConfigError(f"{path}: no variant {variant!r}", hint=f"there are {', '.join(variants)}")
        raw = changed(raw, variants[variant]) | {"output": str(Path(raw["output"], variant))}
    try:
        raw["corpora"] = [{**c, "train": data / c["train"]} for c in raw.get("corpora", ())]
        raw |= {key: [data / name for name in raw.get(key, ())] for key in ("candidates", "dev")}
    except (TypeError, KeyError) as e:
        raise ConfigError(f"{path}: corpora have name and train, candidates and dev are lists of files: {e!r}") from e
    return validated(SelectorTraining, raw, str(path))


@dataclass(frozen=True, slots=True)
class SelectionExample:
    """A sentence ready for training: its tokens, and for each candidate label and group."""

    tag_set: str
    sheet: Sheet
    positive: tuple[bool, ...]
    groups: tuple[int | None, ...]

    @property
    def fed(self) -> int:
        """Tokens that the model is fed for it, prefix not counted."""
        return self.sheet.size


@dataclass(frozen=True)
class Material:
    """What a run learns from.

    Attributes:
        corpora: Examples, and how often they are seen in an epoch.
        tag_sets: By name.
        nesting: By tag set what its annotation lets nest.
    """

    corpora: list[tuple[list[SelectionExample], float]]
    tag_sets: dict[str, TagSet]
    nesting: dict[str, tuple[Nesting, ...]]


def collate(examples: Sequence[SelectionExample], prefix: Sequence[int]) -> dict[str, Any]:
    """Return a batch of examples of one tag set; groups of different sentences are different."""
    numbers: dict[tuple[int, int], int] = {}
    return {
        "prefix": list(prefix),
        "sheets": [e.sheet for e in examples],
        "positive": [p for e in examples for p in e.positive],
        "groups": [
            None if g is None else numbers.setdefault((i, g), len(numbers))
            for i, e in enumerate(examples)
            for g in e.groups
        ],
    }


def load_material(settings: SelectorTraining, codec: SheetCodec) -> Material:
    """Read sentences and candidates, and make the samples; a sentence with candidates is not taken without them."""
    tag_sets = {t.name: t for t in (load_tag_set(c.tag_set) for c in settings.corpora)}
    found: dict[tuple[str, str], tuple[AnnotatedSentence, list[Mention]]] = {}  # by tag set and text
    for path in settings.candidates:
        for judged in read_candidates(path):
            if judged.tag_set not in tag_sets:
                tag_sets[judged.tag_set] = load_tag_set(judged.tag_set)
            sentence = AnnotatedSentence(judged.text, judged.gold)
            found.setdefault((judged.tag_set, judged.text), (sentence, []))[1].extend(judged.candidates)
    read: list[tuple[str, float, list[AnnotatedSentence]]] = []
    for corpus in settings.corpora:
        tag_set = load_tag_set(corpus.tag_set)
        sentences = read_annotations(corpus.train, types=[t.name for t in tag_set.types])
        read.append((tag_set.name, corpus.weight, [s for s in sentences if (tag_set.name, s.text) not in found]))
    read += [(name, 1.0, [s for (own, _), (s, _) in found.items() if own == name]) for name in tag_sets]

    everything = {name: [s for own, _, sentences in read if own == name for s in sentences] for name in tag_sets}
    nesting = {
        name: nesting_of([[(m.start, m.end, m.type) for m in s.mentions] for s in sentences])
        for name, sentences in everything.items()
    }
    mistakes = {key: candidates for key, (_, candidates) in found.items()}
    makers = {
        name: _Maker(settings, codec, tag_sets[name], sentences, mistakes) for name, sentences in everything.items()
    }
    return Material([(makers[name].examples(s), weight) for name, weight, s in read if s], tag_sets, nesting)


class _Maker:
    """Makes the examples of one tag set.

    Args:
        settings: The run's.
        codec: For the model's tokenizer.
        tag_set: The types.
        sentences: All its sentences; what is annotated in one of them is looked for in the others.
        mistakes: What a generator found, by tag set and text.
    """

    def __init__(
        self,
        settings: SelectorTraining,
        codec: SheetCodec,
        tag_set: TagSet,
        sentences: Sequence[AnnotatedSentence],
        mistakes: Mapping[tuple[str, str], Sequence[Mention]],
    ) -> None:
        self._settings = settings
        self._codec = codec
        self._tag_set = tag_set
        self._mistakes = mistakes
        self._lexicon = lexicon_of(
            (_units(s.text), unit_spans(codec.source(s.text), s.mentions, tag_set)) for s in sentences
        )

    def examples(self, sentences: Sequence[AnnotatedSentence]) -> list[SelectionExample]:
        """Return the examples of sentences; those without a candidate, or too long, are left out and counted."""
        settings, tag_set = self._settings, self._tag_set
        quota = Quota(settings.boundary, settings.type, settings.spurious)
        result: list[SelectionExample] = []
        counted: Counter[str] = Counter()
        for sentence in sentences:
            source = self._codec.source(sentence.text)
            gold = set(unit_spans(source, sentence.mentions, tag_set))
            found = self._mistakes.get((tag_set.name, sentence.text), ())
            made = samples(
                source.blank,
                gold,
                len(tag_set.types),
                mistakes=unit_spans(source, found, tag_set),
                repeats=find_repeats(_units(sentence.text), gold, self._lexicon),
                quota=quota,
                seed=f"{settings.seed} {sentence.text}",
            )
            sheet = self._codec.sheet(source, tag_set, [s.span for s in made])
            if not made or sheet.size > settings.max_tokens:
                counted["sentences left out"] += 1
                continue
            counted.update(count(made))
            positive, groups = tuple(s.kind == "gold" for s in made), tuple(s.group for s in made)
            result.append(SelectionExample(tag_set.name, sheet, positive, groups))
        logger.info("%s: %d sentences; %s", tag_set.name, len(result), dict(sorted(counted.items())))
        return result


def _units(text: str) -> list[str]:
    return [u.strip() for u in split_units(shown(text))]
