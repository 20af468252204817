"""Small models with random weights, of the architectures that the product is used with."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3Config,
    Gemma3TextConfig,
    Glm4Config,
    LlamaConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

_COMMON = {
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 4096,
    "initializer_range": 0.3,  # far from zero, so that a random model places tags here and there
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
CONFIGS = {
    "gemma3": lambda v: Gemma3TextConfig(
        vocab_size=v,
        sliding_window=24,
        query_pre_attn_scalar=16,
        layer_types=["sliding_attention", "full_attention"],
        **_COMMON,
    ),
    "qwen3": lambda v: Qwen3Config(vocab_size=v, **_COMMON),
    "glm4": lambda v: Glm4Config(vocab_size=v, **_COMMON),
    "llama": lambda v: LlamaConfig(vocab_size=v, **_COMMON),
}
# A language model inside one that also sees.
SEEING = {
    "gemma3_vision": lambda v: Gemma3Config(
        text_config=CONFIGS["gemma3"](v).to_dict(),
        vision_config={
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 28,
            "patch_size": 14,
        },
        image_token_index=v - 1,
        boi_token_index=v - 2,
        eoi_token_index=v - 3,
        **{k: _COMMON[k] for k in ("pad_token_id", "bos_token_id", "eos_token_id", "initializer_range")},
    ),
}


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A byte tokenizer that also knows a few longer pieces, so that units have one token or several."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = ["<bos>", "<eos>", *alphabet, "Ġt", "Ġth", "Ġthe", "ce", "ll", "cell"]
    merges = [("Ġ", "t"), ("Ġt", "h"), ("Ġth", "e"), ("c", "e"), ("l", "l"), ("ce", "ll")]
    inner = Tokenizer(models.BPE({p: i for i, p in enumerate(pieces)}, merges))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<bos>", eos_token="<eos>")


def random_model(name: str, vocabulary: int, *, seed: int, head_width: int = 16) -> Any:
    torch.manual_seed(seed)
    config = {**CONFIGS, **SEEING}[name](vocabulary)
    if head_width != 16:
        config.head_dim = head_width
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32).eval()


def save(name: str, folder: Path, *, seed: int = 3, head_width: int = 16) -> str:
    """Save a model and its tokenizer as transformers reads them; the folder's name."""
    tokenizer = byte_tokenizer()
    random_model(name, len(tokenizer), seed=seed, head_width=head_width).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def save_adapter(model: str, folder: Path, *, seed: int) -> str:
    """Save a random LoRA for a saved model; the folder's name."""
    from peft import LoraConfig, get_peft_model

    base = AutoModelForCausalLM.from_pretrained(model)
    torch.manual_seed(seed)
    config = LoraConfig(r=8, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False)
    get_peft_model(base, config).save_pretrained(folder)
    return str(folder)
