"""A corpus, a tag set and settings small enough to train on in a test."""

import json
from pathlib import Path

import tiny_models
import yaml


def write_corpus(path: Path) -> None:
    """Sentences in which one chemical and one disease are to be found."""
    lines = []
    for verb in ("cured", "caused", "worsened", "relieved"):
        for end in (" slowly.", " today.", " again.", ""):
            text = f"aspirin {verb} gout{end}"
            start = text.index("gout")
            entities = [
                {"start": 0, "end": 7, "type": "Chemical"},
                {"start": start, "end": start + 4, "type": "Disease"},
            ]
            lines.append({"text": text, "entities": entities})
            lines.append({"text": f"nothing {verb} it{end}", "entities": []})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def write_tag_set(path: Path) -> None:
    """A tag set with a short prompt."""
    types = [{"name": "Chemical", "definition": "A drug."}, {"name": "Disease", "definition": "An illness."}]
    path.write_text(yaml.safe_dump({"name": "tiny", "lang": "en", "types": types}), encoding="utf-8")


def prepare(folder: Path, model: str) -> dict[str, str]:
    """Write an untrained model, the corpus and the tag set into a folder.

    Returns:
        The corpus for a configuration, its training part for development as well; its sentences are so short that
        this is no fault.
    """
    tiny_models.save(model, folder / "base")
    write_corpus(folder / "train.jsonl")
    write_tag_set(folder / "tags.yaml")
    part = str(folder / "train.jsonl")
    return {"name": "tiny", "tag_set": str(folder / "tags.yaml"), "train": part, "dev": part}


def settings(folder: Path, output: str, **changes: object) -> dict:
    return {
        "model": str(folder / "base"),
        "corpora": [{"name": "tiny", "train": str(folder / "train.jsonl"), "tag_set": str(folder / "tags.yaml")}],
        "output": str(folder / output),
        "rank": 8,
        "alpha": 16,
        "learning_rate": 1e-2,
        "steps": 12,
        "warmup": 2,
        "batch_tokens": 400,
        "checkpoint_every": 3,
        **changes,
    }
