"""The conditions' adapters as vLLM takes them: read, checked and numbered before the engine starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefbench.adapter_files import AdapterFiles, check_base, read_adapter
from prefbench.backends.hf.adapters import check_supported
from prefbench.errors import ConfigError


class Adapters:
    """The adapters of one base model, each with the number that vLLM knows it by."""

    def __init__(self, *, name: str, weights: Mapping[str, Any], allow_other_base: bool) -> None:
        self._name = name
        self._weights = weights
        self._allow_other_base = allow_other_base
        self._found: dict[str, AdapterFiles] = {}

    def identify(self, adapter: str | None) -> dict[str, Any] | None:
        """Return what pins an adapter. Raises ConfigError for one that vLLM cannot load as it is meant."""
        if adapter is None:
            return None
        if adapter not in self._found:
            found = read_adapter(adapter)
            check_supported(found)
            _check_kind(found)
            if not self._allow_other_base:
                check_base(found, self._name, self._weights)
            self._found[adapter] = found
        return self._found[adapter].identity

    @property
    def ranks(self) -> list[int]:
        """The rank of each adapter, the largest where modules differ."""
        return [
            max([int(found.config.get("r", 1)), *(found.config.get("rank_pattern") or {}).values()])
            for found in self._found.values()
        ]

    @property
    def modules(self) -> list[str]:
        """The last names of the modules that an adapter changes: vLLM need not prepare any other."""
        paths = {key.partition(".lora_")[0] for found in self._found.values() for key in found.shapes}
        return sorted({path.rsplit(".", 1)[-1] for path in paths})

    def request(self, adapter: str | None) -> Any:
        """Return vLLM's LoRARequest for an adapter that has been identified; None for none."""
        if adapter is None:
            return None
        from vllm.lora.request import LoRARequest

        self.identify(adapter)
        number = list(self._found).index(adapter) + 1
        return LoRARequest(
            lora_name=f"adapter_{number}",
            lora_int_id=number,
            lora_path=str(self._found[adapter].folder.resolve()),
        )


def _check_kind(found: AdapterFiles) -> None:
    """Raise ConfigError for a kind of LoRA that hf applies and vLLM does not."""
    unsupported = ("use_dora", "lora_bias", "use_qalora", "use_bdlora")
    for name in unsupported:
        if found.config.get(name):
            raise ConfigError(
                f"adapter {found.source!r} has {name}: vLLM does not apply it; use --backend hf, or merge the adapter "
                "into a checkpoint and give that as the condition's model"
            )
