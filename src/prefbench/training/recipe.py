"""The numbers of a DPO training."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from prefbench.errors import ConfigError, unknown_name
from prefbench.records import explain_validation

LOSSES = ("sigmoid", "sft", "ipo", "hinge", "robust", "apo_zero", "apo_down", "sppo_hard", "sigmoid_norm")
"""The losses of TRL's DPOTrainer that need nothing but their weight."""
ALL_LINEAR = "all-linear"

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Share = Annotated[float, Field(ge=0, lt=1)]


class Recipe(BaseModel):
    """How an adapter is trained: the defaults are a published personality recipe (LoRA, DPO with an SFT term).

    DPO: Rafailov et al. 2023 (arXiv 2305.18290); the SFT term on the chosen answer: Pang et al. 2024
    (arXiv 2404.19733), their NLL term.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(default=64, ge=1)
    alpha: int = Field(default=128, ge=1)
    """The adapter's output is scaled by alpha / rank."""
    dropout: _Share = 0.0
    target_modules: tuple[str, ...] = (ALL_LINEAR,)
    """Names of linear layers; `all-linear` is every one but the output embedding."""
    learning_rate: _Positive = 5e-5
    beta: _Positive = 0.1
    """How dear it is to move away from the base model."""
    loss_type: tuple[str, ...] = ("sigmoid", "sft")
    loss_weights: tuple[_Positive, ...] = (1.0, 0.1)
    batch_size: int = Field(default=32, ge=1)
    """Pairs to one step."""
    epochs: _Positive = 1.0
    max_length: int = Field(default=1024, ge=2)
    """Tokens of prompt and answer; what is beyond is cut off at the end."""
    scheduler: Annotated[str, Field(pattern="^(linear|cosine|constant)$")] = "linear"
    warmup: _Share = 0.0
    """The share of steps over which the learning rate rises to its full height."""
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    max_grad_norm: _Positive = 1.0
    seed: int = Field(default=0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _losses_and_weights_agree(self) -> Recipe:
        if not self.loss_type or len(self.loss_type) != len(self.loss_weights):
            raise ValueError(
                f"{len(self.loss_type)} loss_type and {len(self.loss_weights)} loss_weights: give one for each"
            )
        if not self.target_modules:
            raise ValueError("target_modules is empty: name at least one layer")
        return self


def make_recipe(**changes: Any) -> Recipe:
    """Return the default recipe with these changes; None changes nothing. Raises ConfigError naming the fault.

    A `loss_type` without `loss_weights` weighs every loss 1, and `sft` 0.1.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    for name in given.get("loss_type", ()):
        if name not in LOSSES:
            raise unknown_name("loss", name, LOSSES)
    if "loss_type" in given and "loss_weights" not in given:
        given["loss_weights"] = tuple(0.1 if name == "sft" else 1.0 for name in given["loss_type"])
    try:
        return Recipe(**given)
    except ValidationError as error:
        raise ConfigError(f"{explain_validation(error)}; correct the value") from error
