"""The real vLLM: its answers against the local engine's, and what becomes of requests and engines that fail."""

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import pytest
import tiny_models

from llmner.config import VllmOptions
from llmner.errors import CutAnswerError, EngineDeadError, ModelError, RequestRefusedError
from llmner.models.loading import load_engine, load_vllm_engine
from llmner.models.registry import PROMPT_FILE, generator_spec
from llmner.resources import resource
from llmner.segmentation import segment
from llmner.sources import read_file
from llmner.sources.files import find_files
from llmner.tagging.engine import TaggingRequest, TaggingResult
from llmner.tagging.vllm_engine import VllmEngine
from llmner.tagset import EntityType, TagSet, load_tag_set

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1200)]

CELLS = TagSet("cells", "en", (EntityType("line", "cell_line", "Kept in culture."), EntityType("DNA", "DNA", "Genes.")))
DRUGS = TagSet("drugs", "en", (EntityType("drug", "drug", "A drug."),))
CHINESE = TagSet("chinese", "zh", (EntityType("drug", "药", "药物。"),))
SENTENCES = [
    "Activation of CD28 in the cells.",
    "HeLa",
    "  [3H]thymidine fell by 12.5%;  T-cells died.",
    " ",
    "细胞 é́x 🧬",
]
SMALL = VllmOptions(window=512, sequences=8, draft=7)
specification = partial(generator_spec, dtype="float32")  # in bfloat16 two engines round differently


def spans(result: TaggingResult) -> list[tuple[int, int, str]]:
    assert result.error is None, result.error
    return [(m.start, m.end, m.type) for m in result.mentions]


def scores(result: TaggingResult) -> list[float]:
    return [m.score for m in result.mentions]


@dataclass(frozen=True)
class Tiny:
    """A small random model, and two adapters for it."""

    model: str
    one: str
    other: str


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Its heads are as wide as vLLM's CPU kernels want them."""
    folder = tmp_path_factory.mktemp("tiny")
    model = tiny_models.save("llama", folder / "model", head_width=32)
    one, other = (tiny_models.save_adapter(model, folder / str(seed), seed=seed) for seed in (1, 2))
    return Tiny(model, one, other)


@pytest.fixture(scope="module")
def engine(tiny: Tiny) -> Iterator[VllmEngine]:
    """With drafts, grammar and adapters; the base alone answers for other tag sets."""
    engine = load(tiny, SMALL)
    yield engine
    engine.close()


def load(tiny: Tiny, options: VllmOptions) -> VllmEngine:
    adapters = {"drugs": tiny.one, "zh": tiny.other}
    engine = load_vllm_engine(specification(tiny.model, adapters=adapters, grammar=options.grammar), options)
    assert isinstance(engine, VllmEngine)
    return engine


def sample_requests(documents: int, sentences: int) -> list[TaggingRequest]:
    """The first sentences of the sample documents, as many of each file."""
    requests = []
    for name, lang in (("samples/pubmed_sample.xml", "en"), ("samples/cnki_sample.net", "zh")):
        [file] = find_files([str(resource(name))])
        texts = [d.text for d in list(read_file(file))[:documents] if d.lang == lang]
        found = [t[start:end] for t in texts for start, end in segment(t, lang)]
        tag_set = load_tag_set("bc5cdr" if lang == "en" else "cmeee_v2")
        requests += [TaggingRequest(s, tag_set) for s in found[:sentences]]
    return requests


@pytest.mark.slow
def test_the_embedded_model_says_the_same_as_in_the_local_engine() -> None:
    requests = sample_requests(documents=10, sentences=10)
    assert len(requests) == 20
    engine = load_vllm_engine(specification(), VllmOptions(window=2048))
    ours = engine.tag(requests)
    engine.close()
    theirs = load_engine(specification()).tag(requests)
    assert sum(len(r.mentions) for r in theirs) > 10
    for request, our, their in zip(requests, ours, theirs, strict=True):
        assert spans(our) == spans(their), request.text
        assert scores(our) == pytest.approx(scores(their), abs=0.01), request.text
        assert our.source_tokens == their.source_tokens


def test_the_same_with_and_without_drafts_as_in_the_local_engine(tiny: Tiny, engine: VllmEngine) -> None:
    """A model with random weights: where it disagrees with a draft, the draft must yield."""
    requests = [TaggingRequest(t, CELLS) for t in SENTENCES]
    local = load_engine(specification(tiny.model)).tag(requests)
    assert sum(len(r.mentions) for r in local) > 5, "a random model that places no tags shows nothing"
    undrafted = load(tiny, SMALL.model_copy(update={"draft": 0}))
    for results in (engine.tag(requests), undrafted.tag(requests)):
        assert [spans(r) for r in results] == [spans(r) for r in local]
        assert [s for r in results for s in scores(r)] == pytest.approx([s for r in local for s in scores(r)], abs=0.01)
    undrafted.close()


def test_sentences_of_one_shape_keep_their_own_words(tiny: Tiny, engine: VllmEngine) -> None:
    """Their grammars differ in nothing but the tokens."""
    requests = [TaggingRequest(t, CELLS) for t in ("心肌梗死", "高血压病", "慢性肾病", "急性肝炎", "肺部感染") * 2]
    local = load_engine(specification(tiny.model)).tag(requests)
    assert len({str(spans(r)) for r in local}) > 1
    assert [spans(r) for r in engine.tag(requests)] == [spans(r) for r in local]


def test_an_adapter_that_answers_in_one_line(tiny: Tiny, tmp_path: Path) -> None:
    adapter = tmp_path / "inline"
    shutil.copytree(tiny.one, adapter)
    (adapter / PROMPT_FILE).write_text(json.dumps({"definitions": True, "layout": "inline"}))
    requests = [TaggingRequest(t, CELLS) for t in SENTENCES]
    local = load_engine(specification(tiny.model, adapter=str(adapter))).tag(requests)
    assert sum(len(r.mentions) for r in local) > 5
    engine = load_vllm_engine(specification(tiny.model, adapter=str(adapter)), SMALL)
    results = engine.tag(requests)
    engine.grammar = False
    free = engine.tag(requests)
    engine.close()
    assert [spans(r) for r in results] == [spans(r) for r in local]
    assert [s for r in results for s in scores(r)] == pytest.approx([s for r in local for s in scores(r)], abs=0.01)
    assert all(r.error is None or isinstance(r.error, CutAnswerError) for r in free)


@pytest.mark.parametrize("layout", ["lines", "inline"])
def test_a_bias_on_opening_tags_finds_what_it_finds_in_the_local_engine(tiny: Tiny, tmp_path: Path, layout) -> None:
    adapter = tmp_path / layout
    shutil.copytree(tiny.one, adapter)
    (adapter / PROMPT_FILE).write_text(json.dumps({"definitions": True, "layout": layout}))
    requests = [TaggingRequest(t, CELLS) for t in SENTENCES]
    engine = load_vllm_engine(
        specification(tiny.model, adapter=str(adapter), open_bias=1.0), SMALL.model_copy(update={"draft": 0})
    )
    results = engine.tag(requests)
    engine.close()
    plain, biased = (
        load_engine(specification(tiny.model, adapter=str(adapter), open_bias=b)).tag(requests) for b in (0.0, 1.0)
    )
    assert [spans(r) for r in biased] != [spans(r) for r in plain]
    assert [spans(r) for r in results] == [spans(r) for r in biased]
    assert [s for r in results for s in scores(r)] == pytest.approx([s for r in biased for s in scores(r)], abs=0.01)


def test_adapters_go_by_tag_set_and_language(tiny: Tiny, engine: VllmEngine) -> None:
    tag_sets = {CELLS: None, DRUGS: tiny.one, CHINESE: tiny.other}
    requests = [TaggingRequest(t, s) for t in SENTENCES for s in tag_sets]
    results = engine.tag(requests)
    answers = set()
    for tag_set, adapter in tag_sets.items():
        mine = [r for r in requests if r.tag_set is tag_set]
        got = [spans(a) for r, a in zip(requests, results, strict=True) if r.tag_set is tag_set]
        assert got == [spans(a) for a in load_engine(specification(tiny.model, adapter=adapter)).tag(mine)]
        answers.add(str([[m[:2] for m in answer] for answer in got]))
    assert len(answers) == 3, "adapters that change nothing show nothing"
    assert engine.fingerprint["adapter.drugs"] != engine.fingerprint["adapter.zh"]


def test_an_adapter_that_does_not_exist_is_told(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        load_vllm_engine(specification(tiny.model, adapter=str(tmp_path / "nowhere")), SMALL)


def test_long_answers_come_in_pieces_and_what_vllm_refuses_fails_alone(tiny: Tiny, engine: VllmEngine) -> None:
    text = "Alpha beta the cells, gamma delta, " * 7
    wordy = TagSet("wordy", "en", (EntityType("x", "x", "word " * 200),))
    requests = [TaggingRequest("HeLa", DRUGS), TaggingRequest(text, DRUGS), TaggingRequest("HeLa", wordy)]
    short, long, refused = engine.tag(requests)
    local = load_engine(specification(tiny.model, adapter=tiny.one))
    assert spans(short) == spans(local.tag(requests[:1])[0])
    pieces = segment(text, "en", max_length=len(text) // 2 + 1)
    parts = local.tag([TaggingRequest(text[a:b], DRUGS) for a, b in pieces])
    assert len(pieces) > 1
    assert all(part.mentions for part in parts)
    assert spans(long) == [
        (a + start, a + end, type_)
        for (a, _), part in zip(pieces, parts, strict=True)
        for start, end, type_ in spans(part)
    ]
    assert isinstance(refused.error, RequestRefusedError)
    assert "512" in str(refused.error)


def test_without_the_grammar_the_answer_is_aligned(engine: VllmEngine) -> None:
    """A random model writes nothing of use; what it writes is read, and a cut answer is told."""
    engine.grammar = False
    results = engine.tag([TaggingRequest(t, DRUGS) for t in SENTENCES])
    engine.grammar = True
    for text, result in zip(SENTENCES, results, strict=True):
        assert result.error is None or isinstance(result.error, CutAnswerError)
        assert all(text[m.start : m.end].strip() for m in result.mentions)


def test_an_engine_that_dies_in_mid_batch_says_so_and_leaves_nothing_running(engine: VllmEngine) -> None:
    alive = [p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
    processes = [p for p in alive if "VLLM" in f"{p.name()} {p.cmdline()}"]
    assert processes
    killer = threading.Timer(1.0, processes[-1].kill)
    killer.start()
    with pytest.raises(EngineDeadError):
        engine.tag([TaggingRequest(f"{i} {SENTENCES[2]}", DRUGS) for i in range(1000)])
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert not alive
