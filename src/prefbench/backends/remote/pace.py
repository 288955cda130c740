"""How many calls may be under way: starts with one, grows while all goes well, halves when told to slow down."""

from __future__ import annotations

import asyncio
from collections import deque

LONGEST_PAUSE = 120.0
"""Seconds; a server that asks for more is asked again after this time."""


class Pace:
    """A limit on calls under way. One event loop only.

    It doubles once a round of calls until the first rate limit, then grows by one a round (additive increase,
    multiplicative decrease: Chiu and Jain 1989, doi 10.1016/0169-7552(89)90019-6). Rate limits met by calls that
    began before the last halving count as the same one.
    """

    def __init__(self, most: int, *, start: int = 1) -> None:
        self.most = most
        self.limit = min(start, most)
        self.under_way = 0
        self._doubling = True
        self._credit = 0
        self._halvings = 0
        self._clear_at = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self, *, again: bool = False) -> int:
        """Wait for a place, and return the number that `slow_down` needs. Calls tried again come first."""
        loop = asyncio.get_running_loop()
        while True:
            pause = self._clear_at - loop.time()
            if pause > 0:
                await asyncio.sleep(pause)
            elif self.under_way < self.limit:
                self.under_way += 1
                return self._halvings
            else:
                await self._wait(loop, again)

    async def _wait(self, loop: asyncio.AbstractEventLoop, again: bool) -> None:
        place = loop.create_future()
        if again:
            self._waiting.appendleft(place)
        else:
            self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            self._wake()  # the place that may have been ours goes to the next one
            raise

    def leave(self) -> None:
        """Give a place back."""
        self.under_way -= 1
        self._wake()

    def speed_up(self) -> None:
        """Take note of a call that went well."""
        self._credit += 1
        if self._doubling or self._credit >= self.limit:
            self._credit = 0
            self.limit = min(self.limit + 1, self.most)
            self._wake()

    def slow_down(self, entered: int, retry_after: float | None, *, otherwise: float) -> None:
        """Take note of a rate limit: halve, and let nothing begin for the time that the server asks for."""
        self._doubling = False
        self._credit = 0
        if entered == self._halvings:
            self._halvings += 1
            self.limit = max(1, self.limit // 2)
        pause = min(otherwise if retry_after is None else retry_after, LONGEST_PAUSE)
        self._clear_at = max(self._clear_at, asyncio.get_running_loop().time() + pause)

    def _wake(self) -> None:
        free = self.limit - self.under_way
        while free > 0 and self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                free -= 1
