"""Continuous batching with vLLM: all requests go to its asynchronous engine, which mixes them as it sees fit.

The engine runs on an event loop of its own; ``tag`` may be called from several threads at once, so that it has the
next batch at hand before the last one is through. The fixed part of the prompt comes first and is kept in vLLM's
prefix cache, the copy drafter proposes what the model is about to write, and the grammar, where it is on, allows
nothing but the copy and its tags.

Invariant: with the grammar the answers are those of the local engine, up to the rounding of matrix products. An answer
that was cut is an error or is tagged again in pieces, never taken for whole.
"""

import asyncio
import subprocess
import threading
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

from llmner.errors import CutAnswerError, EngineDeadError, LlmnerError, ModelError, RequestRefusedError, TaggingError
from llmner.segmentation import segment
from llmner.tagging.answers import read_exact, read_free
from llmner.tagging.codec import Codec
from llmner.tagging.engine import TaggingRequest, TaggingResult
from llmner.tagging.grammar import MAX_DEPTH, Vocabulary
from llmner.tagging.prompts import Form
from llmner.tagset import TagSet
from llmner.units import TokenisedText

if TYPE_CHECKING:
    from vllm import AsyncEngineArgs, RequestOutput, SamplingParams
    from vllm.lora.request import LoRARequest

T = TypeVar("T")


class VllmEngine:
    """Tags sentences with vLLM.

    ``TaggingResult.fed_tokens`` counts the prompt beyond its cached prefix and the answer; what the drafter proposed in
    vain is known to vLLM only as a sum over all requests.

    Args:
        arguments: How vLLM is to run.
        tokenizer: The model's tokenizer.
        fingerprint: What shapes the answers, see ``models.spec.GeneratorSpec.fingerprint``.
        adapters: Folders of LoRA adapters by name of tag set, language, or ``""`` for all others.
        grammar: Whether only the copy and tags may be written; an attribute that may change between calls. Then a
            mention's score is the probability of its tags among the allowed tokens, else among all tokens.
        form: How the model was trained to be asked and to answer.
        open_bias: See ``LocalEngine``; vLLM has none together with drafts.

    Raises:
        ModelError: vLLM cannot load the model or an adapter.
    """

    def __init__(
        self,
        arguments: "AsyncEngineArgs",
        tokenizer: Any,
        *,
        fingerprint: Mapping[str, str],
        adapters: Mapping[str, str],
        grammar: bool,
        form: Form,
        open_bias: float = 0.0,
    ) -> None:
        self._fingerprint = dict(fingerprint)
        self._codec = Codec(tokenizer, form)
        self._biases = self._codec.biases(open_bias) if open_bias else None
        self.grammar = grammar
        self._adapters: dict[str, LoRARequest] = {}
        self._count = 0
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="vllm", daemon=True).start()
        others = _processes()
        self._engine = self._run(_start(arguments))
        self._guard = _guard(_processes() - others)
        self._window: int = self._engine.model_config.max_model_len
        try:
            self._adapters = self._run(_load_adapters(self._engine, adapters))
        except ModelError:
            self.close()
            raise

    @property
    def fingerprint(self) -> dict[str, str]:
        """See ``Engine.fingerprint``."""
        return dict(self._fingerprint)

    def tag(self, requests: Sequence[TaggingRequest]) -> list[TaggingResult]:
        """See ``Engine.tag``; may be called from several threads.

        Raises:
            EngineDeadError: vLLM's own processes are gone; this engine is of no more use.
        """
        from vllm.v1.engine.exceptions import EngineDeadError as Dead

        try:
            return self._run(self._tag_all(requests))
        except Dead as e:
            self._end_processes()
            raise EngineDeadError(f"vLLM's engine has died: {e}", hint="its log says why") from e

    def close(self) -> None:
        """End vLLM; the engine is of no more use."""
        self._end_processes()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _end_processes(self) -> None:
        self._engine.shutdown(timeout=0)
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard.wait()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _tag_all(self, requests: Sequence[TaggingRequest]) -> list[TaggingResult]:
        return await asyncio.gather(*(self._tag(r) for r in requests))

    async def _tag(self, request: TaggingRequest) -> TaggingResult:
        """Tag one sentence; where the model's window is too short for its answer, piece by piece."""
        source = self._codec.source(request.text)
        if all(source.blank):
            return TaggingResult()
        vocabulary = self._codec.vocabulary(request.tag_set)
        prompt = [*self._codec.prefix(request.tag_set), *source.tokens, *self._codec.suffix]
        room = self._window - len(prompt)
        most = vocabulary.longest(len(source.tokens), tags=MAX_DEPTH if self.grammar else 1)
        if room < vocabulary.line(len(source.tokens)) and (pieces := _pieces(request)):
            return await self._tag_pieces(request, pieces)
        try:
            output = await self._generate(prompt, request, source, vocabulary, max(1, min(room, most)))
            answer = output.outputs[0]
            if answer.finish_reason == "length":
                if room < most and (pieces := _pieces(request)):
                    return await self._tag_pieces(request, pieces)
                raise CutAnswerError(f"the answer was cut after {len(answer.token_ids)} tokens", hint=_TOO_LONG)
            if answer.finish_reason != "stop":
                raise TaggingError(f"vLLM ended an answer with {answer.finish_reason!r}")
            written = [step[token] for token, step in zip(answer.token_ids, answer.logprobs or (), strict=True)]
            logprobs = [w.logprob for w in written]
            if self.grammar:
                cursor = self._codec.cursor(source, request.tag_set)
                mentions = read_exact(answer.token_ids, logprobs, source, cursor, request)
            else:
                texts = [w.decoded_token or "" for w in written]
                mentions = read_free(answer.text, texts, logprobs, request, layout=self._codec.layout)
        except LlmnerError as e:
            return TaggingResult(source_tokens=len(source.tokens), error=e)
        fed = len(prompt) - (output.num_cached_tokens or 0) + len(answer.token_ids)
        return TaggingResult(mentions, len(source.tokens), fed)

    async def _tag_pieces(self, request: TaggingRequest, pieces: Sequence[tuple[int, int]]) -> TaggingResult:
        parts = [TaggingRequest(request.text[start:end], request.tag_set) for start, end in pieces]
        results = await self._tag_all(parts)
        mentions = [
            replace(m, start=m.start + start, end=m.end + start)
            for (start, _), result in zip(pieces, results, strict=True)
            for m in result.mentions
        ]
        error = next((r.error for r in results if r.error), None)
        return TaggingResult(
            () if error else tuple(mentions),
            sum(r.source_tokens for r in results),
            sum(r.fed_tokens for r in results),
            error,
        )

    async def _generate(
        self,
        prompt: list[int],
        request: TaggingRequest,
        source: TokenisedText,
        vocabulary: Vocabulary,
        most: int,
    ) -> "RequestOutput":
        """One request from end to end.

        Raises:
            RequestRefusedError: vLLM does not take it.
        """
        from vllm.exceptions import VLLMClientError

        self._count += 1
        parameters = sampling(vocabulary.ebnf(source) if self.grammar else None, most, self._biases)
        adapter = self._adapter(request.tag_set)
        try:
            outputs: list[RequestOutput] = [
                output
                async for output in self._engine.generate(
                    {"prompt_token_ids": prompt}, parameters, str(self._count), lora_request=adapter
                )
            ]
        except (VLLMClientError, ValueError) as e:
            raise RequestRefusedError(f"vLLM refused a sentence of {len(source.tokens)} tokens: {e}") from e
        return outputs[-1]

    def _adapter(self, tag_set: TagSet) -> "LoRARequest | None":
        for name in (tag_set.name, tag_set.lang, ""):
            if name in self._adapters:
                return self._adapters[name]
        return None


_TOO_LONG = "give the model a longer window, or cut sentences shorter"


def sampling(grammar: str | None, most: int, biases: dict[int, float] | None = None) -> "SamplingParams":
    """Greedy decoding of at most so many tokens, with the probability of each, under a grammar if there is one.

    Biases by token shift the choice; the probabilities are those without them.
    """
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    return SamplingParams(
        temperature=0.0,
        max_tokens=most,
        logit_bias=biases,
        logprobs=0,  # of the written token alone
        detokenize=grammar is None,
        structured_outputs=None if grammar is None else StructuredOutputsParams(grammar=grammar),
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _pieces(request: TaggingRequest) -> list[tuple[int, int]]:
    """Return the sentence in about two pieces, cut at a safe place; none where it cannot be cut."""
    pieces = segment(request.text, request.tag_set.lang, max_length=max(2, -(-len(request.text) // 2)))
    return pieces if len(pieces) > 1 else []


def _processes() -> set[int]:
    """Return the processes of vLLM that work for this one."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if child.name().startswith("VLLM"):
                found.add(child.pid)
    return found


def _guard(processes: set[int]) -> "subprocess.Popen[bytes]":
    """Return a process that ends others as soon as this one is gone.

    vLLM's own do not notice that the process they work for was killed, and would keep the GPU's memory.
    """
    command = ["sh", "-c", f"read _; kill -9 {' '.join(map(str, processes))} 2>/dev/null; true"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


async def _start(arguments: "AsyncEngineArgs") -> Any:
    from vllm.v1.engine.async_llm import AsyncLLM

    try:
        return AsyncLLM.from_engine_args(arguments)
    except (OSError, ValueError, RuntimeError) as e:
        raise ModelError(f"vLLM cannot run model {arguments.model!r}: {e}", hint="its log says more") from e


async def _load_adapters(engine: Any, adapters: Mapping[str, str]) -> "dict[str, LoRARequest]":
    from vllm.lora.request import LoRARequest

    loaded: dict[str, LoRARequest] = {}
    numbers = {path: number for number, path in enumerate(dict.fromkeys(adapters.values()), start=1)}
    for name, path in adapters.items():
        loaded[name] = LoRARequest(path, numbers[path], path)
        try:
            await engine.add_lora(loaded[name])
        except Exception as e:
            raise ModelError(f"adapter {path!r} cannot be loaded: {e}", hint="give a folder in peft's format") from e
    return loaded
