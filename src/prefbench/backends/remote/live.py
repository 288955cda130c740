"""Live calls: requests in, completions out as they finish, with as many under way as the server bears."""

from __future__ import annotations

import asyncio
import queue
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any

from prefbench.backends.base import Completion, Fault, Request, Usage
from prefbench.backends.remote.faults import Trouble
from prefbench.backends.remote.pace import Pace
from prefbench.backends.remote.spend import Spend
from prefbench.errors import BackendError

FIRST_DELAY = 0.5  # seconds before the second attempt; twice as long before each further one
LONGEST_DELAY = 30.0
MOST_ATTEMPTS = 6  # at a call that fails in passing
MOST_RATE_LIMITS = 40  # of one call
FAILURES_IN_A_ROW = 8  # calls given up one after another, until the server counts as down

Call = Callable[[Any, Request], Awaitable[Completion]]


@dataclass(frozen=True, slots=True)
class Service:
    """One provider's side of a live call."""

    connect: Callable[[], AbstractAsyncContextManager[Any]]
    call: Call
    classify: Callable[[Exception], Trouble]
    """Raises again what is not the provider's fault."""
    first_delay: float = FIRST_DELAY
    most_attempts: int = MOST_ATTEMPTS


def complete_live(
    requests: Iterable[Request], service: Service, *, concurrency: int, spend: Spend
) -> Iterator[Completion]:
    """Yield the completion of each request as it finishes.

    The event loop runs while the caller waits for the next completion; where the caller's thread has a running loop
    already, as in a notebook, ours runs in a thread of its own. Stops asking once the budget is used up.
    Raises BackendError for what would hit every call.
    """
    runner = _Runner(requests, service, Pace(concurrency), spend)
    yield from _run_in_thread(runner) if _is_in_loop() else runner.run()


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run_in_thread(runner: _Runner) -> Iterator[Completion]:
    results: queue.SimpleQueue[Completion | BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            for completion in runner.run():
                results.put(completion)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that asked
            results.put(error)
        else:
            results.put(None)

    thread = threading.Thread(target=run, name="prefbench-calls", daemon=True)
    thread.start()
    try:
        while (item := results.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        runner.stop()
        thread.join()


class _Runner:
    """One round of calls on one event loop."""

    def __init__(self, requests: Iterable[Request], service: Service, pace: Pace, spend: Spend) -> None:
        self._requests = requests
        self._service = service
        self._pace = pace
        self._spend = spend
        self._random = random.Random()
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: list[Completion] = []
        self._news = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._fatal: BaseException | None = None
        self._answered = 0
        self._failures = 0
        self._stopped = threading.Event()

    def run(self) -> Iterator[Completion]:
        """Yield completions; the loop stands still while the caller is busy with one."""
        loop = asyncio.new_event_loop()
        main = loop.create_task(self._run())
        self._loop, self._main = loop, main
        main.add_done_callback(lambda _: self._news.set())
        try:
            while True:
                loop.run_until_complete(self._news.wait())
                self._news.clear()
                done, self._done = self._done, []
                yield from done
                if main.done() and not self._done:
                    break
            if self._fatal is not None:
                raise self._fatal
            if not self._stopped.is_set():
                main.result()
        finally:
            self._close(loop, main)

    def stop(self) -> None:
        """Cancel what is under way, from another thread."""
        self._stopped.set()
        if self._loop is not None and self._main is not None:
            with suppress(RuntimeError):  # it has closed already
                self._loop.call_soon_threadsafe(self._main.cancel)

    def _close(self, loop: asyncio.AbstractEventLoop, main: asyncio.Task[None]) -> None:
        main.cancel()
        try:
            loop.run_until_complete(asyncio.gather(main, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()

    async def _run(self) -> None:
        async with self._service.connect() as client:
            try:
                async for request, entered, ceiling in self._admitted():
                    task = asyncio.create_task(self._complete(client, request, entered, ceiling))
                    self._tasks.add(task)
                    task.add_done_callback(self._finish)
                while self._tasks:
                    await asyncio.wait(self._tasks)
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _admitted(self) -> AsyncIterator[tuple[Request, int, float]]:
        """Yield requests that have a place and money set aside."""
        for request in self._requests:
            entered = await self._pace.enter()
            ceiling = self._spend.ceiling(request)
            while not self._spend.reserve(ceiling):
                if self._spend.idle:
                    self._spend.exhausted = True
                    self._pace.leave()
                    return
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            if self._stopped.is_set():
                return
            yield request, entered, ceiling

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._fatal is None:
            self._fatal = error
        if self._main is not None:
            self._main.cancel()

    async def _complete(self, client: Any, request: Request, entered: int, ceiling: float) -> None:
        try:
            completion = await self._attempt(client, request, entered)
        finally:
            self._spend.release(ceiling)
            self._pace.leave()
        self._done.append(completion)
        self._news.set()

    async def _attempt(self, client: Any, request: Request, entered: int) -> Completion:
        """Call until there is an answer or a fault that stays. Holds a place on entry and on exit."""
        loop = asyncio.get_running_loop()
        passing = rates = 0
        while True:
            started = loop.time()
            try:
                completion = await self._service.call(client, request)
            except Exception as error:  # noqa: BLE001 - classify raises again what is a bug
                trouble = self._service.classify(error)
            else:
                self._answered += 1
                self._failures = 0
                self._pace.speed_up()
                self._spend.record(request, completion.usage or Usage(), seconds=loop.time() - started)
                return completion
            if trouble.kind == "fatal":
                raise BackendError(trouble.message)
            if trouble.kind in ("overflow", "refused"):
                return self._refused(request, trouble)
            if trouble.kind == "rate":
                rates += 1
                self._pace.slow_down(entered, trouble.retry_after, otherwise=self._delay(min(rates, 6)))
                self._pace.leave()
                entered = await self._pace.enter(again=True)
            else:
                passing += 1
            if passing >= self._most(trouble) or rates >= MOST_RATE_LIMITS:
                return self._given_up(request, trouble)
            if trouble.kind != "rate":
                await asyncio.sleep(max(self._delay(passing), trouble.retry_after or 0.0))

    def _most(self, trouble: Trouble) -> int:
        """A server that has never answered is given up sooner."""
        never = trouble.kind == "unreachable" and not self._answered
        return min(3, self._service.most_attempts) if never else self._service.most_attempts

    def _delay(self, attempt: int) -> float:
        """Exponential backoff with full jitter."""
        longest = min(LONGEST_DELAY, self._service.first_delay * 2 ** (attempt - 1))
        return self._random.uniform(0.1 * longest, longest)

    def _refused(self, request: Request, trouble: Trouble) -> Completion:
        if trouble.kind == "refused" and not self._answered:
            self._failures += 1
            if self._failures >= FAILURES_IN_A_ROW:
                raise BackendError(f"every call is refused: {trouble.message}")
        fault: Fault = "overflow" if trouble.kind == "overflow" else "refused"
        return Completion(request, error=trouble.message, fault=fault)

    def _given_up(self, request: Request, trouble: Trouble) -> Completion:
        self._failures += 1
        if self._failures >= FAILURES_IN_A_ROW or (trouble.kind == "unreachable" and not self._answered):
            raise BackendError(
                f"{trouble.message}; what is finished is kept, and the same command goes on from there"
            )
        return Completion(request, error=trouble.message, fault="transient")
