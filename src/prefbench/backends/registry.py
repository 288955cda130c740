"""Which backends there are, and which one `auto` means here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any, cast

from prefbench.backends.base import Backend
from prefbench.errors import ConfigError, MissingExtraError, unknown_name
from prefbench.plugins import check_options, known_names, load_plugin, refuse_keys

BACKENDS: Mapping[str, str] = {
    "hf": "prefbench.backends.hf:HfBackend",
    "vllm": "prefbench.backends.vllm:VllmBackend",
    "openai": "prefbench.backends.openai:OpenAIBackend",
    "anthropic": "prefbench.backends.anthropic:AnthropicBackend",
}
GROUP = "prefbench.backends"

_MODULES = {
    "hf": ("torch", "transformers"),
    "vllm": ("torch", "vllm"),
    "openai": ("openai",),
    "anthropic": ("anthropic",),
}
_MODULES_OF_NEEDS = {("hf", "adapter"): ("peft",)}


def choose_backend(name: str) -> tuple[str, str]:
    """Return (backend, why): `auto` is vLLM where it is installed and usable, else hf.

    Raises MissingExtraError if neither can be used, ConfigError for an unknown name.
    """
    if name != "auto":
        if name not in (known := known_names(BACKENDS, GROUP)):
            raise unknown_name("backend", name, known)
        return name, "asked for"
    missing = _missing_modules("vllm")
    if not missing:
        return "vllm", "vLLM is installed"
    if _missing_modules("hf"):
        raise MissingExtraError("sampling", "hf")
    return "hf", f"vLLM is not installed ({', '.join(missing)} not found)"


def open_backend(
    name: str, model: str, *, options: Mapping[str, Any], needs: frozenset[str] = frozenset()
) -> Backend:
    """Open a backend on a model; `needs` are the features that the conditions ask of it.

    Raises, before anything is loaded, MissingExtraError if it is not installed and ConfigError for an unknown
    backend or option and for a need that it does not support; then ConfigError for an unknown model.
    """
    if name in BACKENDS and _missing_modules(name):
        raise MissingExtraError(f"backend {name!r}", name)
    backend_class = load_plugin("backend", name, builtins=BACKENDS, group=GROUP)
    refuse_keys(options)
    check_options(f"backend {name!r}", backend_class, options)
    if lacking := sorted(needs - backend_class.supports):
        raise ConfigError(f"backend {name!r} does not support {', '.join(lacking)}: choose another --backend")
    for need in sorted(needs):
        if _not_found(_MODULES_OF_NEEDS.get((name, need), ())):
            raise MissingExtraError(f"a condition with {need} in backend {name!r}", name)
    return cast("Backend", backend_class(model, **options))


def close_backend(backend: Backend) -> None:
    """Have a backend give back what it holds, if it holds anything: a device, processes, connections."""
    close = getattr(backend, "close", None)
    if close is not None:
        close()


def _missing_modules(backend: str) -> list[str]:
    return _not_found(_MODULES.get(backend, ()))


def _not_found(modules: Iterable[str]) -> list[str]:
    return [module for module in modules if find_spec(module) is None]
