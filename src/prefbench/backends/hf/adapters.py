"""LoRA adapters on one loaded model: each is loaded once, switched on and off by request, and never merged."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from prefbench.adapter_files import AdapterFiles, check_base, read_adapter
from prefbench.errors import ConfigError

MADE_IN_PLACE = ("pissa", "olora", "loftq", "corda", "lora_ga")
"""Initialisations that change the base model's own weights when peft loads the adapter."""


class Adapters:
    """The adapters of one model. Loading one injects peft's layers; with all of them off the model is as it was."""

    def __init__(self, model: Any, *, name: str, weights: Mapping[str, Any], allow_other_base: bool) -> None:
        """`name` and `weights` say what the base model is, as `identify_model` does."""
        self._model = model
        self._name = name
        self._weights = weights
        self._allow_other_base = allow_other_base
        self._peft: Any = None
        self._loaded: dict[str, tuple[str, AdapterFiles]] = {}
        self._broken: ConfigError | None = None

    def identify(self, adapter: str | None) -> dict[str, Any] | None:
        """Return what pins an adapter: the hash of its files, its rank and modules; loads it if need be."""
        return None if adapter is None else self._load(adapter)[1].identity

    def versions(self) -> dict[str, str]:
        """Return the version of peft, if an adapter is loaded."""
        if self._peft is None:
            return {}
        import peft

        return {"peft": peft.__version__}

    @contextmanager
    def active(self, adapter: str | None) -> Iterator[None]:
        """Run the model with this adapter, or with none.

        Raises ConfigError for an adapter that cannot be used on this model.
        """
        if self._broken:
            raise self._broken
        if adapter is not None:
            name, _ = self._load(adapter)
            self._peft.set_adapter(name, inference_mode=True)
            yield
        elif self._peft is None:
            yield
        else:
            with self._peft.disable_adapter():
                yield

    def _load(self, adapter: str) -> tuple[str, AdapterFiles]:
        if adapter not in self._loaded:
            found = read_adapter(adapter)
            check_supported(found)
            if not self._allow_other_base:
                check_base(found, self._name, self._weights)
            _check_fit(found, self._model, self._name)
            name = f"adapter_{len(self._loaded) + 1}"
            try:
                self._inject(found, name)
            except ConfigError as error:
                self._broken = error  # the model now holds layers of an adapter that is not whole
                raise
            self._loaded[adapter] = (name, found)
        return self._loaded[adapter]

    def _inject(self, found: AdapterFiles, name: str) -> None:
        from peft import PeftModel, get_peft_model_state_dict

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what they warn of is checked below, and refused
                if self._peft is None:
                    self._peft = PeftModel.from_pretrained(self._model, str(found.folder), adapter_name=name)
                else:
                    self._peft.load_adapter(str(found.folder), adapter_name=name)
        except (ValueError, RuntimeError, TypeError, KeyError, OSError) as error:
            # torch's first line only says that there is a list of faults
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            first = next((line for line in lines if not line.endswith(":")), type(error).__name__)
            raise ConfigError(
                f"adapter {found.source!r} cannot be loaded on {self._name!r}: {first}; its configuration and weights "
                "must be of one training, and of this model: copy both again, or give the model"
            ) from error
        self._peft.eval()
        # left to itself, it asks the hub for the base model's configuration to see if the vocabulary has grown
        wanted = set(get_peft_model_state_dict(self._peft, adapter_name=name, save_embedding_layers=False))
        if lacking := sorted(wanted - set(found.shapes)):
            raise ConfigError(
                f"adapter {found.source!r} is not whole on {self._name!r}: it lacks {len(lacking)} tensors, first "
                f"{lacking[0]}; it was made for a model with other layers: give that model"
            )


def check_supported(found: AdapterFiles) -> None:
    """Raise ConfigError for an adapter that cannot be switched off again without a trace, or is no LoRA."""
    config = found.config
    initialised = str(config.get("init_lora_weights", True)).lower()
    lacking = {
        "kind": str(config.get("peft_type", "")).upper() != "LORA",
        "bias": config.get("bias", "none") != "none",
        "modules_to_save": bool(config.get("modules_to_save")),
        "trainable_token_indices": bool(config.get("trainable_token_indices")),
        "target_parameters": bool(config.get("target_parameters")),
        "layer_replication": bool(config.get("layer_replication")),
        "alora_invocation_tokens": bool(config.get("alora_invocation_tokens")),
        "init_lora_weights": initialised.startswith(MADE_IN_PLACE),
    }
    for name, unsupported in lacking.items():
        if unsupported:
            value = config.get("peft_type" if name == "kind" else name)
            raise ConfigError(
                f"adapter {found.source!r} has {'peft_type' if name == 'kind' else name} {value!r}: only a plain LoRA "
                "leaves the base model as it was when it is off; merge it into a checkpoint (peft: merge_and_unload, "
                "save_pretrained) and give that as the condition's model"
            )


def _check_fit(found: AdapterFiles, model: Any, name: str) -> None:
    """Raise ConfigError if a tensor of the adapter has no place, or no place of its shape, in the model."""
    modules = dict(model.named_modules())
    for key, shape in found.shapes.items():
        path, _, part = key.removeprefix("base_model.model.").partition(".lora_")
        module = modules.get(path)
        if module is None:
            raise _wrong_base(found, name, f"the model has no module {path}")
        base: Any = getattr(module, "base_layer", module)  # an adapter that is loaded already has wrapped it
        width = shape[-1] if part.startswith("A.") else shape[0]
        if part.startswith(("A.", "B.")) and len(shape) == 2 and width not in base.weight.shape:
            raise _wrong_base(
                found, name, f"{path} has the shape {tuple(base.weight.shape)}, the adapter {shape}"
            )


def _wrong_base(found: AdapterFiles, name: str, what: str) -> ConfigError:
    made_for = f" (it says: {found.base})" if found.base else ""
    return ConfigError(
        f"adapter {found.source!r} was made for another base model{made_for} than {name!r}: {what}; give the model "
        "that it was trained on"
    )
