"""What generates text: the Backend protocol and the registry of backends."""

from prefbench.backends.base import Backend, Completion, Output, Request, Sampling, Treatment
from prefbench.backends.registry import BACKENDS, choose_backend, open_backend

__all__ = [
    "BACKENDS",
    "Backend",
    "Completion",
    "Output",
    "Request",
    "Sampling",
    "Treatment",
    "choose_backend",
    "open_backend",
]
