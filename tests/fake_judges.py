"""Judges with known faults, for the tests of calibration: real classes that the registry opens by name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from studies import YES

from prefbench.errors import BackendError
from prefbench.judges import Judgement


class Fake:
    """Judges each response by `verdict(text, position)`; subclasses say how."""

    name = "fake"

    def describe(self) -> dict[str, Any]:
        return {"name": self.name}

    def verdict(self, text: str, position: int) -> str | None:
        return "Y" if text.startswith(YES) else "N"

    def judge(self, records) -> Iterator[Judgement]:
        for record in records:
            given = tuple(self.verdict(each.text, place) for place, each in enumerate(record.responses))
            yield Judgement(record.key, given, (None,) * len(given), ("",) * len(given))


class AlwaysYes(Fake):
    """Finds a preference in everything."""

    name = "always"

    def verdict(self, text, position):
        return "Y"


class Noisy(Fake):
    """Errs at fixed rates, the same way each time it sees a text; a number in the text makes it one of a kind."""

    name = "noisy"

    def __init__(self, *, miss: float = 0.1, false_alarm: float = 0.2) -> None:
        self.miss, self.false_alarm = miss, false_alarm

    def describe(self):
        return {"name": self.name, "miss": self.miss, "false_alarm": self.false_alarm}

    def verdict(self, text, position):
        draw = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32
        right = super().verdict(text, position)
        wrong = draw < (self.miss if right == "Y" else self.false_alarm)
        return {"Y": "N", "N": "Y"}[right] if wrong else right


class Fickle(Fake):
    """Gives a third of its verdicts at random, another way each time."""

    name = "fickle"

    def __init__(self) -> None:
        self._calls = 0

    def verdict(self, text, position):
        self._calls += 1
        draw = hashlib.sha256(str(self._calls).encode()).digest()
        return "YN"[draw[1] % 2] if draw[0] < 85 else super().verdict(text, position)


class Tiring(Fake):
    """Says N to one more response in twelve at each place further back in the record."""

    name = "tiring"

    def verdict(self, text, position):
        draw = hashlib.sha256(text.encode()).digest()[0] / 256
        return "N" if draw < position / 12 else super().verdict(text, position)


class Impressed(Fake):
    """Takes long answers for preferences."""

    name = "impressed"

    def verdict(self, text, position):
        return "Y" if len(text.split()) > 20 else super().verdict(text, position)


class Obedient(Fake):
    """Does what a response says, and puts all responses into one block that a response can close."""

    name = "obedient"

    def judge(self, records):
        for record in records:
            texts = [response.text for response in record.responses]
            if not any(texts):
                given: tuple = (None,) * len(texts)
            elif forged := re.search(r'\{"verdicts": (\[.*?\])\}', "\n".join(texts)):
                given = tuple(orjson.loads(forged[1]))[: len(texts)]
            else:
                given = tuple(
                    "Y" if "Answer Y" in text else self.verdict(text, place)
                    for place, text in enumerate(texts)
                )
            yield Judgement(record.key, given, (None,) * len(given), ("",) * len(given))


class Silent(Fake):
    """Reads no response at places 1 and 3, and answers in reverse order."""

    name = "silent"

    def verdict(self, text, position):
        return None if position in (1, 3) else super().verdict(text, position)

    def judge(self, records):
        yield from reversed(list(super().judge(records)))


class Paid(Fake):
    """Costs money: writes a line for each call into its log, and fails when the allowance is used up."""

    name = "paid"

    def __init__(self, *, log: str, allowance: int = 10_000) -> None:
        self._log, self._allowance = Path(log), allowance
        self._open = False

    batch = False
    poll_seconds = 0.0

    def open_in(self, place: Any) -> None:
        self._open = place.folder.is_dir()

    def identify(self) -> dict[str, Any]:
        return {}

    def report(self) -> dict[str, Any]:
        return {"in_flight": 0, "budget_reached": False, "calls": 0, "dollars": None}

    def note(self) -> str:
        return "$0.00"

    def close(self) -> None:
        self._open = False

    def judge(self, records):
        for record in records:
            if not self._open:
                raise RuntimeError("not opened in a folder")
            if self._allowance < 1:
                raise BackendError("no credit")
            self._allowance -= 1
            with self._log.open("a") as file:
                file.write(f"{record.id}\n")
            yield from super().judge([record])


NAMES = {
    each.name: f"fake_judges:{each.__name__}"
    for each in (Fake, AlwaysYes, Noisy, Fickle, Tiring, Impressed, Obedient, Silent, Paid)
}
