"""The plan of a run: everything that follows from a job before anything is read, loaded or written.

Invariant: a plan is a pure function of the job, its listed inputs and the fingerprints of its models; the same job over
unchanged inputs gives the same plan, so a rerun finds its batch and its checkpoint.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmner.config import JobConfig
from llmner.dataset.fingerprint import Fingerprint
from llmner.dataset.layout import BatchLayout, Layout
from llmner.dataset.manifest import Input
from llmner.dataset.schema import SCHEMA_VERSION
from llmner.segmentation import VERSION as SEGMENTATION_VERSION
from llmner.sources.files import SourceFile
from llmner.sources.texts import VERSION as TEXTS_VERSION
from llmner.tagset import TagSet

TagSets = Mapping[str, tuple[TagSet, ...]]  # by language


@dataclass(frozen=True)
class Plan:
    """What a run does.

    Attributes:
        config: The job.
        files: The inputs in the order of their numbers.
        tag_sets: Tag sets by language.
        fingerprint: Everything that shapes the answers.
        reading: Digest of how the inputs are read.
        inputs_digest: Tells what is read from everything else that could be.
        layout: The data set.
        batch: The batch that the run makes.
    """

    config: JobConfig
    files: tuple[SourceFile, ...]
    tag_sets: TagSets
    fingerprint: Fingerprint
    reading: str
    inputs_digest: str
    layout: Layout
    batch: BatchLayout

    @property
    def checkpoint_name(self) -> str:
        """Name of the checkpoint for exactly these settings and inputs."""
        return f"{self.fingerprint.hash}-{self.inputs_digest}"

    @property
    def checkpoint(self) -> str:
        """Where that checkpoint lies."""
        return self.batch.checkpoint(self.checkpoint_name)

    @property
    def suspects(self) -> str:
        """The file beside it that keeps the documents that are suspected of killing workers."""
        return f"{self.checkpoint}.suspects.json"

    @property
    def inputs(self) -> list[Input]:
        """The inputs as a manifest lists them, before anything is counted."""
        return [Input(uri=f.shown, size=f.size, version=f.revision) for f in self.files]

    @property
    def described_tag_sets(self) -> list[dict[str, Any]]:
        """The tag sets as ``dataset.json`` describes them."""
        return [
            {"name": t.name, "lang": t.lang, "digest": t.digest, "types": [vars(e) for e in t.types]}
            for sets in self.tag_sets.values()
            for t in sets
        ]


def resolve(
    config: JobConfig,
    *,
    files: Sequence[SourceFile],
    tag_sets: TagSets,
    generator: Mapping[str, str],
    selection: Mapping[str, str],
) -> Plan:
    """Plan a run.

    Args:
        config: The job.
        files: The inputs that it names.
        tag_sets: The tag sets that it names.
        generator: What shapes the generator's answers: digests of model and adapter, prompts, decoding.
        selection: What shapes the selection; empty where no selector runs.
    """
    how = reading(config)
    digest = _digest([[f.url, f.format, f.size, f.revision] for f in files], how)
    layout = Layout.at(config.output)
    return Plan(
        config=config,
        files=tuple(files),
        tag_sets=tag_sets,
        fingerprint=_fingerprint(config, tag_sets, generator, selection),
        reading=how,
        inputs_digest=digest,
        layout=layout,
        batch=layout.batch(config.batch or _batch_name(files, digest)),
    )


def _fingerprint(
    config: JobConfig, tag_sets: TagSets, generator: Mapping[str, str], selection: Mapping[str, str]
) -> Fingerprint:
    parts = {"schema": SCHEMA_VERSION, "texts": str(TEXTS_VERSION)}
    parts["segmentation"] = f"{SEGMENTATION_VERSION}, at most {config.max_sentence}"
    parts |= {f"generator.{key}": value for key, value in generator.items()}
    parts |= {f"selector.{key}": value for key, value in selection.items()}
    for lang, sets in tag_sets.items():
        parts[f"tag_sets.{lang}"] = ", ".join(f"{t.name} {t.digest[:12]}" for t in sets)
    return Fingerprint(parts)


def reading(config: JobConfig) -> str:
    """Digest how a job reads its inputs, and how much of them: the same files read otherwise give other documents."""
    other = config.limits.model_dump(exclude_defaults=True)  # a record that one of them rejects may be read by another
    return _digest(config.format, sorted(config.fields.items()), config.limit, *([other] if other else []))


def _digest(*content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _batch_name(files: Sequence[SourceFile], digest: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", files[0].name.partition(".")[0]).strip("-_")[:40] or "batch"
    return f"{stem}-{digest[:8]}"
