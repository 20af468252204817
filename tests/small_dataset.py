"""Data sets made by hand: documents with given mentions, committed as a run commits them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from llmner import storage
from llmner.dataset.files import write_table
from llmner.dataset.fingerprint import Fingerprint, ensure
from llmner.dataset.layout import Layout
from llmner.dataset.manifest import Draft, File
from llmner.dataset.manifest import commit as commit_manifest
from llmner.dataset.publish import flatten
from llmner.dataset.schema import DOCUMENT_SCHEMA, SCHEMA_VERSION
from llmner.documents import document_key
from llmner.mentions import parents
from llmner.segmentation import segment


@dataclass
class Document:
    """A document and what was found in it: strings with their types, each at its first place that is not taken."""

    source_id: str
    text: str
    mentions: Sequence[tuple[str, str]] = ()
    title: str = ""
    source: str = "pubmed"
    version: int = 1
    lang: str = "en"
    year: int | None = 2020
    status: str = "ok"
    score: float = 0.9
    tag_set: str = field(default="", repr=False)

    def row(self) -> dict[str, Any]:
        """A row of DOCUMENT_SCHEMA."""
        text = f"{self.title} {self.text}" if self.title else self.text
        sentences = segment(text, self.lang)
        spans, taken = [], set()
        for string, type in self.mentions:
            start = text.find(string)
            while (start, start + len(string), type) in taken:
                start = text.find(string, start + 1)
            assert start >= 0, (string, text)
            taken.add((start, start + len(string), type))
            spans.append((start, start + len(string), type))
        spans.sort(key=lambda s: (s[0], -s[1]))
        above = parents([s[:2] for s in spans])
        return {
            "doc_key": document_key(self.source, self.source_id, self.version),
            "source": self.source,
            "source_id": self.source_id,
            "version": self.version,
            "source_file": "by hand",
            "lang": self.lang,
            "year": self.year,
            "title": self.title,
            "text": text,
            "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "parts": [{"start": 0, "end": len(text), "kind": "text", "section": "", "lang": self.lang}],
            "ids": [],
            "status": self.status,
            "sentences": [{"start": a, "end": b, "part": 0} for a, b in sentences],
            "mentions": [
                {
                    "start": start,
                    "end": end,
                    "text": text[start:end],
                    "type": type,
                    "tag_set": self.tag_set or ("cmeee_v2" if self.lang == "zh" else "bc5cdr"),
                    "sentence": next(i for i, (a, b) in enumerate(sentences) if a <= start < b),
                    "parent": above[i],
                    "generator_score": self.score,
                    "kept": True,
                    "match": "exact",
                }
                for i, (start, end, type) in enumerate(spans)
            ],
            "source_tokens": 1,
            "fed_tokens": 1,
            "run_id": "run",
            "record": 0,
        }


class Unchanged(Document):
    """A document whose text an earlier batch has tagged: its row has the hash of the text and nothing else of it."""

    def row(self) -> dict[str, Any]:
        return {**super().row(), "title": "", "text": "", "sentences": [], "mentions": []}


def commit(uri: str, batch: str, documents: Sequence[Document], *, files: int = 1, place: str | None = None) -> None:
    """Commit documents as a batch, spread over files; ``place`` is that of the manifest."""
    layout = Layout.at(uri)
    ensure(layout, Fingerprint({"made": "by hand"}), [])
    parts, written = layout.batch(batch), []
    for i in range(files):
        table = pa.Table.from_pylist([d.row() for d in documents[i::files]], schema=DOCUMENT_SCHEMA)
        name = f"{batch}-{i}.parquet"
        write_table(storage.join(parts.documents, name), table)
        write_table(storage.join(parts.mentions, name), flatten(table))
        written.append(File(name=name, rows=table.num_rows, bytes=1, sha256="by hand"))
    commit_manifest(
        layout,
        Draft(
            schema_version=SCHEMA_VERSION,
            batch=batch,
            inputs_digest="by hand",
            fingerprint="by hand",
            inputs=[],
            files=written,
            counts={"documents": len(documents)},
            tag_sets={},
            started="2026-01-01T00:00:00Z",
            finished="2026-01-01T00:00:00Z",
            run_id="run",
            versions={},
            place=place,
        ),
    )
