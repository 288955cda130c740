"""One running vLLM engine: requests go in as they come, finished ones come out as they finish."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from prefbench.backends.vllm.faults import explain_death, explain_start
from prefbench.backends.vllm.interrupts import deaf_children
from prefbench.backends.vllm.logs import EngineLog


class Job(NamedTuple):
    """One request in the engine's words."""

    ids: Sequence[int]
    """The prompt's tokens."""
    parameters: Any
    """SamplingParams."""
    adapter: Any = None
    """LoRARequest, or None."""
    salt: str | None = None
    """Keeps one condition's cached blocks from another: they are found by tokens, adapter and this."""


class Engine(Protocol):
    """What the backend asks of a running engine."""

    config: Any
    """The VllmConfig that it runs with."""

    def submit(self, job: Job) -> str:
        """Queue a job and return its name."""
        ...

    def poll(self) -> list[tuple[str, Any]]:
        """Wait for some work to be done and return (name, RequestOutput) of the jobs that are finished by now."""
        ...

    def abort(self, names: Sequence[str]) -> None:
        """Forget jobs."""
        ...

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of every worker and return its answers, one a rank."""
        ...

    def forget_prompts(self) -> None:
        """Empty the prefix cache."""
        ...

    def close(self) -> None:
        """Give the device back."""
        ...


def start_engine(model: str, arguments: Mapping[str, Any], log: EngineLog) -> Engine:
    """Start an engine on a model; with `data_parallel_size` above 1 several replicas behind one queue.

    Raises ConfigError or BackendError with vLLM's reason in one line.
    """
    from vllm.engine.arg_utils import EngineArgs
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        # one process starts in seconds, and there is no device whose work could be overlapped with ours
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    try:
        with log.captured(), deaf_children():
            if int(arguments.get("data_parallel_size") or 1) > 1:
                from prefbench.backends.vllm.replicas import ReplicatedEngine

                return ReplicatedEngine({"model": model, **arguments}, log)
            return SingleEngine(EngineArgs(model=model, disable_log_stats=True, **arguments), log)
    except KeyboardInterrupt:
        raise
    except Exception as error:
        raise explain_start(error, model, log) from error


def to_prompt(job: Job) -> Any:
    """Return a job's prompt as vLLM takes it."""
    salt = {} if job.salt is None else {"cache_salt": job.salt}
    return {"prompt_token_ids": list(job.ids), **salt}


class SingleEngine:
    """One replica, driven step by step from this thread."""

    def __init__(self, arguments: Any, log: EngineLog) -> None:
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.llm_engine import LLMEngine

        self._engine = LLMEngine.from_engine_args(arguments, usage_context=UsageContext.LLM_CLASS)
        self.config = self._engine.vllm_config
        self._log = log
        self._names = map(str, itertools.count())
        self._internal: dict[str, str] = {}

    def submit(self, job: Job) -> str:
        """Queue a job and return its name."""
        name = next(self._names)
        self._internal[name] = self._engine.add_request(
            name, to_prompt(job), job.parameters, lora_request=job.adapter
        )
        return name

    def poll(self) -> list[tuple[str, Any]]:
        """Run one step and return the jobs that it finished."""
        try:
            outputs = self._engine.step()
        except Exception as error:
            raise explain_death(error, self._log) from error
        finished = [(output.request_id, output) for output in outputs if output.finished]
        for name, _ in finished:
            self._internal.pop(name, None)
        return finished

    def abort(self, names: Sequence[str]) -> None:
        """Forget jobs."""
        known = [name for name in names if self._internal.pop(name, None)]
        if known:
            self._engine.abort_request(known)

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of every worker."""
        return list(self._engine.collective_rpc(method, args=arguments))

    def forget_prompts(self) -> None:
        """Empty the prefix cache."""
        self._engine.reset_prefix_cache()

    def close(self) -> None:
        """Shut the engine's processes down and drop the model."""
        self._engine.engine_core.shutdown()
