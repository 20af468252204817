"""The local engine against the method's own way of decoding, in one run.

Baseline: transformers' ``generate``, one sentence at a time, greedy, no grammar, key-value cache on, the same
weights and prompts. It is stopped after as many tokens as the tagged text that the engine wrote for the
sentence has, because a model trained under the grammar need not stop by itself; so both write equally much.
It is slow and its speed does not depend on how many sentences there are, so it gets a part of them.

    python tests/benchmarks/decoding.py --data FOLDER [--sentences 300] [--generated 30] [--drafts 4,8,12,24] \
        [--rows 16,32] [--types bfloat16,int8] [--json FILE]

With ``--neighbour`` the engine alone is measured against itself beside processes that keep every core busy, with all
threads and with one less: its speed should fall with what they leave of the cores, not by ten.

FOLDER holds the corpora as ``<corpus>/dev.jsonl``.
"""

import json
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from llmner.annotations import AnnotatedSentence, read_annotations
from llmner.cores import available_cores
from llmner.models import loading
from llmner.models.registry import generator_spec
from llmner.tagging.codec import Codec
from llmner.tagging.engine import TaggingRequest, TaggingResult
from llmner.tagging.local_engine import LocalEngine
from llmner.tagset import load_tag_set
from llmner.training.corpus import writable

CORPORA = {"bc5cdr": "bc5cdr", "genia_raw": "genia", "cmeee_v2": "cmeee_v2"}


def main(
    data: Annotated[Path, typer.Option(help="Folder of the corpora.")],
    sentences: Annotated[int, typer.Option(help="Sentences in all, a third of each corpus.")] = 300,
    generated: Annotated[int, typer.Option(min=1, help="Of them, those that generate tags, too.")] = 30,
    drafts: Annotated[str, typer.Option(help="Draft lengths to try; the first stands against the baseline.")] = "8",
    together: Annotated[str, typer.Option("--rows", help="Sentences decoded together, to try.")] = "32",
    types: Annotated[str, typer.Option(help="Number types to try; generate takes the fastest of floats.")] = "auto",
    adapter: Annotated[str | None, typer.Option(help="Another adapter than the embedded one.")] = None,
    neighbour: Annotated[bool, typer.Option("--neighbour", help="Beside a busy process a core, not generate.")] = False,
    output: Annotated[Path | None, typer.Option("--json", help="File to write the figures to.")] = None,
) -> None:
    """Measure source tokens a second of both, and the tokens fed for each source token."""
    device, spec = loading.default_device(), generator_spec(adapter=adapter)
    model, tokenizer = loading.load_packed(spec.base, spec.adapter, spec.dtype, device)
    codec = Codec(tokenizer, spec.form)
    requests = dev_requests(data, sentences // len(CORPORA))

    rows: list[dict[str, Any]] = []
    results: list[TaggingResult] = []
    if neighbour:
        engine = LocalEngine(model, tokenizer, fingerprint={}, form=spec.form, draft=int(drafts.split(",")[0]))
        _show(_beside_neighbours(engine, requests), f"{len(requests)} sentences, {model.dtype}", output)
        return
    for dtype in types.split(","):
        computing, _ = loading.load_packed(spec.base, spec.adapter, dtype, device)
        for n, draft in product(map(int, together.split(",")), map(int, drafts.split(","))):
            engine = LocalEngine(computing, tokenizer, fingerprint={}, form=spec.form, rows=n, draft=draft)
            engine.tag(requests[:: len(requests) // 3])  # prefixes and buffers, as in a long run
            started = time.perf_counter()
            answers = engine.tag(requests)
            rows.append(_row(f"engine, {dtype}, {n} rows, draft {draft}", time.perf_counter() - started, answers))
            results = results or answers

    model.set_attn_implementation("sdpa")
    every = max(1, len(requests) // generated)
    started = time.perf_counter()
    for request, result in zip(requests[::every], results[::every], strict=True):
        _generate(model, codec, request, _written(codec, request, result))
    baseline = _row(f"generate, {len(results[::every])} of them", time.perf_counter() - started, results[::every])
    baseline["fed tokens / source token"] = None
    rows.append(baseline)

    for row in rows:
        row["times generate"] = round(row["source tokens/s"] / baseline["source tokens/s"], 1)
    _show(rows, f"{len(requests)} sentences, {model.dtype}, {torch.get_num_threads()} threads, {device}", output)


def dev_requests(data: Path, number: int) -> list[TaggingRequest]:
    """Return so many dev sentences of each corpus, drawn evenly."""
    requests = []
    for corpus, name in CORPORA.items():
        tag_set = load_tag_set(name)
        read = read_annotations(data / corpus / "dev.jsonl", types=[t.name for t in tag_set.types])
        requests += [TaggingRequest(s.text, tag_set) for s in read[:: max(1, len(read) // number)][:number]]
    return requests


def _show(rows: list[dict[str, Any]], title: str, output: Path | None) -> None:
    table = Table(title=title)
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console(width=110).print(table)
    if output is not None:
        output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _beside_neighbours(engine: LocalEngine, requests: list[TaggingRequest]) -> list[dict[str, Any]]:
    """Measure the engine alone and beside a busy process a core, with all threads and with one less."""
    cores = available_cores()
    rows = []
    for busy in (0, cores):
        for threads in dict.fromkeys((cores, max(1, cores - 1))):
            torch.set_num_threads(threads)
            neighbours = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
            try:
                engine.tag(requests[:: len(requests) // 3])
                started = time.perf_counter()
                answers = engine.tag(requests)
                row = _row(f"{threads} threads, {busy} neighbours", time.perf_counter() - started, answers)
            finally:
                for process in neighbours:
                    process.kill()
                    process.wait()
            rows.append(row)
            row["of that alone"] = round(row["source tokens/s"] / rows[0]["source tokens/s"], 2)
    return rows


def _row(name: str, seconds: float, results: list[TaggingResult]) -> dict[str, Any]:
    source = sum(r.source_tokens for r in results)
    return {
        "": name,
        "seconds": round(seconds, 1),
        "source tokens/s": round(source / seconds, 1),
        "fed tokens / source token": round(sum(r.fed_tokens for r in results) / source, 2),
    }


def _written(codec: Codec, request: TaggingRequest, result: TaggingResult) -> int:
    """Tokens of the tagged text with the mentions of a result."""
    source = codec.source(request.text)
    sentence = AnnotatedSentence(request.text, result.mentions)
    spans, _ = writable(sentence, source, request.tag_set, one_line=codec.layout.one_line)
    return len(codec.write(source, spans, request.tag_set))


@torch.inference_mode()
def _generate(model: Any, codec: Codec, request: TaggingRequest, tokens: int) -> None:
    prompt = [*codec.prefix(request.tag_set), *codec.source(request.text).tokens, *codec.suffix]
    ids = torch.tensor([prompt], device=model.device)
    written = model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=tokens, max_new_tokens=tokens
    )
    assert written.shape[1] == len(prompt) + tokens


if __name__ == "__main__":
    typer.run(main)
