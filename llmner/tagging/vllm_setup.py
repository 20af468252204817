"""How vLLM is set up for a model on a machine: memory, sentences at once, drafter, adapters.

Invariant: nothing here shapes an answer; it decides how fast they come.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmner.config import VllmOptions
from llmner.errors import ModelError
from llmner.tagging import vllm_copy
from llmner.tagging.memory import SHARE, Shape, sequences_that_fit, shape_of

if TYPE_CHECKING:
    import torch
    from vllm import AsyncEngineArgs

_TYPICAL = 1024  # tokens of a sentence's prompt and answer
_SEQUENCES = (16, 1024)  # fewer leave a GPU idle; more gain nothing and cost time to schedule
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM has kernels for


def arguments(
    base: str,
    options: VllmOptions,
    adapters: Mapping[str, str],
    *,
    dtype: "torch.dtype",
    gpus: float,
    log_stats: bool = False,
) -> "AsyncEngineArgs":
    """Return vLLM's arguments for a model on this machine.

    Args:
        base: Folder of the base model.
        options: How the job wants vLLM to run.
        adapters: Adapters by name; see ``VllmEngine``.
        dtype: Number type to compute with.
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

    device = current_platform.device_type
    shape = _shape(base, dtype.itemsize)
    share = SHARE * min(gpus or 1.0, 1.0)
    machine: dict[str, Any]
    if device == "cpu":
        sequences = options.sequences or _SEQUENCES[0]
        tokens = max(options.window, sequences * _TYPICAL)
        machine = {"kv_cache_memory_bytes": shape.cache_bytes * tokens, "enforce_eager": True}
    else:
        memory = int(current_platform.get_device_total_memory() * share * options.tensor_parallel)
        sequences = options.sequences or sequences_that_fit(shape, memory, tokens=_TYPICAL, limits=_SEQUENCES)
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
        config = AutoConfig.from_pretrained(base)
    except (OSError, ValueError) as e:
        raise ModelError(f"model {base!r} has no configuration: {e}", hint="give a folder or a Hugging Face id") from e
    weights = sum(file.stat().st_size for file in Path(base).glob("*.safetensors"))
    return shape_of(config, number_bytes, weights=weights)


def _rank(adapter: str) -> int:
    """Return the lowest rank that vLLM has kernels for and the adapter fits in."""
    from peft import PeftConfig

    try:
        rank = int(PeftConfig.from_pretrained(adapter).r)
    except (OSError, ValueError, AttributeError) as e:
        raise ModelError(f"adapter {adapter!r} cannot be loaded: {e}", hint="give a LoRA's folder or its id") from e
    fitting = [r for r in _RANKS if r >= rank]
    if not fitting:
        raise ModelError(f"adapter {adapter!r}: rank {rank} is above {_RANKS[-1]}, the highest that vLLM runs")
    return fitting[0]
