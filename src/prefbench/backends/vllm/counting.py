"""How many tokens must have been steered, from what was asked and what came back; and whether they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from prefbench.errors import UnprovedError
from prefbench.steering.plan import KINDS


class Bounds(NamedTuple):
    """Between how many tokens of one sort must have been steered; no upper bound is None."""

    least: int
    most: int | None


class Expected:
    """What the finished requests of a run must have made the workers steer, by slot.

    Known exactly from below: every token of an answer but its last is fed back, and the last token of a prompt is
    always computed, since its output is the first answer token. The rest of a prompt may come from the prefix cache.
    From above, a request that was preempted is computed again, and one that a stop string ended may have been a
    few tokens further: with either, the upper bounds are not kept.
    """

    def __init__(self) -> None:
        self._answers: dict[int, int] = {}
        self._counts: dict[int, list[int]] = {}

    def add(self, slot: int, prompt_tokens: int, answers: Sequence[int]) -> None:
        """Count a finished request: its prompt's length, and how many tokens each of its answers has."""
        if slot < 1:
            return
        counts = self._counts.setdefault(slot, [0, 0, 0])
        counts[0] += len(answers) * (prompt_tokens - 1)
        counts[1] += len(answers)
        counts[2] += sum(max(tokens - 1, 0) for tokens in answers)
        self._answers[slot] = self._answers.get(slot, 0) + len(answers)

    def bounds(self, slot: int, *, preempted: bool = False, stop_strings: bool = True) -> dict[str, Bounds]:
        """Return the bounds for a slot, by sort of token.

        One token more an answer is allowed at the end: a schedule made ahead feeds back an end-of-sequence token.
        """
        prompt, last, answer = self._counts.get(slot, [0, 0, 0])
        open_end = preempted or stop_strings
        most = (
            None if preempted else prompt,
            None if preempted else last,
            None if open_end else answer + self._answers.get(slot, 0),
        )
        return {
            name: Bounds(least, upper)
            for name, least, upper in zip(KINDS, (0, last, answer), most, strict=True)
        }

    def check(
        self,
        counted: Mapping[int, Sequence[int]],
        *,
        preempted: bool = False,
        stop_strings: bool = True,
        unfinished: bool = False,
    ) -> dict[str, dict[str, dict[str, int | None]]]:
        """Return counted and expected numbers for the manifest.

        With `unfinished` (requests were aborted, or still run) more may have been steered than is accounted for.
        Raises UnprovedError if fewer tokens were steered than must have been, or more than can have been.
        """
        figures = {}
        for slot in sorted(set(counted) | set(self._counts)):
            found = list(counted.get(slot, (0, 0, 0)))
            bounds = self.bounds(slot, preempted=preempted or unfinished, stop_strings=stop_strings)
            for count, (name, bound) in zip(found, bounds.items(), strict=True):
                if count < bound.least or (bound.most is not None and count > bound.most):
                    most = "" if bound.most is None else f" and at most {bound.most}"
                    raise UnprovedError(
                        f"steering check failed: {count} {name} tokens of slot {slot} were steered, at least "
                        f"{bound.least}{most} had to be: answers of this run are not what they say; sample its "
                        "conditions with --backend hf in another --study"
                    )
            figures[str(slot)] = {
                name: {"steered": count, "least": bound.least, "most": bound.most}
                for count, (name, bound) in zip(found, bounds.items(), strict=True)
            }
        return figures
