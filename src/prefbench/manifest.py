"""The manifest: what was run, written before the first record and closed after the last. Never a key."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefbench import __version__
from prefbench.errors import ConfigError, DataError
from prefbench.store import read_json, write_json

FORMAT = 1
CURE = "give the same settings, or another --condition or --study"


def read_manifest(path: Path) -> dict[str, Any]:
    """Return what a manifest holds: `settings`, `runs` and more. Raises DataError for a file that is none."""
    content = read_json(path)
    if not isinstance(content.get("settings"), dict) or not isinstance(content.get("runs"), list):
        raise DataError(
            f"{path}: no manifest (it has no settings or no runs); restore it from a copy, or move it away"
        )
    return content


class Manifest:
    """The manifest of one folder: settings that all of its records share, and the runs that made them."""

    def __init__(self, path: Path, settings: Mapping[str, Any], *, cure: str = CURE) -> None:
        """Open the manifest in `path`, or start one with these settings; `cure` ends the message if they differ.

        Raises ConfigError if the folder's records were made with other settings.
        """
        self.path = path
        self._cure = cure
        if path.exists():
            self._content = read_manifest(path)
            self.require(settings)
        else:
            self._content = {"format": FORMAT, "settings": dict(settings), "runs": []}

    @property
    def settings(self) -> Mapping[str, Any]:
        """What every record of the folder has in common."""
        return dict(self._content["settings"])

    def require(self, settings: Mapping[str, Any]) -> None:
        """Add settings that are not recorded yet; raise ConfigError if one differs from what is."""
        recorded = self._content["settings"]
        changed = [
            difference
            for name, value in settings.items()
            if name in recorded
            for difference in _differences(name, recorded[name], _as_stored(value))
        ]
        if changed:
            raise ConfigError(
                f"{self.path.parent}: its records were made with {'; '.join(changed)}: {self._cure}"
            )
        recorded.update({name: _as_stored(value) for name, value in settings.items()})

    def start_run(self, **facts: Any) -> None:
        """Write the manifest with a new, open run."""
        run = {
            "started": now(),
            "finished": None,
            "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
            "prefbench": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            **facts,
        }
        self._content["runs"].append(run)
        write_json(self.path, self._content)

    def finish_run(self, **facts: Any) -> None:
        """Close the run with what came of it."""
        self._content["runs"][-1].update(facts, finished=now())
        write_json(self.path, self._content)


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _differences(name: str, old: Any, new: Any) -> Iterator[str]:
    """Yield "name old, now new" for what differs, part by part."""
    if isinstance(old, dict) and isinstance(new, dict):
        for part in [*old, *(part for part in new if part not in old)]:
            yield from _differences(f"{name}.{part}", old.get(part), new.get(part))
    elif old != new:
        yield f"{name} {old!r}, now {new!r}"


def _as_stored(value: Any) -> Any:
    """Return a value as JSON gives it back: tuples are lists."""
    if isinstance(value, Mapping):
        return {name: _as_stored(item) for name, item in value.items()}
    return [_as_stored(item) for item in value] if isinstance(value, list | tuple) else value
