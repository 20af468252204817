"""The dialects of tagged exports: NoteExpress, EndNote, RefWorks, CNKI's own lists, RIS and MEDLINE.

CNKI exports the first four; Wanfang and VIP export NoteExpress and RefWorks.
"""

import re

from llmner.sources.format import Format
from llmner.sources.tagged import Dialect, read_tagged

_REFWORKS_TAGS = (
    "RT SR A1 A2 A3 A4 A5 AD AN AV BT CL CN CR DB DO DS ED FD FS ID IS JF JO K1 AB LA LK LL NO OL OP PB PP RD RP SF SN "
    "SP ST T1 T2 T3 UL VO WP WT WV YR U1 U2 U3 U4 U5"
).replace(" ", "|")
_CNKI_WORDS = "题名|标题|篇名|摘要|作者|关键词|年|单位|来源|文献来源|刊名|发表时间|来源库"

_NOTEEXPRESS = Dialect(
    "noteexpress",
    re.compile(r"\s*\{(?P<tag>[A-Z][A-Za-z/ ]+)\}[ \t]*[:：][ \t]*(?P<value>.*)"),
    {
        "Title": "title",
        "Abstract": "abstract",
        "Translated Title": "other title",
        "Translated Abstract": "other abstract",
        "Year": "year",
        "Date": "year",
        "DOI": "doi",
        "Language": "lang",
    },
)
_ENDNOTE = Dialect(
    "endnote",
    re.compile(r"%(?P<tag>[0-9A-Z@+~?!^&$#*=<>\[\]()])(?:[ \t]+(?P<value>.*)|$)"),
    {"T": "title", "X": "abstract", "Q": "other title", "D": "year", "8": "year", "R": "doi", "G": "lang"},
)
_REFWORKS = Dialect(
    "refworks",
    re.compile(rf"(?P<tag>{_REFWORKS_TAGS})(?:(?:[ \t]+|(?=[^\x00-\x7f]))(?P<value>.*)|$)"),
    {"T1": "title", "AB": "abstract", "OT": "other title", "YR": "year", "FD": "year", "DO": "doi", "LA": "lang"},
)
_CNKI = Dialect(
    "cnki",
    re.compile(
        rf"(?P<tag>DataType|[A-Z][A-Za-z]+-(?:[\u4e00-\u9fff]+|DOI)|DOI|{_CNKI_WORDS})[ \t]*[-:：][ \t]*(?P<value>.*)"
    ),
    {
        "Title-题名": "title",
        "Title-标题": "title",
        "题名": "title",
        "标题": "title",
        "篇名": "title",
        "Summary-摘要": "abstract",
        "摘要": "abstract",
        "Year-年": "year",
        "PubTime-发表时间": "year",
        "PubTime-出版时间": "year",
        "年": "year",
        "发表时间": "year",
        "DOI-DOI": "doi",
        "DOI": "doi",
    },
)
_RIS = Dialect(
    "ris",
    re.compile(r"(?P<tag>[A-Z][A-Z0-9])[ \t]{1,3}-(?:[ \t]+(?P<value>.*)|[ \t]*$)"),
    {
        "TI": "title",
        "T1": "title",
        "AB": "abstract",
        "N2": "abstract",
        "TT": "other title",
        "PY": "year",
        "Y1": "year",
        "DA": "year",
        "DO": "doi",
        "LA": "lang",
    },
    wrapped=True,
)
_NBIB = Dialect(
    "nbib",
    re.compile(r"(?P<tag>[A-Z][A-Z0-9]{1,3})[ \t]*- ?(?P<value>.*)"),
    {
        "TI": "title",
        "BTI": "title",
        "AB": "abstract",
        "TT": "other title",
        "OAB": "other abstract",
        "DP": "year",
        "PMID": "pmid",
        "PMC": "pmcid",
        "LID": "doi",
        "AID": "doi",
    },
    wrapped=True,
)


def _format(dialect: Dialect, title: str, suffixes: str, begins: str, example: str) -> Format:
    begin = re.compile(begins.encode())
    return Format(
        name=dialect.name,
        title=title,
        suffixes=tuple(suffixes.split()),
        read=lambda content: read_tagged(content, dialect),
        recognises=lambda head: begin.match(head) is not None,
        keeps="title and abstract, those in the other language, year, DOI, PMID, PMCID",
        drops="authors, addresses, journal, keywords, links",
        example=example,
    )


FORMATS = (
    _format(
        _NOTEEXPRESS,
        "NoteExpress (CNKI, Wanfang, VIP)",
        ".net .txt",
        r"\{[A-Z][A-Za-z/ ]{1,30}\}[ \t]*(?::|\xef\xbc\x9a|\xa3\xba)",
        "{Reference Type}: Journal Article",
    ),
    _format(_ENDNOTE, "EndNote and Refer (CNKI)", ".enw .txt", r"%0[ \t]", "%0 Journal Article"),
    _format(_REFWORKS, "RefWorks (CNKI, Wanfang, VIP)", ".txt", r"RT[ \t]+[A-Z]", "RT Journal Article"),
    _format(
        _CNKI,
        "CNKI's own lists, E-Study",
        ".eln .txt",
        r"DataType[ \t]*:|(?:SrcDatabase|Title)-[^\t,;\r\n]{2,30}?(?:[-:]|\xef\xbc\x9a|\xa3\xba)",
        "Title-题名: 痛风",
    ),
    _format(_RIS, "RIS", ".ris .txt", r"TY[ \t]{1,3}-", "TY  - JOUR"),
    _format(_NBIB, "MEDLINE", ".nbib .txt", r"(?:PMID|OWN|VI|STAT)[ \t]{0,3}- ", "PMID- 11"),
)
