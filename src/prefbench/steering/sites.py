"""Where in a model a vector is added, and where its hidden states are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from prefbench.errors import BackendError

if TYPE_CHECKING:
    import torch

_BLOCKS = re.compile(r"(^|\.)(layers|h|blocks)$")
_NORM_BEHIND_MLP = re.compile(r"post_?(feed_?forward|mlp|ffn?|ff)\w*", re.IGNORECASE)


class Site(NamedTuple):
    """The module whose output takes the vector of one block."""

    module: Any
    name: str
    """`mlp` (the branch, before it joins the residual stream) or `block` (the sum)."""


def find_blocks(model: Any) -> list[Any]:
    """Return the transformer blocks of a causal language model, first to last.

    Raises BackendError if they cannot be told for sure.
    """
    import torch

    count = getattr(model.config.get_text_config(decoder=True), "num_hidden_layers", None)
    found = [
        module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == count and _BLOCKS.search(name)
    ]
    if len(found) != 1:
        raise BackendError(
            f"{type(model).__name__}: {len(found)} lists of {count} blocks found where one was expected; this "
            "architecture cannot be steered"
        )
    return list(found[0])


def model_width(model: Any) -> int:
    """Return the size of a model's residual stream."""
    return int(model.config.get_text_config(decoder=True).hidden_size)


def find_site(model: Any, block: Any) -> Site:
    """Return where a block takes its vector: the MLP branch, so that half precision does not swallow it.

    Where something stands between that branch and the residual stream, a norm (Gemma) or a factor (Granite),
    it would change the vector: there it is the block's output.
    """
    factor = getattr(model.config.get_text_config(decoder=True), "residual_multiplier", None)
    behind = any(_NORM_BEHIND_MLP.fullmatch(name) for name, _ in block.named_children())
    if behind or factor not in (None, 1, 1.0) or not hasattr(block, "mlp"):
        return Site(block, "block")
    return Site(block.mlp, "mlp")


def hidden_of(output: Any) -> torch.Tensor:
    """Return the hidden states of a module's output, which some architectures wrap in a tuple."""
    hidden: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return hidden


@contextmanager
def recorded(model: Any, read: Callable[[int, torch.Tensor], Any]) -> Iterator[dict[int, Any]]:
    """Within the block, collect `read(layer, block output [rows, tokens, width])` of each forward pass.

    Hidden states are reduced on the spot, so that not all of them have to be in memory at once. The last block
    is read before the final norm, unlike `hidden_states[-1]` of transformers.
    """
    found: dict[int, Any] = {}

    def hook(layer: int) -> Callable[..., None]:
        def keep(_module: Any, _inputs: Any, output: Any) -> None:
            found[layer] = read(layer, hidden_of(output))

        return keep

    handles: list[Any] = []
    try:
        handles += [
            block.register_forward_hook(hook(layer)) for layer, block in enumerate(find_blocks(model))
        ]
        yield found
    finally:
        for handle in handles:
            handle.remove()
