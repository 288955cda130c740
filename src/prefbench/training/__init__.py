"""Preference pairs and what is made of them: pairs out of a study, a LoRA adapter out of pairs."""

from prefbench.training.building import PairsReport, build_pairs
from prefbench.training.dpo import TrainReport, train_dpo
from prefbench.training.pairs import Pair, read_pairs
from prefbench.training.recipe import Recipe

__all__ = ["Pair", "PairsReport", "Recipe", "TrainReport", "build_pairs", "read_pairs", "train_dpo"]
