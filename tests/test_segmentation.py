import json
import os
import re
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmner.segmentation import segment

# Pieces that meet in real text, so that random texts reach the rules.
PIECES = [
    *[
        ".",
        "..",
        "...",
        "…",
        "。",
        "；",
        "，",
        "！",
        "?",
        ";",
        ",",
        ":",
        "(",
        ")",
        "[",
        "]",
        "（",
        "）",
        "“",
        "”",
        '"',
        "'",
    ],
    *["E. coli", "et al.", "i.v.", "J. B.", "mg.", "Fig.", "1.", "p = 0. 05", "NF-kappa B.", "RESULTS:", "The", "p53"],
    *["患者", "發熱", "．", "0．05", "12,13", "γδ", "<", ">", "x" * 30, "𝒜", "😀", "a\u0301", "\u0301", "\ud800"],
    *[" ", "  ", ". ", "\n", "\r\n", "\u3000", "\u00a0"],
]
texts = st.text(max_size=80) | st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


@given(text=texts, lang=st.sampled_from(["en", "zh"]), max_length=st.integers(2, 60))
@example(text="", lang="en", max_length=2)
@example(text="a" + "\u0301" * 9, lang="en", max_length=3)
def test_spans_cover_the_text_in_order_and_fit(text, lang, max_length):
    spans = segment(text, lang, max_length=max_length)
    assert spans == segment(text, lang, max_length=max_length)
    position = 0
    for start, end in spans:
        assert position <= start < end <= len(text)
        assert not text[position:start].strip()
        assert text[start:end] == text[start:end].strip()
        assert not re.search(r"[\n\r]\s*[\n\r]", text[start:end].replace("\r\n", "\n"))
        assert end - start <= max_length
        position = end
    assert not text[position:].strip()


MARKS = "".join(chr(c) for c in range(0x110000) if unicodedata.category(chr(c)).startswith("M"))
CJK = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
RUN = re.compile(rf"(?:[^\W\d_{CJK}][{MARKS}]*)+|(?:\d[{MARKS}]*)+")


@given(text=texts, max_length=st.integers(2, 40))
def test_a_cut_separates_no_letter_from_its_mark_and_no_short_run(text, max_length):
    whole = {end for _, end in segment(text, "en", max_length=10_000)}
    runs = list(RUN.finditer(text))
    for end in {end for _, end in segment(text, "en", max_length=max_length)} - whole:
        assert not (text[end - 1].isalpha() and text[end] in MARKS)
        run = next((m for m in runs if m.start() < end < m.end()), None)
        assert run is None or len(run[0]) > max_length


# Sentences of each text, divided by " | "; everything else is as written.
ENGLISH = [
    "Growth of E. coli was slow. | S. aureus did not grow at all.",
    "Colonies of St. aureus and Sch. pombe were counted. | C. elegans was not.",
    "Doses were given i.v. or i.p. twice a day, b.i.d. in most rats. | Controls had saline.",
    "The drug was given p.o. | The rats recovered.",
    "A difference was seen (p < .05, n = 0.5). | It held vs. placebo, i.e. in both arms, e.g. in arm two.",
    "The threshold was P = 0. 05 here. | Nothing else changed.",
    "We used approx. 3 ml of serum, ca. 5 mg. per kg, resp. no. 7 of the list. | It was enough.",
    "Smith et al. (1999) and Dr. Jones disagree. | Nobody else cares.",
    "This is known (Smith et al., 1999. J. Exp. Test. 4, 5-9). | That is not.",
    "It was shown by J. B. Smith and M.-L. Lin in Fig. 2 and Figs. 3 and 4. | See also Ref. 5.",
    "Candida spp. were found. | So were Candida spp. | The genus is large.",
    "Bifidobacterium longum subsp. infantis and Salvia alba var. minor were grown. | Both died.",
    "The mice were killed. | p53 was reduced. | mRNA levels rose. | 5-HT fell.",
    "α-Synuclein was high. | β was low. | Émile saw it.",
    "LPS activates NF-kappa B. | Stimulation lasted 24 h. | Neither cell line died.",
    "It needs vitamin D. | Cells without it die within 30 min. | RNA was lost.",
    "The plate was read at 37°C. | After 2 wk. of rest it was read again at pH. 7.",
    "The signal fell in mice [12,13]. | It rose in rats.[14] | It stayed in men.15,16 | Women were not studied.",
    "Patients moved to the U.S. | The U.S. army paid them. | Kits came from Acme Inc. in Ohio.",
    "BACKGROUND: Little is known. | METHODS: We looked. | RESULTS: We found more.",
    "AIMS: To measure variable x. | RESULTS AND DISCUSSION: It was measured.",
    "Tumours grew... and then shrank. | Why? | Nobody knows!",
    '"It works." | "It does not." | He said (and wrote) no more.',
    "The 5' end binds. | The 3' end does not. | Values were < 5 here. | They were > 7 there.",
    "We asked two questions. | 1. Does it bind? | 2. Does it cut?",
    "It was lost (the reason is unknown. We looked for it). | Then it was found.",
    "A blank was lost here.| Another sentence follows.",
    "One line\nwithout an end\n\n|and another. | Then one more.",
    "He had acute myocardial\ninfarction (severe)\nand diabetes\r\nmellitus. | It went.\n|HISTORY\n|None.",
    "We saw\n|- fever\n|a) cough\n|b) pain,\n|IL-2",
]
CHINESE = [
    "患者出现发热。|血压为120/80 mmHg；心率每分钟72次，律齐。|予以抗感染治疗！|是否好转？|尚不清楚。",
    "他说：“不行。”|然后离开了（见图1）。|再未复诊。",
    "结果差异有统计学意义（P＜0.05。|",
    "采用Fig. 2所示的方法培养A. baumannii和E. coli。|均为阳性。",
    "白细胞升高.|结果显示IL-6下降.|P<0.05,差异有意义.",
    "对照组无变化．|差异为0．05，无意义．|结束",
    "1.目的 2.方法。|①研究；②分析。|……然后再次检查。",
    "A.肺泡通气正常；B.通气障碍。|维生素B.|结果",
    "[目的] 探讨疗效。|[方法] 选取40例。",
    "真的。。。|好的！！！|为什么？！|不知道?|对",
    "第一行\n|第二行。\n|\n第三行",
    "Results were good. | 结果良好。|The end was near. | 终点。",
]


@pytest.mark.parametrize(("marked", "lang"), [(t, "en") for t in ENGLISH] + [(t, "zh") for t in CHINESE])
def test_hard_examples(marked, lang):
    text = marked.replace(" | ", " ").replace("|", "")
    expected = [part.strip() for part in marked.split("|") if part.strip()]
    assert [text[start:end] for start, end in segment(text, lang)] == expected


def test_offsets_count_code_points():
    text = "𝒜😀 á.  The 𝒞 end."
    assert segment(text, "en") == [(0, len("𝒜😀 á.")), (len("𝒜😀 á.  "), len(text))]


def pieces(text, max_length, lang="en"):
    return [text[start:end] for start, end in segment(text, lang, max_length=max_length)]


def test_a_long_sentence_is_cut_after_punctuation_in_nearly_equal_pieces():
    assert pieces("aa bb cc, dd ee ff, gg hh ii, jj kk ll", 20) == ["aa bb cc, dd ee ff,", "gg hh ii, jj kk ll"]
    assert pieces("高血压、糖尿病、冠心病、脑梗死、肺炎", 10, "zh") == ["高血压、糖尿病、", "冠心病、脑梗死、肺炎"]


def test_a_comma_inside_a_number_or_name_is_no_place_to_cut():
    assert pieces("1,2-dichloroethane and 1,3-butadiene", 24) == ["1,2-dichloroethane", "and 1,3-butadiene"]


def test_without_punctuation_a_long_sentence_is_cut_at_white_space():
    assert pieces("one two three four five six", 14) == ["one two three", "four five six"]


def test_without_white_space_it_is_cut_between_units():
    assert pieces("糖尿病性视网膜病变", 5, "zh") == ["糖尿病性", "视网膜病变"]
    assert pieces("interleukin22receptor", 15) == ["interleukin", "22receptor"]


def test_a_run_that_is_too_long_itself_is_cut_between_characters():
    assert pieces("ACGT" * 5, 10) == ["ACGTACGTAC", "GTACGTACGT"]
    assert pieces("e\u0301" * 5, 5) == ["e\u0301e\u0301", "e\u0301e\u0301", "e\u0301"]


def test_max_length_below_two_is_refused():
    with pytest.raises(ValueError, match="max_length"):
        segment("text", "en", max_length=1)


PATHOLOGICAL = [
    *[".", "?", "a", "(", "()", ".)", "?!", "abc.Def", ",", "患者", "患。", "．", "😀", "\u0301", "\ud800"],
    *['."', ". ", ". A", "A. ", "mg. X ", "1. ", "mice.1,2 ", "(" * 125 + ")" * 125],
    *[" ", "\n", "a.\n", "." + " " * 60],
]


@pytest.mark.parametrize("unit", PATHOLOGICAL, ids=ascii)
def test_time_is_linear_in_any_text(unit):
    # Ten times as much text may take about ten times as long; quadratic time would be a hundred.
    small, large = (_seconds(unit * (size // len(unit))) for size in (10_000, 100_000))
    assert large < 30 * small + 0.5


def _seconds(text):
    started = time.process_time()
    segment(text, "en")
    return time.process_time() - started


@pytest.mark.skipif("LLMNER_DATA" not in os.environ, reason="LLMNER_DATA names no folder with corpora")
@pytest.mark.parametrize(("corpus", "precision", "recall"), [("bc5cdr", 0.99, 0.99), ("genia_raw", 0.995, 0.99)])
def test_agrees_with_the_sentences_of_a_corpus(corpus, precision, recall):
    documents: dict[str, list[str]] = {}
    for line in (Path(os.environ["LLMNER_DATA"]) / "corpora" / corpus / "dev.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        documents.setdefault(row["doc_id"], []).append(row["text"].strip())
    found = right = wanted = 0
    for sentences in documents.values():
        text = " ".join(sentences)
        ends = {end for _, end in segment(text, "en", max_length=10_000)} - {len(text)}
        gold = {len(" ".join(sentences[: i + 1])) for i in range(len(sentences) - 1)}
        found, right, wanted = found + len(ends), right + len(ends & gold), wanted + len(gold)
    assert right / found >= precision
    assert right / wanted >= recall
