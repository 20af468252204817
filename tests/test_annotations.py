"""Annotated sentences: what is right is read whole, what is not is told with its line."""

import json

import pytest

from llmner.annotations import AnnotatedSentence, draw, read_annotations
from llmner.errors import InputError, InputNotFoundError
from llmner.mentions import Mention

TYPES = ["Chemical", "Disease"]
GOOD = {"id": "1", "text": "aspirin\u2028 caused gout 🧬", "entities": [{"start": 16, "end": 20, "type": "Disease"}]}


def test_sentences_are_read_with_their_code_points(tmp_path):
    file = tmp_path / "a.jsonl"
    empty = {"text": "nothing", "entities": []}
    file.write_text(f"{json.dumps(GOOD, ensure_ascii=False)}\n\n{json.dumps(empty)}\n", encoding="utf-8")
    first, second = read_annotations(file, types=TYPES)
    assert first.text[first.mentions[0].start : first.mentions[0].end] == "gout"
    assert second == AnnotatedSentence("nothing", ())
    assert first.mentions == (Mention(16, 20, "Disease"),)


def test_a_sentence_knows_its_document_and_can_be_given_other_types(tmp_path):
    file = tmp_path / "a.jsonl"
    entities = [{"start": 0, "end": 7, "type": t} for t in ("Drug", "Amino_acid", "Cancer")]
    file.write_text(json.dumps({"doc_id": 7, "text": "aspirin", "entities": entities}), encoding="utf-8")
    (sentence,) = read_annotations(file)
    assert sentence.doc_id == "7"
    mapped = sentence.mapped({"Drug": "Chemical", "Amino_acid": "Chemical"})
    assert mapped.mentions == (Mention(0, 7, "Chemical"),)
    assert (mapped.text, mapped.doc_id) == ("aspirin", "7")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not an annotated sentence"),
        ("[]", "not an annotated sentence"),
        ('{"text": "x"}', "not an annotated sentence"),
        ('{"text": "gout", "entities": [{"start": 3, "end": 2, "type": "Disease"}]}', "not a span"),
        ('{"text": "gout", "entities": [{"start": 0, "end": 5, "type": "Disease"}]}', "outside the text"),
        ('{"text": "gout", "entities": [{"start": 0, "end": 4, "type": "Gene"}]}', "unknown type 'Gene'"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(line, message, tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text(f"{json.dumps(GOOD)}\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=message) as e:
        read_annotations(file, types=TYPES)
    assert f"{file}, line 2" in str(e.value)


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(InputNotFoundError, match="no such file"):
        read_annotations(tmp_path / "none.jsonl", types=TYPES)
    (tmp_path / "a.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        read_annotations(tmp_path / "a.jsonl", types=TYPES)


def test_documents_are_drawn_whole():
    sentences = [AnnotatedSentence(f"{d} {i}", (), f"d{d}") for d in range(10) for i in range(3)]
    sentences += [AnnotatedSentence(f"alone {i}", ()) for i in range(4)]
    drawn = draw(sentences, 12, seed=1)
    assert drawn == sorted(drawn)
    assert 12 <= len(drawn) < 15
    documents = {sentences[i].doc_id for i in drawn} - {""}
    assert all(sum(sentences[i].doc_id == d for i in drawn) == 3 for d in documents)
    assert draw(sentences, 12, seed=1) == drawn != draw(sentences, 12, seed=2)
    assert draw(sentences, 40, seed=1) == draw(sentences, None, seed=1) == list(range(34))
