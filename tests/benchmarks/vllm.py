"""vLLM with and without drafts, grammar and prefix cache, at several numbers of requests at once.

``plain`` is vLLM in its default mode and writes token by token; ``ngram`` drafts what followed the last few tokens
before, ``ngram_gpu`` does so on the card (and keeps asynchronous scheduling, which other drafters switch off); ``copy``
is our drafter.
Without ``--shape`` it runs the embedded model. With it, random weights of that shape: such a model would write nothing
of use, so each answer is scripted, by a grammar that admits that one alone; the drafter does not know the script, it
is refused at its tags as it would be by a model that was trained.

    python tests/benchmarks/vllm.py [--requests 1,32] [--methods plain,ngram,copy] [--shape 9b] [--json FILE]

What a step costs hangs on the load, so the figures of one row say nothing of another. ``tokens/step`` is what an answer
gains by each pass through the model: the speed-up where a pass costs the same with drafts as without, as on a GPU that
waits for its memory. The cost of PubMed is that of
29.3 million abstracts of 1,690 characters at the row's rate, one tag set, one card.
"""

import asyncio
import dataclasses
import json
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from llmner.config import VllmOptions
from llmner.models import loading
from llmner.models.registry import generator_spec
from llmner.models.weights import fetched
from llmner.resources import resource
from llmner.segmentation import segment
from llmner.sources import read_file
from llmner.sources.files import find_files
from llmner.tagging.codec import Codec
from llmner.tagging.prompts import Form
from llmner.tagset import load_tag_set

PUBMED_CHARACTERS = 29_300_000 * 1690
SHAPES = {  # layers, width, feed-forward width, heads, key-value heads, head width: Qwen3-4B, GLM-4-9B
    "tiny": (2, 128, 256, 4, 2, 32),
    "4b": (36, 2560, 9728, 32, 8, 128),
    "9b": (40, 4096, 13696, 32, 2, 128),
}
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Request:
    """A sentence, ready to be sent.

    Attributes:
        prompt: Token ids.
        grammar: What may be written.
        source: Tokens of the sentence.
        characters: Its length.
        most: Tokens that may be written without a grammar.
    """

    prompt: list[int]
    grammar: str
    source: int
    characters: int
    most: int


def main(
    requests: Annotated[str, typer.Option(help="Requests at once.")] = "1,32",
    methods: Annotated[str, typer.Option(help="Of plain, ngram, ngram_gpu and copy.")] = "plain,ngram,copy",
    grammars: Annotated[str, typer.Option(help="Of on and off.")] = "on,off",
    caches: Annotated[str, typer.Option(help="Prefix cache: of on and off.")] = "on",
    shape: Annotated[str | None, typer.Option(help=f"Random weights: {', '.join(SHAPES)}.")] = None,
    draft: Annotated[int, typer.Option(help="Tokens drafted at most.")] = 15,
    output: Annotated[Path | None, typer.Option("--json", help="File to write the figures to.")] = None,
) -> None:
    """Measure tokens a second, requests a second and acceptance."""
    # This file is called like the library; whoever imports that must not find this.
    sys.path[:] = [p for p in sys.path if Path(p).resolve() != Path(__file__).resolve().parent]
    loads = [int(n) for n in requests.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        spec = generator_spec()
        assert spec.adapter
        base, adapters = str(fetched(spec.base)), {"": spec.adapter}
        if shape:
            base, adapters = _random_model(Path(folder), base, SHAPES[shape]), {}
        elif loading.default_device() == "cpu":  # as in ``loading.load_vllm_engine``
            base, adapters = str(loading.merged(spec.base, spec.adapter)), {}
        prepared = _requests(base, sum(loads) + 1, spec.form, scripted=shape is not None)
        rows = [
            {"cache": cache, "method": method, **row}
            for cache in caches.split(",")
            for method in methods.split(",")
            for row in asyncio.run(
                _measure(base, adapters, prepared, method, cache == "on", grammars.split(","), loads, draft, shape)
            )
        ]
    table = Table(title=f"{shape or 'embedded'} on {_device()}")
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console(width=140).print(table)
    if output is not None:
        figures = {"model": shape or "embedded", "scripted": shape is not None, "device": _device(), "rows": rows}
        output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _random_model(folder: Path, tokenizer: str, shape: tuple[int, ...]) -> str:
    """A folder with a configuration of that shape and a real tokenizer; vLLM makes the weights up."""
    from transformers import AutoTokenizer, Qwen3Config

    layers, width, inner, heads, kv_heads, head_width = shape
    tokens = AutoTokenizer.from_pretrained(tokenizer)
    tokens.save_pretrained(folder)
    Qwen3Config(
        architectures=["Qwen3ForCausalLM"],
        vocab_size=len(tokens),
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=head_width,
        max_position_embeddings=8192,
        bos_token_id=tokens.bos_token_id,
        eos_token_id=tokens.eos_token_id,
        dtype="bfloat16",
    ).save_pretrained(folder)
    return str(folder)


def _requests(base: str, count: int, form: Form, *, scripted: bool) -> list[Request]:
    """Sentences of the sample documents, numbered so that no two are alike."""
    from transformers import AutoTokenizer

    codec = Codec(AutoTokenizer.from_pretrained(base), form)
    tag_set = load_tag_set("bc5cdr")
    [file] = find_files([str(resource("samples/pubmed_sample.xml"))])
    texts = [d.text[a:b] for d in list(read_file(file)) if d.lang == "en" for a, b in segment(d.text, "en")]
    made = []
    for i in range(count):
        text = f"{i}: {texts[i % len(texts)]}"
        source = codec.source(text)
        if scripted:
            tags = {t: [(u, u + 1) for u in range(7 + 6 * t, len(source.blank), 12)] for t in range(len(tag_set.types))}
            tags = {t: [s for s in spans if not source.blank[s[0]]] for t, spans in tags.items()}
            script = codec.write(source, tags, tag_set)
            grammar = "root ::= " + " ".join(f"Token({token})" for token in script[:-1])
        else:
            grammar = codec.vocabulary(tag_set).ebnf(source)
        prompt = [*codec.prefix(tag_set), *source.tokens, *codec.suffix]
        made.append(Request(prompt, grammar, len(source.tokens), len(text), 2 * len(source.tokens) + 20))
    return made


async def _measure(
    base: str,
    adapters: dict[str, str],
    requests: Sequence[Request],
    method: str,
    cache: bool,
    grammars: Sequence[str],
    loads: Sequence[int],
    draft: int,
    shape: str | None,
) -> list[Row]:
    """One engine, at all loads."""
    from vllm.lora.request import LoRARequest
    from vllm.v1.engine.async_llm import AsyncLLM

    from llmner.tagging.vllm_engine import sampling
    from llmner.tagging.vllm_setup import arguments

    options = VllmOptions(window=2048, draft=draft if method == "copy" else 0, sequences=min(1024, max(loads)))
    settings: Row = {"enable_prefix_caching": cache, "load_format": "dummy" if shape else "auto"}
    if method.startswith("ngram"):
        settings["speculative_config"] = {
            "method": method,
            "num_speculative_tokens": draft,
            "prompt_lookup_min": 2,
            "prompt_lookup_max": 4,
        }
    dtype = loading.number_type("auto", loading.default_device())
    engine = AsyncLLM.from_engine_args(
        dataclasses.replace(arguments(base, options, adapters, dtype=dtype, gpus=0, log_stats=True), **settings)
    )
    adapter = LoRARequest("generator", 1, adapters[""]) if adapters else None
    count = 0

    async def generate(request: Request, grammar: bool) -> int:
        """Tokens written for a request."""
        nonlocal count
        count += 1
        parameters = sampling(request.grammar if grammar else None, request.most if not grammar else 1000)
        prompt: Any = {"prompt_token_ids": request.prompt}
        written = 0
        async for answer in engine.generate(prompt, parameters, str(count), lora_request=adapter):
            written = len(answer.outputs[0].token_ids)
        return written

    rows = []
    for grammar in grammars:
        if shape and grammar == "off":
            continue  # a script needs a grammar
        await generate(requests[-1], grammar == "on")  # warm
        first = 0
        for load in loads:
            batch = requests[first : first + load]
            first += load
            before = _counters()
            started = time.perf_counter()
            written = sum(await asyncio.gather(*(generate(r, grammar == "on") for r in batch)))
            seconds = time.perf_counter() - started
            drafted, accepted = (b - a for a, b in zip(before, _counters(), strict=True))
            source = sum(r.source for r in batch)
            characters = sum(r.characters for r in batch)
            rows.append(
                {
                    "grammar": grammar,
                    "requests": load,
                    "seconds": round(seconds, 2),
                    "requests/s": round(load / seconds, 2),
                    "source tokens/s": round(source / seconds, 1),
                    "written tokens/s": round(written / seconds, 1),
                    "drafted": drafted,
                    "acceptance": round(accepted / drafted, 3) if drafted else None,
                    "tokens/step": round(written / (written - accepted), 2),
                    "hours for PubMed": round(PUBMED_CHARACTERS / (characters / seconds) / 3600),
                }
            )
    engine.shutdown()
    return rows


def _counters() -> tuple[int, int]:
    """Tokens drafted and accepted so far, over all engines of this process."""
    from vllm.v1.metrics.reader import Counter, get_metrics_snapshot

    values = {m.name: m.value for m in get_metrics_snapshot() if isinstance(m, Counter)}
    drafted, accepted = (values.get(f"vllm:spec_decode_num_{what}_tokens", 0) for what in ("draft", "accepted"))
    return int(drafted), int(accepted)


def _device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {platform.machine()}"


if __name__ == "__main__":
    typer.run(main)
