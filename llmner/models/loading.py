"""Specifications made into engines; models loaded with adapters merged, on a device and in a number type.

Invariant: weights are read as safetensors; nothing from storage is unpickled or run.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmner.config import NumberType, VllmOptions
from llmner.errors import ModelError
from llmner.models.cache import prepared
from llmner.models.spec import GeneratorSpec
from llmner.models.weights import fetched, identity
from llmner.tagging.memory import SHARE, sequences_that_fit, shape_of

if TYPE_CHECKING:
    import torch

    from llmner.tagging.engine import Engine
    from llmner.tagging.local_engine import LocalEngine

_ROWS_ON_CPU = 32  # more sentences together gain nothing on a CPU
_ROWS_ON_GPU = (16, 512)
_ROW_TOKENS = 4096  # keys and values of the longest sentence; the cache doubles, and is copied, as rows grow


def number_type(dtype: NumberType, device: str) -> "torch.dtype":
    """Return torch's type of number.

    Args:
        dtype: ``auto`` for the fastest that the device multiplies well: bfloat16, or float32 where a CPU must emulate
            it. Of ``int8`` it is the type of all that is not a linear layer.
        device: ``cpu`` or a GPU.

    Raises:
        ModelError: The device does not compute with it.
    """
    import torch

    if dtype == "int8" and device != "cpu":
        raise ModelError("int8 is computed on CPUs alone", hint="dtype: bfloat16")
    if dtype != "auto":
        return torch.float32 if dtype == "float32" else torch.bfloat16
    if device != "cpu":
        return torch.bfloat16
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32


def decided_number_type(dtype: NumberType, *, gpu: bool, integers: bool) -> NumberType:
    """Return the number type that ``auto`` stands for, so that it is the same wherever the model is loaded.

    Args:
        dtype: As the user gave it.
        gpu: Whether the model goes to a GPU; else a CPU like this machine's decides.
        integers: Whether ``auto`` may be ``int8``, as it is for the local engine: a CPU that is fast in bfloat16 is
            faster so, and the embedded model finds as much.

    Raises:
        ModelError: The device does not compute with it.
    """
    chosen = number_type(dtype, "cuda" if gpu else "cpu")
    if dtype != "auto":
        return dtype
    if str(chosen) == "torch.float32":
        return "float32"
    return "int8" if integers and not gpu else "bfloat16"


def default_device() -> str:
    """Return ``cuda`` where there is one, else ``cpu``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def load(
    base: str,
    *,
    adapter: str | None = None,
    dtype: "torch.dtype",
    device: str,
    attention: str | None = None,
    quantised: bool = False,
    eight_bits: bool = False,
    headless: bool = False,
) -> tuple[Any, Any]:
    """Load a model and its tokenizer; an adapter is merged into the weights.

    Args:
        base: Reference of the base model, see ``weights``.
        adapter: Reference of its adapter.
        dtype: Number type of the weights.
        device: Where they go.
        attention: transformers' name of the attention implementation; None for its default.
        quantised: Whether the linear layers are held in 4 bits (NF4).
        eight_bits: Whether they compute in 8, on a CPU.
        headless: Load the transformer alone, causal or not, without a language model head.

    Returns:
        Model in evaluation mode, and tokenizer.

    Raises:
        ModelError: A part is missing or of another kind.
    """
    quantisation = _in_four_bits(dtype, device) if quantised else {}
    model, tokenizer = _load_merged(
        base, adapter, headless=headless, dtype=dtype, attn_implementation=attention, **quantisation
    )
    model = model.eval().requires_grad_(False)
    if not quantised:
        model = model.to(device)
        transformer = model if headless else model.get_decoder()
        if eight_bits:
            from llmner.models.eight_bits import to_eight_bits

            to_eight_bits(transformer)
        elif device == "cpu":
            _transpose_in_memory(transformer)
    return model, tokenizer


def load_packed(
    base: str, adapter: str | None, dtype: NumberType, device: str, *, headless: bool = False
) -> tuple[Any, Any]:
    """Load a model that reads packed sentences, see ``tagging.attention``, in a number type; else as ``load``."""
    from llmner.tagging.attention import IMPLEMENTATION

    return load(
        base,
        adapter=adapter,
        dtype=number_type(dtype, device),
        device=device,
        attention=IMPLEMENTATION,
        eight_bits=dtype == "int8",
        headless=headless,
    )


def merged(base: str, adapter: str) -> Path:
    """Return the folder of a model with its adapter merged into the weights, in float32; the first call makes it.

    Args:
        base: Reference of the base model.
        adapter: Reference of its adapter.

    Raises:
        ModelError: See ``load``.
    """
    import torch

    digest = hashlib.sha256(f"{identity(base)} {identity(adapter)}".encode()).hexdigest()[:12]

    def make(folder: Path) -> None:
        model, tokenizer = _load_merged(base, adapter, dtype=torch.float32)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    return prepared(f"merged-{digest}", make)


def _load_merged(
    base: str, adapter: str | None, *, headless: bool = False, dtype: "torch.dtype", **options: Any
) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    folder = fetched(base, dtype=str(dtype).removeprefix("torch."))
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        kind = AutoModel if headless else AutoModelForCausalLM
        model = kind.from_pretrained(folder, use_safetensors=True, dtype=dtype, **options)
        if adapter is not None:
            model = _merge(model, fetched(adapter))
    except (OSError, ValueError, KeyError, ImportError) as e:
        with_adapter = f" with adapter {adapter!r}" if adapter else ""
        raise ModelError(
            f"model {base!r}{with_adapter} cannot be loaded: {e}",
            hint="give a folder with safetensors or a Hugging Face id",
        ) from e
    return model, tokenizer


def _in_four_bits(dtype: "torch.dtype", device: str) -> dict[str, Any]:
    """Return the options that make transformers quantise while it loads; the model is then on its device already."""
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    return {"quantization_config": config, "device_map": {"": device}}


def _transpose_in_memory(transformer: Any) -> None:
    """Lay the weights of linear layers out as matrix products read them: about a fifth faster on a CPU."""
    from torch.nn import Linear

    for layer in transformer.modules():
        if isinstance(layer, Linear):
            layer.weight.data = layer.weight.data.t().contiguous().t()


def _merge(model: Any, adapter: Path) -> Any:
    """Add a LoRA adapter's product to the weights, in float32, rounding once."""
    import torch
    from peft import PeftModel

    dtype, embedding = model.dtype, model.get_input_embeddings().weight.data
    merged = PeftModel.from_pretrained(model.to(torch.float32), adapter).merge_and_unload().to(dtype)
    merged.get_input_embeddings().weight.data = embedding  # as it was: mapped from the file, shared by all processes
    return merged


def load_engine(
    spec: GeneratorSpec,
    *,
    threads: int | None = None,
    device: str | None = None,
    rows: int | None = None,
    gpus: float = 0.0,
) -> "LocalEngine":
    """Load a generator into this process.

    Args:
        spec: The generator.
        threads: CPU threads to compute with; None leaves torch's choice.
        device: ``cpu`` or ``cuda``; None for ``cuda`` where there is one.
        rows: Sentences decoded together; None for as many as the GPU's memory holds, or as a CPU can use.
        gpus: The part of a GPU that is this worker's; 0 for all of it.

    Raises:
        ModelError: See ``load``.
    """
    import torch

    from llmner.tagging.local_engine import LocalEngine

    if threads:
        torch.set_num_threads(threads)
    device = device or default_device()
    decided = decided_number_type(spec.dtype, gpu=device != "cpu", integers=True)
    model, tokenizer = load_packed(spec.base, spec.adapter, decided, device)
    return LocalEngine(
        model,
        tokenizer,
        fingerprint=spec.fingerprint(),
        form=spec.form,
        rows=rows or _rows_that_fit(model, device, gpus),
        open_bias=spec.open_bias,
    )


def _rows_that_fit(model: Any, device: str, gpus: float) -> int:
    """Return how many sentences a loaded model decodes together."""
    import torch

    if device == "cpu":
        return _ROWS_ON_CPU
    free, total = torch.cuda.mem_get_info(device)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    shape = shape_of(model.config, model.dtype.itemsize, weights=weights)
    memory = int(SHARE * min(total * min(gpus or 1.0, 1.0), free + weights))  # others may use the card, too
    return sequences_that_fit(shape, memory, tokens=_ROW_TOKENS, limits=_ROWS_ON_GPU)


def load_vllm_engine(spec: GeneratorSpec, options: VllmOptions, *, gpus: float = 0.0) -> "Engine":
    """Load a generator into vLLM.

    Args:
        spec: The generator.
        options: How vLLM runs.
        gpus: GPUs of this worker, or a part of one; 0 for all there are.

    Raises:
        ModelError: vLLM is not installed, or cannot load a part of the model.
    """
    try:
        from vllm.platforms import current_platform
    except ImportError as e:
        raise ModelError(f"vLLM cannot be imported: {e}", hint="pip install 'llmner[gpu]', or engine: local") from e
    from transformers import AutoTokenizer

    from llmner.tagging.vllm_engine import VllmEngine
    from llmner.tagging.vllm_setup import arguments

    device = current_platform.device_type
    dtype = number_type(spec.dtype, device)
    references = {**({"": spec.adapter} if spec.adapter else {}), **spec.adapters}
    if spec.adapter and not spec.adapters and device == "cpu":
        base, adapters = merged(spec.base, spec.adapter), {}  # on a CPU vLLM copies an adapter's weights for each token
    else:
        base = fetched(spec.base, dtype=str(dtype).removeprefix("torch."))
        adapters = {name: str(fetched(reference)) for name, reference in references.items()}
    return VllmEngine(
        arguments(str(base), options, adapters, dtype=dtype, gpus=gpus),
        AutoTokenizer.from_pretrained(base),
        fingerprint=spec.fingerprint(),
        adapters=adapters,
        grammar=spec.grammar,
        form=spec.form,
        open_bias=spec.open_bias,
    )
