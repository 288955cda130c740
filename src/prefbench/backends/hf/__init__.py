"""Backend `hf`: Hugging Face transformers on CPU or GPU."""

from prefbench.backends.hf.backend import HfBackend

__all__ = ["HfBackend"]
