"""Trait vectors: their files, how they are extracted, added to a model while it runs, and proved to act."""

from prefbench.steering.hooks import Steering, steered
from prefbench.steering.plan import Addition, Plan, make_plan
from prefbench.steering.vectors import TraitVector, combine_vectors, load_vector, save_vector

__all__ = [
    "Addition",
    "Plan",
    "Steering",
    "TraitVector",
    "combine_vectors",
    "load_vector",
    "make_plan",
    "save_vector",
    "steered",
]
