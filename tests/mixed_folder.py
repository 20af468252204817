"""A folder with a file of each format, plain, compressed and in archives: each about gout."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import xlwt

PUBMED = (
    '<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID Version="1">1</PMID><Article>'
    "<ArticleTitle>Gout.</ArticleTitle></Article></MedlineCitation></PubmedArticle></PubmedArticleSet>"
)
JATS = (
    "<article><front><article-meta><title-group><article-title>Gout</article-title></title-group></article-meta>"
    "</front><body><sec><title>Methods</title><p>We gave Colchicine.</p></sec></body></article>"
)
BIOC = "<collection><document><id>5</id><passage><offset>0</offset><text>Gout.</text></passage></document></collection>"
TEXTS = {
    "a.xml": ("pubmed", PUBMED),
    "b.xml": ("jats", JATS),
    "c.xml": ("bioc", BIOC),
    "d.json": ("trials", '{"protocolSection": {"identificationModule": {"nctId": "NCT1", "briefTitle": "Gout"}}}'),
    "e.json": ("bioc", '{"id": "1", "passages": [{"offset": 0, "text": "Gout."}]}'),
    "f.json": ("jsonl", '[{"id": "1", "text": "Gout."}]'),
    "g.net": ("noteexpress", "{Reference Type}: Journal Article\n{Title}: 痛风\n"),
    "h.txt": ("endnote", "%0 Journal Article\n%T 痛风\n"),
    "i.txt": ("refworks", "RT Journal Article\nT1 痛风\n"),
    "j.txt": ("cnki", "Title-题名: 痛风\n"),
    "k.txt": ("pubtator", "11|t|Gout.\n"),
    "l.txt": ("text", "Gout hurts.\n"),
    "m.ris": ("ris", "TY  - JOUR\nTI  - Gout\nER  - \n"),
    "n.nbib": ("nbib", "PMID- 11\nTI  - Gout\n"),
    "o.tsv": ("table", "id\ttext\n1\tGout.\n"),
    "p.xls": ("xls", "<table><tr><td>id</td><td>text</td></tr><tr><td>1</td><td>Gout.</td></tr></table>"),
}
PACKED = {"q.xls": "xls", "r.parquet": "parquet", "s.xml.gz": "pubmed", "t.tar.gz": "jats", "u.zip": "refworks"}
SOURCES = [source for source, _ in TEXTS.values()] + list(PACKED.values())  # of the documents, in the files' order


def write_mixed_folder(folder: Path) -> None:
    """Write the files; each holds one document."""
    for name, (_, text) in TEXTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    book = xlwt.Workbook()
    sheet = book.add_sheet("1")
    for i, row in enumerate((["id", "text"], ["2", "痛风。"])):
        for j, cell in enumerate(row):
            sheet.write(i, j, cell)
    book.save(str(folder / "q.xls"))
    pq.write_table(pa.table({"id": ["1"], "text": ["Gout."]}), folder / "r.parquet")
    (folder / "s.xml.gz").write_bytes(gzip.compress(PUBMED.replace(">1<", ">2<").encode()))
    with tarfile.open(folder / "t.tar.gz", "w:gz") as archive:
        article = JATS.replace("Gout", "Gout again").encode()
        member = tarfile.TarInfo("PMC1/a.nxml")
        member.size = len(article)
        archive.addfile(member, io.BytesIO(article))
    with zipfile.ZipFile(folder / "u.zip", "w") as archive:
        archive.writestr("export.txt", "RT Journal Article\nT1 痛风和高尿酸血症\n".encode("gb18030"))
