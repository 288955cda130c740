"""Where the bundled demo model lies: a tiny Qwen3 for trying things out, with made-up preferences."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

DEMO_MODEL_NAME = "demo"


def demo_model_path() -> Path:
    """Return the folder of the demo model, for `AutoModelForCausalLM.from_pretrained`."""
    return Path(str(files("prefbench") / "data" / "demo"))


def locate_model(name: str) -> str:
    """Return the folder of the bundled model for `demo`, and any other name as it is."""
    return str(demo_model_path()) if name == DEMO_MODEL_NAME else name
