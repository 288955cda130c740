"""One person's labels of one study: where they stand, and each decision on disk before the next item is shown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from prefbench.errors import ConfigError, DataError
from prefbench.labelling.draw import draw_items
from prefbench.labelling.lines import Label, LabelItem, LabelKey, Mark, read_labels
from prefbench.manifest import now
from prefbench.records import explain_validation
from prefbench.store import Appender, locked, read_json, write_json

DEFAULT_SIZE = 200
DEFAULT_LABELLER = "human"


class LabelSession:
    """The drawn items, the labels so far, and the item that is being looked at."""

    def __init__(self, path: Path, items: Sequence[LabelItem], *, labeller: str) -> None:
        self.path = path
        self.items = list(items)
        self.labeller = labeller
        self.labels: dict[LabelKey, Label] = read_labels(path) if path.exists() else {}
        self.place = next((n for n in range(len(self.items)) if self._is_open(n)), len(self.items))

    @property
    def current(self) -> LabelItem | None:
        """The item to be labelled; None behind the last one."""
        return self.items[self.place] if self.place < len(self.items) else None

    def label_of(self, item: LabelItem) -> Label | None:
        """Return what has been said of an item so far."""
        return self.labels.get(item.key)

    def give(self, mark: Mark) -> None:
        """Save a label (or `skip`) for the current item, and go on to the next."""
        if self.current is not None:
            self._save(mark, self._note())
            self.place += 1

    def annotate(self, note: str) -> None:
        """Save a note on the current item; an empty one takes an earlier note back."""
        if self.current is not None:
            before = self.labels.get(self.current.key)
            self._save(before.label if before else None, note.strip() or None)

    def back(self) -> None:
        """Go to the item before; at the first one, stay."""
        self.place = max(0, self.place - 1)

    def forward(self) -> None:
        """Go to the next item and leave this one as it is."""
        self.place = min(len(self.items), self.place + 1)

    def count(self) -> dict[str, int]:
        """Return how many items are drawn, labelled Y and N, skipped and open."""
        marks = Counter(label.label for item in self.items if (label := self.labels.get(item.key)))
        named = {"drawn": len(self.items), "Y": marks["Y"], "N": marks["N"], "skipped": marks["skip"]}
        return {**named, "open": len(self.items) - marks["Y"] - marks["N"] - marks["skip"]}

    def to_dict(self) -> dict[str, Any]:
        """Return where the session stands, ready for JSON."""
        return {"file": str(self.path), "labeller": self.labeller, **self.count()}

    def _is_open(self, number: int) -> bool:
        label = self.labels.get(self.items[number].key)
        return label is None or label.label is None

    def _note(self) -> str | None:
        before = self.labels.get(self.items[self.place].key)
        return before.note if before else None

    def _save(self, mark: Mark | None, note: str | None) -> None:
        item = self.items[self.place]
        label = Label(**item.model_dump(), label=mark, note=note, labeller=self.labeller, timestamp=now())
        with Appender(self.path) as file:  # closing brings the line to the disk
            file.append([label])
        self.labels[item.key] = label


@contextmanager
def open_session(
    study: str | Path,
    *,
    labeller: str = DEFAULT_LABELLER,
    size: int | None = None,
    seed: int | None = None,
    conditions: Sequence[str] | None = None,
    domains: Sequence[str] | None = None,
) -> Iterator[LabelSession]:
    """Open a person's labels of a study, `labels/{labeller}.jsonl`; the draw is kept beside it, and can grow.

    Raises ConfigError for a draw that differs from the one begun, DataError if the same labeller is at work
    already, and what `draw_items` raises.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", labeller):
        raise ConfigError(f"labeller {labeller!r}: use letters, digits, '.', '_' and '-' only")
    if size is not None and size < 1:
        raise ConfigError(f"--size {size}: label at least one response")
    if not Path(study).is_dir():
        raise DataError(
            f"{study}: no such folder; run `prefbench sample` first, or give --study another folder"
        )
    folder = Path(study) / "labels"
    given = {"seed": seed, "conditions": conditions, "domains": domains}
    with locked(folder, f"label-{labeller}"):
        items = _load_plan(Path(study), folder / f"{labeller}.plan.json", size, given)
        yield LabelSession(folder / f"{labeller}.jsonl", items, labeller=labeller)


def _load_plan(study: Path, path: Path, size: int | None, given: dict[str, Any]) -> list[LabelItem]:
    plan = read_json(path) if path.exists() else {"items": []}
    settings = {name: plan.get(name) for name in given}
    for name, value in given.items():
        if value is not None and plan["items"] and settings[name] != value:
            raise ConfigError(
                f"{path}: was drawn with {name} {settings[name]!r}, not {value!r}: give the same, or another "
                "--labeller"
            )
        settings[name] = value if settings[name] is None else settings[name]
    items = _read_items(path, plan)
    wanted = size if size is not None else len(items) or DEFAULT_SIZE
    if wanted <= len(items):
        return items
    seed = int(settings["seed"] or 0)
    settings["seed"] = seed
    there = {item.key for item in items}
    drawn = draw_items(
        study,
        size=wanted,
        seed=seed,
        conditions=settings["conditions"],
        domains=settings["domains"],
    )
    items = (items + [item for item in drawn if item.key not in there])[:wanted]
    content = {**settings, "drawn": now(), "items": [item.model_dump() for item in items]}
    write_json(path, content)
    return items


def _read_items(path: Path, plan: dict[str, Any]) -> list[LabelItem]:
    try:
        return [LabelItem.model_validate(item) for item in plan["items"]]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: not a plan of labels ({error!r}); restore it from a copy") from error
    except ValidationError as error:
        raise DataError(
            f"{path}: not a plan of labels ({explain_validation(error)}); restore it from a copy"
        ) from error
