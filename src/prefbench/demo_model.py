"""Where the bundled demo model lies: a tiny Qwen3 for trying things out, with made-up preferences."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

DEMO_MODEL_NAME = "demo"


def demo_model_path() -> Path:
    """Return the folder of the demo model, for `AutoModelForCausalLM.from_pretrained`."""
    return Path(str(files("prefbench") / "data" / "demo"))


def demo_conditions_path() -> Path:
    """Return the folder of the demo's adapter and trait vectors."""
    return Path(str(files("prefbench") / "data" / "demo_conditions"))


def locate_model(model: str) -> str:
    """Return what `from_pretrained` takes: the demo model's folder for its name, else what was given."""
    return str(demo_model_path()) if model == DEMO_MODEL_NAME else model
