"""Several replicas of a model behind one queue (`data_parallel_size`), driven from a thread of their own."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from prefbench.backends.vllm.engine import Job, to_prompt
from prefbench.backends.vllm.faults import explain_death
from prefbench.backends.vllm.logs import EngineLog

STARTING_SECONDS = 1800.0


class ReplicatedEngine:
    """vLLM's asynchronous engine: it spreads the requests over its replicas, each in processes of its own."""

    def __init__(self, arguments: Mapping[str, Any], log: EngineLog) -> None:
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        self._log = log
        self._names = map(str, itertools.count())
        self._finished: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vllm-replicas", daemon=True)
        self._thread.start()

        async def start() -> Any:
            return AsyncLLM.from_engine_args(
                AsyncEngineArgs(disable_log_stats=True, enable_log_requests=False, **arguments)
            )

        with ExitStack() as undo:  # whatever ends the start, a Ctrl-C too, ends the loop
            undo.callback(self._end_loop)
            self._engine = self._wait(start())
            undo.pop_all()
        self.config = self._engine.vllm_config

    def submit(self, job: Job) -> str:
        """Queue a job and return its name."""
        name = next(self._names)
        self._loop.call_soon_threadsafe(self._begin, name, job)
        return name

    def poll(self) -> list[tuple[str, Any]]:
        """Wait until a job is finished; return all that are by then."""
        done = [self._finished.get()]
        while not self._finished.empty():
            done.append(self._finished.get())
        for name, output in done:
            self._tasks.pop(name, None)
            if isinstance(output, BaseException):
                raise explain_death(output, self._log) from output
        return done

    def abort(self, names: Sequence[str]) -> None:
        """Forget jobs."""
        for name in names:
            if task := self._tasks.pop(name, None):
                self._loop.call_soon_threadsafe(task.cancel)

    def call(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of every worker of every replica."""
        return list(self._wait(self._engine.collective_rpc(method, args=arguments)))

    def forget_prompts(self) -> None:
        """Empty the prefix caches."""
        self._wait(self._engine.reset_prefix_cache())

    def close(self) -> None:
        """Shut the replicas down."""
        self._engine.shutdown()
        self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        if not self._thread.is_alive():
            self._runner.close()

    def _begin(self, name: str, job: Job) -> None:
        self._tasks[name] = self._loop.create_task(self._run(name, job))

    async def _run(self, name: str, job: Job) -> None:
        last: Any = None
        try:
            answers = self._engine.generate(
                to_prompt(job), job.parameters, request_id=name, lora_request=job.adapter
            )
            async for output in answers:
                last = output
        except Exception as error:  # noqa: BLE001 - the thread that waits must hear of any fault
            last = error
        self._finished.put((name, last))

    def _wait(self, coming: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coming, self._loop).result(STARTING_SECONDS)
