"""vLLM's faults as one line each: what happened, and what to do."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from prefbench.backends.vllm.logs import EngineLog
from prefbench.errors import BackendError, ConfigError, PrefbenchError

KEPT = "what is finished is kept, and the same command goes on from there"

MEMORY = r"out of memory|OutOfMemory|can't allocate memory"
"""How torch says it, on a GPU and on a CPU."""


class _Known(NamedTuple):
    pattern: str
    what: str
    cure: str
    wrong_input: bool = False


_KNOWN = (
    _Known(
        r"less than desired GPU memory utilization|Free memory on device",
        "the device has not enough free memory",
        "something else uses it, perhaps another engine: stop that, or take a smaller share with --engine "
        "gpu_memory_utilization=0.4",
    ),
    _Known(
        r"No available memory for the cache blocks|larger than the available KV cache memory|KV cache is needed",
        "no memory is left for its cache",
        "use a shorter --engine max_model_len=2048, a larger --engine gpu_memory_utilization=0.95 (or "
        "kv_cache_memory_bytes, if given), or more devices with --engine tensor_parallel_size=2",
    ),
    _Known(
        r"requested memory for kv|on kv cache allocation is less",
        "the machine has not enough free memory for its cache",
        "use a smaller --engine kv_cache_memory_bytes=536870912",
    ),
    _Known(
        MEMORY,
        "it does not fit into the device's memory",
        "use --engine max_model_len=2048, a quantised model, or more devices with --engine tensor_parallel_size=2",
    ),
    _Known(
        r"Cannot find any model weights|no safetensors|No model weights|Cannot find any .*safetensors",
        "the model has no weights",
        "give a folder with config.json, *.safetensors and tokenizer files, or a hub id",
        wrong_input=True,
    ),
    _Known(
        r"Unterminated string|Expecting .* delimiter|deserializing header|InvalidHeader|MetadataIncompleteBuffer"
        r"|unpack requires a buffer",
        "a file of its weights is not whole",
        "copy or download it again",
        wrong_input=True,
    ),
    _Known(
        r"max_model_len \(.*(greater|larger) than|maximum model length",
        "max_model_len is longer than the model's context",
        "give a shorter --engine max_model_len, or none",
        wrong_input=True,
    ),
    _Known(
        r"trust_remote_code",
        "the model comes with code of its own, which is not run",
        "if you have read it and trust it: --engine trust_remote_code=true",
        wrong_input=True,
    ),
    _Known(
        r"architectures?.*(not supported|are not supported|failed to be inspected)|has no vLLM implementation",
        "vLLM has no class for this architecture",
        "use --backend hf",
        wrong_input=True,
    ),
    _Known(
        r"(tensor_parallel_size|World size|divisible by tensor parallel)",
        "the model cannot be spread over so many devices",
        "choose --engine tensor_parallel_size so that the devices exist and it divides the attention heads",
        wrong_input=True,
    ),
)


def explain_start(error: BaseException, model: str, log: EngineLog) -> PrefbenchError:
    """Return why no engine could be started on a model."""
    log.keep()
    cause = _cause(error, log)
    for known in _KNOWN:
        if re.search(known.pattern, cause, re.IGNORECASE):
            kind = ConfigError if known.wrong_input else BackendError
            return kind(
                f"vLLM cannot run model {model!r}: {known.what} ({_shorten(cause)}); {known.cure}; its log: {log.path}"
            )
    kind = ConfigError if isinstance(error, ValueError | TypeError | OSError) else BackendError
    return kind(
        f"vLLM cannot run model {model!r}: {_shorten(cause)}; change what it names with --engine, or use --backend "
        f"hf; its log: {log.path}"
    )


def explain_death(error: BaseException, log: EngineLog) -> BackendError:
    """Return why a running engine stopped."""
    log.keep()
    cause = _cause(error, log)
    if re.search(MEMORY, cause, re.IGNORECASE):
        return BackendError(
            f"vLLM ran out of memory ({_shorten(cause)}); give it a smaller --engine max_num_seqs=64 or "
            f"gpu_memory_utilization=0.8; {KEPT}"
        )
    return BackendError(f"vLLM's engine stopped: {_shorten(cause)}; {KEPT}; its log: {log.path}")


def _cause(error: BaseException, log: EngineLog) -> str:
    """Return the fault's own words, or those of the process that died, where the fault only says that one did."""
    own = _first_sentence(error)
    told_elsewhere = any(words in own for words in ("root cause", "EngineCore", "Engine core", "died"))
    return (log.root_cause() or own) if told_elsewhere or not str(error).strip() else own


def _first_sentence(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    for before, line in pairwise(lines):  # pydantic: how many faults, where, and what
        if "[type=" in line:
            place = "" if "validation error" in before else f"{before}: "
            return place + line.split(" [type=")[0].removeprefix("Value error, ")
    return lines[0] if lines else type(error).__name__


def _shorten(text: str, limit: int = 240) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
