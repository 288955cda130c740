"""What generates text: the Backend protocol and the registry of backends."""

from prefbench.backends.base import (
    Backend,
    Completion,
    Fault,
    Output,
    Request,
    Sampling,
    SteeringBackend,
    Treatment,
    Usage,
    Vector,
)
from prefbench.backends.registry import BACKENDS, choose_backend, close_backend, open_backend

__all__ = [
    "BACKENDS",
    "Backend",
    "Completion",
    "Fault",
    "Output",
    "Request",
    "Sampling",
    "SteeringBackend",
    "Treatment",
    "Usage",
    "Vector",
    "choose_backend",
    "close_backend",
    "open_backend",
]
