"""The journal of batches: one file for each, written before it is sent, so that no crash pays twice."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from prefbench.backends.base import Request
from prefbench.backends.remote.spend import request_text
from prefbench.errors import DataError
from prefbench.store import iter_lines, read_json, read_line, write_json, writing

State = Literal["intended", "submitting", "submitted", "ended"]
"""Nothing sent that could begin a batch; perhaps sent; known to the provider by its id; results on disk."""


@dataclass(slots=True)
class Intent:
    """One batch, from the plan to its results."""

    name: str
    """Begins the custom id of each of its items, by which the batch is found again."""
    created: str
    items: dict[str, str]
    """custom id -> what it asks (`request_mark`)"""
    ceiling: float
    """The most that it can cost, in dollars."""
    state: State = "intended"
    submitted: str | None = None
    """When the request that begins the batch was about to be sent."""
    batch_id: str | None = None
    input_file_id: str | None = None
    status: str | None = None
    """The provider's own word for how far it is."""
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def live(self) -> bool:
        """Whether the provider may be working on it."""
        return self.state in ("submitting", "submitted")


class Journal:
    """The batches of one judge's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> list[Intent]:
        """Return every batch, oldest first. Raises DataError for a file that is not one."""
        if not self.folder.is_dir():
            return []
        found = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                found.append(Intent(**read_json(path)))
            except TypeError as error:
                raise DataError(
                    f"{path}: not a batch's journal ({error}); restore it; without it a batch may be paid twice"
                ) from error
        return sorted(found, key=lambda intent: (intent.created, intent.name))

    def write(self, intent: Intent) -> None:
        """Bring a batch's file to the disk, whole."""
        write_json(self.folder / f"{intent.name}.json", asdict(intent))

    def forget(self, intent: Intent) -> None:
        """Remove a batch that never began."""
        with writing(self.folder):
            (self.folder / f"{intent.name}.json").unlink(missing_ok=True)

    def save_results(self, intent: Intent, lines: Iterator[bytes]) -> None:
        """Write a batch's results, one JSON line each, so that they are there whole or not at all."""
        path = self._results_path(intent)
        temporary = path.with_name(f".{path.name}.new")
        with writing(path):
            with temporary.open("wb") as file:
                for line in lines:
                    file.write(line.rstrip(b"\r\n") + b"\n")
            temporary.replace(path)

    def read_results(self, intent: Intent) -> Iterator[dict[str, Any]]:
        """Yield the results that were written, in whatever order they came."""
        path = self._results_path(intent)
        for number, line in iter_lines(path):
            yield read_line(line, place=f"{path}:{number}")

    def _results_path(self, intent: Intent) -> Path:
        return self.folder / f"{intent.name}.results.jsonl"


def new_intent(marks: list[str], ceiling: float) -> Intent:
    """Return the plan of a batch with one item for each mark."""
    name = f"prefbench-{secrets.token_hex(8)}"
    items = {f"{name}-{number:05}": mark for number, mark in enumerate(marks)}
    return Intent(name, utc_now(), items, ceiling)


def request_mark(request: Request) -> str:
    """Return what tells a request by its content: results are taken for the very text that was sent, no other."""
    digest = hashlib.blake2b(request_text(request).encode("utf-8", "replace"), digest_size=10).hexdigest()
    return f"{request.tag}|{digest}"


def utc_now() -> str:
    """Return the time in UTC to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def seconds_since(moment: str) -> float:
    """Return the seconds that have passed since a time that `utc_now` gave."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
