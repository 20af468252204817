"""How vLLM is set up for a model on a machine: memory, sentences at once, drafter, adapters.

Invariant: nothing here shapes an answer; it decides how fast they come.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmner.config import VllmOptions
from llmner.errors import ModelError
from llmner.tagging import vllm_copy

if TYPE_CHECKING:
    from vllm import AsyncEngineArgs

SHARE = 0.9  # of a GPU's memory, or of a worker's part of it
_TYPICAL = 1024  # tokens of a sentence's prompt and answer
_SEQUENCES = (16, 1024)  # fewer leave a GPU idle; more gain nothing and cost time to schedule
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM has kernels for


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a model decides how much memory it takes.

    Attributes:
        cache_bytes: Bytes that keys and values of one token take.
        weights: Bytes of all weights; 0 where they are not known.
    """

    cache_bytes: int
    weights: int


def sequences_that_fit(shape: Shape, memory: int) -> int:
    """How many sentences a card decodes together.

    Args:
        shape: The model's.
        memory: Bytes that weights, keys and values may take.
    """
    least, most = _SEQUENCES
    room = memory - shape.weights if shape.weights else memory // 2
    return max(least, min(most, room // (shape.cache_bytes * _TYPICAL)))


def arguments(
    base: str,
    options: VllmOptions,
    adapters: Mapping[str, str],
    *,
    gpus: float,
    log_stats: bool = False,
) -> "AsyncEngineArgs":
    """Arguments of vLLM for a model on this machine.

    Args:
        base: Folder or Hugging Face id of the base model.
        options: The job's.
        adapters: Adapters by name; see ``VllmEngine``.
        gpus: GPUs of this worker, or a part of one; 0 for all there are.
        log_stats: Whether vLLM counts what it does.

    Raises:
        ModelError: The model's or an adapter's configuration cannot be read.
    """
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")  # a corpus is nobody else's business
    # vLLM would pin its threads to cores, the same ones in every worker of a node.
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    # xgrammar's cache takes two grammars of the same shape for one, whatever tokens they name (0.2.8): sentences with
    # as many units would be held to each other's words. Without it they compile as fast, because no two are the same.
    os.environ["VLLM_XGRAMMAR_CACHE_MB"] = "0"
    from vllm import AsyncEngineArgs
    from vllm.platforms import current_platform

    from llmner.models import default_dtype

    device = current_platform.device_type
    dtype = default_dtype(device)
    shape = _shape(base, dtype.itemsize)
    share = SHARE * min(gpus or 1.0, 1.0)
    machine: dict[str, Any]
    if device == "cpu":
        sequences = options.sequences or _SEQUENCES[0]
        tokens = max(options.window, sequences * _TYPICAL)
        machine = {"kv_cache_memory_bytes": shape.cache_bytes * tokens, "enforce_eager": True}
    else:
        memory = int(current_platform.get_device_total_memory() * share * options.tensor_parallel)
        sequences = options.sequences or sequences_that_fit(shape, memory)
        machine = {"gpu_memory_utilization": share}
    if options.draft:
        machine["speculative_config"] = {
            "method": "custom_class",
            "model": vllm_copy.CLASS,
            "num_speculative_tokens": options.draft,
        }
    if adapters:
        rank = max(_rank(path) for path in adapters.values())
        # The CPU kernels take the last slot for requests without an adapter: one more, which stays empty.
        slots = len(set(adapters.values())) + (device == "cpu")
        machine |= {"enable_lora": True, "max_loras": slots, "max_lora_rank": rank}
    return AsyncEngineArgs(
        model=base,
        dtype=str(dtype).removeprefix("torch."),
        seed=0,
        max_model_len=options.window,
        max_num_seqs=sequences,
        max_num_batched_tokens=max(2048 if device == "cpu" else 8192, sequences * (1 + options.draft)),
        tensor_parallel_size=options.tensor_parallel,
        enable_prefix_caching=True,
        structured_outputs_config={"backend": "xgrammar"},
        disable_log_stats=not log_stats,
        **machine,
    )


def _shape(base: str, number_bytes: int) -> Shape:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(base).get_text_config()
    except (OSError, ValueError) as e:
        raise ModelError(f"model {base!r} has no configuration: {e}", hint="give a folder or a Hugging Face id") from e
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    weights = sum(file.stat().st_size for file in Path(base).glob("*.safetensors"))
    return Shape(2 * config.num_hidden_layers * heads * width * number_bytes, weights)


def _rank(adapter: str) -> int:
    """The least rank that vLLM has kernels for and the adapter fits in."""
    from peft import PeftConfig

    try:
        rank = int(PeftConfig.from_pretrained(adapter).r)
    except (OSError, ValueError, AttributeError) as e:
        raise ModelError(f"adapter {adapter!r} cannot be loaded: {e}", hint="give a LoRA's folder or its id") from e
    fitting = [r for r in _RANKS if r >= rank]
    if not fitting:
        raise ModelError(f"adapter {adapter!r}: rank {rank} is above {_RANKS[-1]}, the highest that vLLM runs")
    return fitting[0]
