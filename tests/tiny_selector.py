"""A selector with random weights on a tiny base model, as a folder."""

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModel

from llmner.selection.reading import HEAD
from llmner.selection.selector import SelectorSettings, write_settings
from llmner.tagging.prompts import Form
from llmner.training.generator import save_adapter


def save(base: Path, folder: Path) -> str:
    """Save it, tuned to nothing; the folder's name."""
    torch.manual_seed(1)
    transformer = AutoModel.from_pretrained(base)
    adapted = get_peft_model(transformer, LoraConfig(r=2, target_modules="all-linear"))
    save_adapter(adapted, folder, Form())
    head = torch.nn.Linear(transformer.config.hidden_size, 1)
    save_file(head.state_dict(), folder / HEAD)
    write_settings(folder, SelectorSettings(base=str(base), nesting={"bc5cdr": ("same type",)}))
    return str(folder)
