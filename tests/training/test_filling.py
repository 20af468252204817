"""Types that a corpus does not annotate, filled in where the model is sure."""

from typing import ClassVar

from llmner.annotations import AnnotatedSentence, read_annotations
from llmner.errors import TaggingError
from llmner.mentions import Mention
from llmner.tagging.engine import TaggingResult
from llmner.tagset import load_tag_set
from llmner.training.filling import filled, to_json

TEXT = "aspirin and insulin receptor in mice"
GOLD = (Mention(0, 7, "Chemical"), Mention(12, 19, "Chemical"))
WHOLE = load_tag_set("biomed")


class Finds:
    """An engine that finds what it is told, and knows what it was asked."""

    fingerprint: ClassVar[dict[str, str]] = {}

    def __init__(self, *results: TaggingResult) -> None:
        self.results = results
        self.asked: set[tuple[str, ...]] = set()

    def tag(self, requests):
        self.asked |= {tuple(t.name for t in r.tag_set.types) for r in requests}
        assert {r.tag_set.name for r in requests} == {"biomed"}
        return list(self.results)


def fill(*results: TaggingResult) -> list[tuple[Mention, ...]]:
    engine = Finds(*results)
    sentences = [AnnotatedSentence(TEXT, GOLD, str(i)) for i in range(len(results))]
    found = list(filled(engine, sentences, WHOLE.narrowed(["Chemical", "Disease"]), WHOLE, sure=0.9))
    assert engine.asked == {("Gene", "Species", "CellLine", "CellType", "Anatomy")}
    assert all(s.text == TEXT for s in found)
    return [s.mentions for s in found]


def test_what_is_sure_is_added_and_gold_stays() -> None:
    gene, mice = Mention(12, 28, "Gene", 0.95), Mention(32, 36, "Species", 0.99)
    insulin = Mention(12, 19, "Gene", 0.97)  # gold says that it is a chemical
    assert fill(TaggingResult((gene, insulin, mice))) == [(GOLD[0], gene, GOLD[1], mice)]


def test_sentences_in_doubt_are_left_out() -> None:
    doubtful = TaggingResult((Mention(32, 36, "Species", 0.5),))
    crossing = TaggingResult((Mention(8, 15, "Gene", 0.99),))
    failed = TaggingResult(error=TaggingError("no answer"))
    assert fill(doubtful, crossing, failed, TaggingResult()) == [GOLD]


def test_what_is_written_is_read_again(tmp_path) -> None:
    sentence = AnnotatedSentence(TEXT, GOLD, "7")
    (tmp_path / "a.jsonl").write_text(to_json(sentence) + "\n", encoding="utf-8")
    assert read_annotations(tmp_path / "a.jsonl") == [sentence]
