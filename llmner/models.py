"""Models by name: where base, adapter and tokenizer come from, what they are, and how they are loaded.

``embedded`` is the model that comes with the package. Any other name is a Hugging Face id or the path of a
folder in that format, with or without an adapter.

Invariant: weights are read as safetensors; nothing from storage is unpickled or run.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llmner import embedded
from llmner.errors import ModelError
from llmner.tagging.grammar import VERSION as GRAMMAR_VERSION
from llmner.tagging.prompts import DEFAULT_FORM, Form, prompt_digest

if TYPE_CHECKING:
    import torch

    from llmner.config import VllmOptions
    from llmner.tagging.engine import Engine

EMBEDDED = "embedded"
PROMPT_FILE = "prompt.json"  # beside an adapter's weights: how it was asked in training
_ADAPTER = Path(__file__).resolve().parent / "weights" / "embedded" / "generator"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a model's parts are.

    Attributes:
        name: As the user gave it.
        base: Folder or Hugging Face id of the base model.
        adapter: Folder or Hugging Face id of the adapter; None where the base needs none.
    """

    name: str
    base: str
    adapter: str | None


def find(model: str = EMBEDDED, *, adapter: str | None = None) -> ModelFiles:
    """Find a model's parts, preparing the embedded one at the first call.

    Args:
        model: ``embedded``, a folder, or a Hugging Face id.
        adapter: A folder or Hugging Face id; default for ``embedded`` the one that comes with the package.

    Raises:
        ModelError: The embedded model cannot be prepared.
    """
    if model == EMBEDDED:
        return ModelFiles(model, str(embedded.prepare(default_dtype("cpu"))), adapter or str(_ADAPTER))
    return ModelFiles(model, model, adapter)


def engine_fingerprint(
    model: str = EMBEDDED,
    *,
    adapter: str | None = None,
    adapters: Mapping[str, str] = MappingProxyType({}),
    grammar: bool = True,
    open_bias: float = 0.0,
) -> dict[str, str]:
    """What shapes an engine's answers: weights, prompt and decoding. Loads no model.

    A part of the model is told by a digest of its files, or by its id where it is on a hub. Under the grammar all
    engines give the same answers, so which of them it is does not count.

    Args:
        model: See ``find``.
        adapter: See ``find``.
        adapters: Other adapters by tag set or language.
        grammar: Whether only the copy and tags may be written.
        open_bias: Added to the logit of opening a tag.
    """
    decoding = f"greedy, grammar {GRAMMAR_VERSION}" if grammar else "greedy, free"
    if model == EMBEDDED:
        adapter = adapter or str(_ADAPTER)
    return {
        "model": model,
        "base": base_identity(model),
        "adapter": identity(adapter) if adapter else "none",
        "prompt": prompt_digest(),
        "decoding": f"{decoding}, open bias {open_bias:g}" if open_bias else decoding,
        **{f"adapter.{name}": identity(path) for name, path in sorted(adapters.items())},
    }


def base_identity(model: str) -> str:
    """What tells a base model from another."""
    return f"gguf sha256 {embedded.GGUF_SHA256}" if model == EMBEDDED else identity(model)


def identity(name: str) -> str:
    """A digest of a folder's weights and settings, or the name itself where it is on a hub."""
    folder = Path(name)
    if not folder.is_dir():
        return name
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".safetensors", ".json"):
            digest.update(file.relative_to(folder).as_posix().encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return f"sha256 {digest.hexdigest()}"


def default_dtype(device: str) -> "torch.dtype":
    """The fastest type of number that the device multiplies well: bfloat16, or float32 where it must emulate it."""
    import torch

    if device != "cpu":
        return torch.bfloat16
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32


def default_device() -> str:
    """``cuda`` where there is one, else ``cpu``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def prompt_form(files: ModelFiles) -> Form:
    """How a model was trained to be asked and to answer, as its adapter says; the default where it does not.

    Raises:
        ModelError: There is no such adapter.
    """
    from transformers.utils import cached_file

    try:
        file = files.adapter and cached_file(files.adapter, PROMPT_FILE, _raise_exceptions_for_missing_entries=False)
    except OSError as e:
        raise ModelError(f"adapter {files.adapter!r} cannot be read: {e}", hint="give a folder in peft's format") from e
    return Form(**json.loads(Path(file).read_text(encoding="utf-8"))) if file else DEFAULT_FORM


def load(
    files: ModelFiles,
    *,
    dtype: "torch.dtype",
    device: str,
    attention: str | None = None,
    quantised: bool = False,
    headless: bool = False,
) -> tuple[Any, Any]:
    """Load a causal model and its tokenizer; an adapter is merged into the weights.

    Args:
        files: The model's parts.
        dtype: Of the weights.
        device: Where they go.
        attention: transformers' name of the attention implementation; None for its default.
        quantised: Whether the linear layers are held in 4 bits (NF4).
        headless: Load the transformer alone, causal or not, without a language model head.

    Returns:
        Model in evaluation mode, and tokenizer.

    Raises:
        ModelError: A part is missing or of another kind.
    """
    quantisation = _in_four_bits(dtype, device) if quantised else {}
    model, tokenizer = _load_merged(
        files, headless=headless, dtype=dtype, attn_implementation=attention, **quantisation
    )
    model = model.eval().requires_grad_(False)
    if not quantised:
        model = model.to(device)
        if device == "cpu":
            _transpose_in_memory(model if headless else model.get_decoder())
    return model, tokenizer


def merged(files: ModelFiles) -> str:
    """Folder of a model with its adapter merged into the weights, in float32; made at the first call.

    Args:
        files: The model's parts, with an adapter.

    Raises:
        ModelError: See ``load``.
    """
    import torch

    parts = engine_fingerprint(files.name, adapter=files.adapter)
    digest = hashlib.sha256(f"{parts['base']} {parts['adapter']}".encode()).hexdigest()[:12]

    def make(folder: Path) -> None:
        model, tokenizer = _load_merged(files, dtype=torch.float32)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    return str(embedded.prepared(f"merged-{digest}", make))


def _load_merged(files: ModelFiles, *, headless: bool = False, **options: Any) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(files.base)
        kind = AutoModel if headless else AutoModelForCausalLM
        model = kind.from_pretrained(files.base, use_safetensors=True, **options)
        if files.adapter is not None:
            model = _merge(model, files.adapter)
    except (OSError, ValueError, KeyError, ImportError) as e:
        raise ModelError(
            f"model {files.name!r} cannot be loaded: {e}", hint="give a folder with safetensors or a Hugging Face id"
        ) from e
    return model, tokenizer


def _in_four_bits(dtype: "torch.dtype", device: str) -> dict[str, Any]:
    """What makes transformers quantise while it loads; the model is then on its device already."""
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


def _merge(model: Any, adapter: str) -> Any:
    """Add a LoRA adapter's product to the weights, in float32, rounding once."""
    import torch
    from peft import PeftModel

    dtype = model.dtype
    merged = PeftModel.from_pretrained(model.to(torch.float32), adapter).merge_and_unload()
    return merged.to(dtype)


def load_engine(
    model: str = EMBEDDED,
    *,
    adapter: str | None = None,
    threads: int | None = None,
    device: str | None = None,
    open_bias: float = 0.0,
) -> "Engine":
    """Load the local engine.

    Args:
        model: See ``find``.
        adapter: See ``find``.
        threads: CPU threads to compute with; None leaves torch's choice.
        device: ``cpu`` or ``cuda``; None for ``cuda`` where there is one.
        open_bias: See ``LocalEngine``.

    Raises:
        ModelError: See ``load``.
    """
    import torch

    from llmner.tagging.attention import IMPLEMENTATION
    from llmner.tagging.local_engine import LocalEngine

    if threads:
        torch.set_num_threads(threads)
    device = device or default_device()
    files = find(model, adapter=adapter)
    loaded, tokenizer = load(files, dtype=default_dtype(device), device=device, attention=IMPLEMENTATION)
    return LocalEngine(
        loaded,
        tokenizer,
        fingerprint=engine_fingerprint(model, adapter=adapter, open_bias=open_bias),
        form=prompt_form(files),
        open_bias=open_bias,
    )


def load_vllm_engine(
    model: str,
    options: "VllmOptions",
    *,
    adapter: str | None = None,
    adapters: Mapping[str, str] = MappingProxyType({}),
    open_bias: float = 0.0,
    gpus: float = 0.0,
) -> "Engine":
    """Load vLLM.

    Args:
        model: See ``find``.
        options: How it is to run.
        adapter: See ``find``.
        adapters: Other adapters by tag set or language.
        open_bias: See ``VllmEngine``.
        gpus: GPUs of this worker, or a part of one.

    Raises:
        ModelError: vLLM is not installed, or cannot load a part of the model.
    """
    try:
        import vllm  # noqa: F401
    except ImportError as e:
        raise ModelError(f"vLLM cannot be imported: {e}", hint="pip install 'llmner[gpu]', or engine: local") from e
    from transformers import AutoTokenizer

    from llmner.tagging.vllm_engine import VllmEngine
    from llmner.tagging.vllm_setup import arguments

    files = find(model, adapter=adapter)
    base, by_name = files.base, {**({"": files.adapter} if files.adapter else {}), **adapters}
    forms = {prompt_form(replace(files, adapter=a)) for a in by_name.values()} or {DEFAULT_FORM}
    form = forms.pop()
    if forms:
        raise ModelError("adapters that were trained on different prompts cannot go together")
    if files.adapter and not adapters and default_device() == "cpu":
        base, by_name = merged(files), {}  # on a CPU vLLM copies an adapter's weights for each token
    return VllmEngine(
        arguments(base, options, by_name, gpus=gpus),
        AutoTokenizer.from_pretrained(base),
        fingerprint=engine_fingerprint(
            model, adapter=adapter, adapters=adapters, grammar=options.grammar, open_bias=open_bias
        ),
        adapters=by_name,
        grammar=options.grammar,
        form=form,
        open_bias=open_bias,
    )
