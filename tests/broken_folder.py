"""A folder with a file of each format whose records, or which itself, are broken in that format's way.

Each file also holds documents that are whole, about gout, before and behind what is broken where the format allows it.
"""

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import xlwt


class Broken(NamedTuple):
    """A file.

    Attributes:
        source: The source of its documents that are whole.
        content: Its bytes.
        good: How many they are.
        bad: For each document that is rejected, words of its reason, in the order of the file.
    """

    source: str
    content: bytes
    good: int
    bad: tuple[str, ...]


def _article(pmid: int, title: str = "Gout.", year: str = "2020") -> str:
    return (
        f'<PubmedArticle><MedlineCitation><PMID Version="1">{pmid}</PMID><Article><Journal><JournalIssue><PubDate>'
        f"<Year>{year}</Year></PubDate></JournalIssue></Journal><ArticleTitle>{title}</ArticleTitle></Article>"
        "</MedlineCitation></PubmedArticle>"
    )


def _jats(number: int, body: str = "<p>Gout hurts.</p>", year: str = "2020") -> str:
    return (
        f'<article><front><article-meta><article-id pub-id-type="pmid">{number}</article-id><title-group>'
        f"<article-title>Gout</article-title></title-group><pub-date><year>{year}</year></pub-date></article-meta>"
        f"</front><body>{body}</body></article>"
    )


def _bioc(id: str, text: str = "Gout.", offset: str = "0") -> str:
    return f"<document><id>{id}</id><passage><offset>{offset}</offset><text>{text}</text></passage></document>"


def _study(nct: str, title: str = "Gout", date: str = "2020-01") -> str:
    dates = f'"statusModule": {{"startDateStruct": {{"date": "{date}"}}}}'
    names = f'"identificationModule": {{"nctId": "{nct}", "briefTitle": "{title}"}}'
    return f'{{"protocolSection": {{{names}, {dates}}}}}'


def _parquet(**columns: pa.Array) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def _strings(*values: bytes) -> pa.Array:
    """Texts as they are stored, be they UTF-8 or not."""
    return pa.array(values, pa.binary()).view(pa.string())


def _twice_the_text() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table([["1"], ["Gout."], ["Fever."]], names=["id", "text", "text"]), stream)
    return stream.getvalue()


def _with_bad_dates() -> bytes:
    dates = pa.array([2**31 - 1, 0], pa.int32()).cast(pa.date32())  # the first is five million years off
    return _parquet(id=pa.array(["8", "9"]), text=pa.array(["Gout.", "Gout."]), year=dates)


def _workbook() -> bytes:
    book = xlwt.Workbook()
    sheet = book.add_sheet("1")
    far = xlwt.easyxf(num_format_str="YYYY-MM-DD")
    for i, row in enumerate((["id", "text", "year"], ["5", "Gout.", 1e9], ["6", "Gout.", 43831], ["7", "", ""])):
        for j, cell in enumerate(row):
            sheet.write(i, j, cell, far if i and j == 2 else xlwt.Style.default_style)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in (
            ("a.nxml", _jats(71).encode()),
            ("b.nxml.gz", gzip.compress(_jats(72).encode())[:40]),
            ("c.nxml", _jats(74).encode()),
            ("d.nxml", _jats(73).encode()),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("a.txt", "b.txt", "c.txt"):
            archive.writestr(name, f"Gout in {name}.")
    return stream.getvalue().replace(b"Gout in b.txt.", b"Gout at b.txt.", 1)  # its checksum is another


def _tagged(line: str, end: str = "") -> bytes:
    """Three records of a dialect; the one in the middle is not of the others' encoding."""
    first, bad, last = (line.format(title).encode() + b"\n" + end.encode() for title in ("痛风", "BAD", "痛风和尿酸"))
    return first + bad.replace(b"BAD", b"\xff\xfe\x81") + last


HALF = r"\ud800"  # a surrogate on its own, as JSON may write it
FILES = {
    "a-pubmed.xml": Broken(
        "pubmed",
        f"<PubmedArticleSet>{_article(1)}{_article(2, '<i>Gout')}{_article(3, 'Gout.', '99999')}"
        f"{_article(4, '痛风')}".encode()
        + _article(5, "BAD").encode().replace(b"BAD", b"\xff\xfe")
        + _article(6)[:200].encode(),
        3,
        ("PMID 2 at byte", "PMID 5 at byte", "ends in the record at byte"),
    ),
    "b-jats.xml": Broken(
        "jats",
        f"{_jats(11)}{_jats(12, '<p>Gout')}{_jats(13, year='99999')}".encode()
        + _jats(14, "<p>BAD</p>").encode().replace(b"BAD", b"\xff\xfe")
        + _jats(15)[:200].encode(),
        2,
        ("record 2 at byte", "record 4 at byte", "the file ends in it"),
    ),
    "c-bioc.xml": Broken(
        "bioc",
        f"<collection>{_bioc('21')}{_bioc('22', '<b>Gout')}{_bioc('23', offset='first')}{_bioc('24')[:60]}".encode(),
        1,
        ("record 2 at byte", "record 3 at byte", "the file ends in it"),
    ),
    "d-bioc.json": Broken(
        "bioc",
        (
            '{"documents": ['
            '{"id": "31", "passages": [{"offset": 0, "text": "Gout."}]},'
            f'{{"id": "32", "passages": [{{"offset": 0, "text": "Gout {HALF}."}}]}},'
            f'{{"id": "{HALF}", "passages": [{{"offset": 0, "text": "Gout."}}]}},'
            f'{{"id": "34", "passages": [{{"offset": 0, "text": "Gout.", "infons": {{"section": "{HALF}"}}}}]}},'
            '{"id": "35", "passages": [{"offset": 0, "text": 7}]},'
            '{"id": "36", "passages": 7},'
            '{"id": "37", "passages": [{"offset": 0, "text": "Gout."}]}, {"id": "38'
        ).encode(),
        2,
        ("record 2", "record 3", "record 4", "record 5", "record 6", "ends before its end"),
    ),
    "e-trials.json": Broken(
        "trials",
        (
            f'{{"studies": [{_study("NCT1")}, {_study("NCT2", HALF)}, {_study(HALF)}, '
            f'{_study("NCT4", date="99999-01")}, {{"protocolSection": [7]}}, {_study("NCT6").replace(":", ";", 1)}, '
            f"{_study('NCT7')}]}}"
        ).encode(),
        3,
        ("record 2", "record 3", "record 5", "record 6"),
    ),
    "f-lines.jsonl": Broken(
        "jsonl",
        (
            '{"id": "41", "text": "Gout."}\n'
            f'{{"id": "42", "text": "Gout {HALF}."}}\n'
            f'{{"id": "{HALF}", "text": "Gout."}}\n'
            f'{{"id": "44", "text": "Gout.", "{HALF}": 1, "pmid": "7"}}\n'
            f'{{"id": "45", "text": "Gout.", "doi": "10.1/{HALF}"}}\n'
            '{"id": "46", "text": "Gout.", "year": "99999-01-01", "version": 9999999999}\n'
            f'{{"{HALF}": 1}}\n'
            '{"id": "48", "text": "Gout."\n'
            '{"id": 1e400, "text": "Gout."}\n'
        ).encode()
        + b'{"id": "50", "text": "\xff\xfe"}\n'
        + b'{"id": "51", "text": "Gout.", "title": "'
        + HALF.encode()
        + b'"}\n',
        4,
        ("line 2", "line 3", "line 5", "line 7", "line 8", "line 9", "line 10"),
    ),
    "g-noteexpress.net": Broken("noteexpress", _tagged("{{Reference Type}}: Thesis\n{{Title}}: {}"), 2, ("record 2",)),
    "h-endnote.enw": Broken("endnote", _tagged("%0 Thesis\n%T {}"), 2, ("record 2",)),
    "i-refworks.txt": Broken("refworks", _tagged("RT Thesis\nT1 {}"), 2, ("record 2",)),
    "j-cnki.eln": Broken("cnki", _tagged("Title-题名: {}"), 2, ("record 2",)),
    "k-ris.ris": Broken("ris", _tagged("TY  - THES\nTI  - {}\nPY  - 99999", "ER  - \n"), 2, ("record 2",)),
    "l-medline.nbib": Broken("nbib", _tagged("PMID- {0}\nTI  - {0}"), 2, ("record 2",)),
    "m-pubtator.txt": Broken(
        "pubtator",
        b"81|t|Gout.\n81|a|Fever.\n\n82|t|\xff\xfe\n\n83 Gout without marks\n\n84|t|Gout.\n84\t0\t99\tGout\tDisease\n",
        2,
        ("line 4", "begins no document"),
    ),
    "n-text.txt": Broken("text", b"Gout \xff\xfe\xfa hurts.", 0, ("neither UTF-8 nor GB18030",)),
    "o-table.csv": Broken(
        "table",
        b"id,text,year\n1,Gout.,2020\n2,\xff\xfe,2020\n3,Gout.,2020,more\n4,Gout.,99999-12-31\n"
        b'5,"Gout ends here,2020\n6,Gout.\n',
        2,
        ("line 3 at byte", "row 3 at byte", "row 5 at byte"),
    ),
    "p-table.xls": Broken(
        "xls",
        b"<table><tr><td>id</td><td>text</td></tr><tr><td>1</td><td>Gout.</td></tr>"
        b"<tr><td>2</td><td>Gout.</td><td>more</td></tr><tr><td>3",
        1,
        ("row 2", "row 3"),
    ),
    "q-workbook.xls": Broken("xls", _workbook(), 2, ("row 3",)),
    "r-cut.xls": Broken("file", _workbook()[:1500], 0, ("the workbook is damaged",)),
    "s-undecodable.parquet": Broken(
        "parquet",
        _parquet(id=pa.array(["1", "2", "3"]), text=_strings(b"Gout.", b"\xff\xfe", b"Gout.")),
        2,
        ("row 2",),
    ),
    "t-twice.parquet": Broken("parquet", _twice_the_text(), 0, ("several columns are called 'text'",)),
    "u-name.parquet": Broken(
        "parquet",
        _parquet(id=pa.array(["4"]), text=pa.array(["Gout."]), shown=pa.array([1])).replace(b"shown", b"sh\xff\xfen"),
        0,
        ("name of a column",),
    ),
    "v-dates.parquet": Broken("parquet", _with_bad_dates(), 2, ()),
    "w-cut.parquet": Broken("parquet", _with_bad_dates()[:-20], 0, ("Parquet",)),
    "x-articles.tar": Broken("jats", _tar(), 3, ("b.nxml.gz",)),
    "y-texts.zip": Broken("text", _zip(), 2, ("b.txt",)),
    "z-cut.xml.gz": Broken(
        "pubmed",
        gzip.compress(f"<PubmedArticleSet>{_article(7)}".encode())[:-6],
        1,
        ("the gzip data end in the middle",),
    ),
}
UNNAMEABLE = b"gout \xff\xfe.jsonl"  # a file name that is no UTF-8


def write_broken_folder(folder: Path) -> None:
    """Write the files."""
    for name, file in FILES.items():
        (folder / name).write_bytes(file.content)
    with open(os.path.join(os.fsencode(folder), UNNAMEABLE), "wb") as stream:
        stream.write(b'{"id": "91", "text": "Gout."}\n')
