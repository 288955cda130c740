"""What generates text: the Backend protocol and the registry of backends."""

from prefbench.backends.base import (
    Backend,
    Completion,
    Output,
    Request,
    Sampling,
    SteeringBackend,
    Treatment,
    Vector,
)
from prefbench.backends.registry import BACKENDS, choose_backend, open_backend

__all__ = [
    "BACKENDS",
    "Backend",
    "Completion",
    "Output",
    "Request",
    "Sampling",
    "SteeringBackend",
    "Treatment",
    "Vector",
    "choose_backend",
    "open_backend",
]
