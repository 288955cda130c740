"""How far each judge is: scores, money and batches of a study, as the files say, and as the provider says now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from prefbench.backends import open_backend
from prefbench.backends.remote.backend import RemoteBackend
from prefbench.backends.remote.journal import Intent, Journal, seconds_since
from prefbench.backends.remote.spend import read_totals
from prefbench.errors import ConfigError
from prefbench.folders import PUBLISHED_JUDGE, ConditionFolder, find_conditions
from prefbench.judge import choose_folders
from prefbench.judges.places import BATCHES, LEDGER
from prefbench.manifest import read_manifest
from prefbench.pending import Pending
from prefbench.records import ScoredRecord
from prefbench.store import read_models
from prefbench.study import DEFAULT_STUDY


@dataclass(slots=True)
class BatchState:
    """One batch."""

    batch_id: str | None
    state: str
    """The provider's word where it was asked, else what the journal says."""
    items: int
    counts: dict[str, int]
    hours: float
    """Since it was planned."""


@dataclass(slots=True)
class JudgeState:
    """One judge in one condition, in records."""

    condition: str
    judge: str
    scored: int
    missing: int
    unreadable: int
    """Single verdicts."""
    dollars: float | None
    """None where no ledger is kept, or a price was not known."""
    in_flight: int = 0
    batches: list[BatchState] = field(default_factory=list)
    note: str | None = None
    """Why the provider was not asked."""

    def to_dict(self) -> dict[str, Any]:
        """Return the state ready for JSON."""
        return asdict(self)


def judge_status(
    study: str | Path = DEFAULT_STUDY, *, conditions: Sequence[str] | None = None, ask: bool = True
) -> list[JudgeState]:
    """Return how far every judge is in every condition; changes nothing. `ask` asks providers about live batches.

    A condition that a judge has not begun is missing as a whole; a release's own scores are where they are.
    """
    folders = choose_folders(find_conditions(study), conditions)
    everywhere = {judge for folder in folders for judge in _judges(folder)} - {PUBLISHED_JUDGE}
    return [
        _read_state(folder, judge, ask=ask)
        for folder in folders
        for judge in sorted(everywhere | set(_judges(folder)))
    ]


def _judges(folder: ConditionFolder) -> list[str]:
    """Return the judges with a folder here, those without a single score included."""
    scored = folder.path / "scored"
    if not scored.is_dir():
        return []
    named = [each.name for each in scored.iterdir() if (each / "manifest.json").exists()]
    return sorted({*(name for name in named if not name.startswith(".")), *folder.judges()})


def _read_state(folder: ConditionFolder, judge: str, *, ask: bool) -> JudgeState:
    place = folder.judge_folder(judge)
    scores = [record for path in folder.scored_files(judge) for _, record in read_models(path, ScoredRecord)]
    domains = sorted({record.domain for record in scores})
    pending = Pending(folder, judge, None)
    pending.read()
    missing = pending.count + sum(
        count - sum(record.domain == domain for record in scores)
        for domain, count in pending.left_out.items()
        if domain in domains
    )
    totals = read_totals(place / LEDGER)
    has_cost = (place / LEDGER).exists() and judge != PUBLISHED_JUDGE and not totals.unpriced
    state = JudgeState(
        folder.name,
        judge,
        scored=len(scores),
        missing=max(0, missing),
        unreadable=sum(record.raw_judgments.count(None) for record in scores),
        dollars=totals.dollars if has_cost else None,
    )
    live = [intent for intent in Journal(place / BATCHES).read() if intent.live]
    state.in_flight = sum(len(intent.items) for intent in live)
    state.batches = [_from_journal(intent) for intent in live]
    if ask and live:
        state.note = _ask(place, live, state.batches)
    return state


def _from_journal(intent: Intent) -> BatchState:
    hours = seconds_since(intent.created) / 3600
    state = "perhaps submitted" if intent.state == "submitting" else intent.status or "submitted"
    return BatchState(intent.batch_id, state, len(intent.items), intent.counts, round(hours, 2))


def _ask(place: Path, live: Sequence[Intent], states: Sequence[BatchState]) -> str | None:
    """Bring the states up to date; return why that could not be done."""
    try:
        backend = _open(place)
    except ConfigError as error:
        return str(error)
    try:
        for intent, state in zip(live, states, strict=True):
            if intent.batch_id is not None:
                now = backend.batches().progress(intent.batch_id)
                state.state, state.counts = now.status, now.counts
    except Exception as error:  # noqa: BLE001 - trouble raises again what is a bug
        return backend.trouble(error).message
    finally:
        backend.close()
    return None


def _open(place: Path) -> RemoteBackend:
    """Open the backend that a judge's manifest names."""
    content = read_manifest(place / "manifest.json")
    judge = content["settings"]["judge"]
    told = [run["judging"]["backend"]["base_url"] for run in content["runs"] if "judging" in run]
    options = {"base_url": told[-1]} if told else {}
    backend = open_backend(judge["backend"], judge["model"], options=options)
    if not isinstance(backend, RemoteBackend):
        raise ConfigError(f"backend {judge['backend']!r} has no batches")
    backend.check_key()
    return backend
