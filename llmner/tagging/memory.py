"""How many sentences a model can decode together in the memory of a device.

Invariant: nothing here shapes an answer; it decides how fast they come.
"""

from dataclasses import dataclass
from typing import Any

SHARE = 0.9  # of a GPU's memory, or of a worker's part of it


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a model decides how much memory it takes.

    Attributes:
        cache_bytes: Bytes that keys and values of one token take.
        weights: Bytes of all weights; 0 where they are not known.
    """

    cache_bytes: int
    weights: int


def shape_of(config: Any, number_bytes: int, *, weights: int) -> Shape:
    """Return the shape of a model.

    Args:
        config: Its configuration, as transformers reads it.
        number_bytes: Bytes of a number in keys and values.
        weights: Bytes of all weights; 0 where they are not known.
    """
    config = config.get_text_config()  # of a model that also sees, its language part
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return Shape(2 * config.num_hidden_layers * heads * width * number_bytes, weights)


def sequences_that_fit(shape: Shape, memory: int, *, tokens: int, limits: tuple[int, int]) -> int:
    """Return how many sentences fit into memory beside the weights.

    Args:
        shape: The model's.
        memory: Bytes that weights, keys and values may take.
        tokens: Tokens that a sentence with its prompt and answer may keep.
        limits: Fewest and most sentences worth decoding together.
    """
    fewest, most = limits
    room = memory - shape.weights if shape.weights else memory // 2
    return max(fewest, min(most, room // (shape.cache_bytes * tokens)))
