"""Small inputs, and data sets as plain values to compare."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llmner.dataset.reading import open_committed

ARTICLE = """<PubmedArticle><MedlineCitation Status="MEDLINE"><PMID Version="1">{pmid}</PMID><Article>
<Journal><JournalIssue><PubDate><Year>2024</Year></PubDate></JournalIssue></Journal>
<ArticleTitle>{title}</ArticleTitle><Abstract><AbstractText>{abstract}</AbstractText></Abstract>
</Article></MedlineCitation></PubmedArticle>"""


def text(i: int) -> str:
    """A text with mentions, nested ones among them; every seventh has none."""
    if i % 7 == 3:
        return f"nothing of note was seen in group {i}."
    return f"Patient {i} took Aspirin twice. Acute Renal Failure did not follow, nor did Fever {i % 5}."


def write_jsonl(path: Path, texts: Iterable[str], first: int = 0) -> Path:
    """One document a line; ids count up."""
    lines = (json.dumps({"id": f"d{i}", "text": t}, ensure_ascii=False) for i, t in enumerate(texts, start=first))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def pubmed_xml(pmids: Iterable[int]) -> str:
    """A PubMed file."""
    articles = "\n".join(ARTICLE.format(pmid=i, title=f"Study {i} of Aspirin.", abstract=text(i)) for i in pmids)
    return f'<?xml version="1.0" encoding="utf-8"?>\n<PubmedArticleSet>\n{articles}\n</PubmedArticleSet>\n'


def documents(output: str) -> list[dict[str, Any]]:
    """All documents in reading order, without the run that tagged them."""
    rows = open_committed(output).documents.to_table().to_pylist()
    for row in rows:
        del row["run_id"]
    return sorted(rows, key=lambda row: row["record"])


def mentions(output: str) -> list[dict[str, Any]]:
    """All flat mentions, sorted."""
    rows = open_committed(output).mentions.to_table().to_pylist()
    return sorted(rows, key=lambda row: (row["doc_key"], row["start"], -row["end"], row["tag_set"], row["type"]))
