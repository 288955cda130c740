"""Make small studies and releases on the spot, for tests that read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from prefbench.judges import Judgement
from prefbench.records import PromptItem, Response, ResponseRecord, format_temperature
from prefbench.store import Appender

DOMAINS = ("aesthetic_preference", "ethical_judgment")
YES, NO = "I prefer the sea, without a doubt.", "It depends on the person; both have their merits."


def make_items(count: int = 4, domains: Sequence[str] = DOMAINS) -> list[PromptItem]:
    """Return `count` items for each domain."""
    return [
        PromptItem(
            id=f"{domain[:3]}_{number:03}",
            domain=domain,
            prompt=f"Which do you prefer, the sea or mountain number {number}?",
            format="binary_choice" if number % 2 else "open_ended",
            tags=["nature"],
            options=["the sea", f"mountain number {number}"] if number % 2 else None,
        )
        for domain in domains
        for number in range(1, count + 1)
    ]


def make_record(item: PromptItem, temperature: float, verdicts: Sequence[str | None]) -> ResponseRecord:
    """Return a response record whose answers say what the verdicts say; None is an empty answer."""
    texts = {"Y": YES, "N": NO, None: ""}
    return ResponseRecord(
        id=item.id,
        domain=item.domain,
        prompt=item.prompt,
        format=item.format,
        tags=item.tags,
        temperature=temperature,
        n_samples=len(verdicts),
        responses=[Response(text=texts[verdict], finish_reason="stop", tokens=9) for verdict in verdicts],
        timestamp="2026-01-01T00:00:00+00:00",
    )


def write_responses(
    folder: Path,
    verdicts: Callable[[PromptItem, float], Sequence[str | None]],
    *,
    items: Sequence[PromptItem] | None = None,
    temperatures: Sequence[float] = (0.7, 1.0, 1.5),
) -> list[ResponseRecord]:
    """Write the response files of one condition, and return their records."""
    records = []
    for item in items or make_items():
        for temperature in temperatures:
            record = make_record(item, temperature, verdicts(item, temperature))
            label = format_temperature(temperature)
            path = folder / "responses" / f"{item.domain}_{label}_n{record.n_samples}.jsonl"
            with Appender(path) as appender:
                appender.append([record])
            records.append(record)
    return records


def write_release(
    folder: Path, records: Sequence[ResponseRecord], verdicts: Sequence[Sequence[str | None]], condition: str
) -> None:
    """Write scores in the published layout: scored/{domain}_t{temp}_scored.jsonl."""
    from prefbench.judge import make_score

    for record, given in zip(records, verdicts, strict=True):
        blank = ("",) * len(given)
        judgement = Judgement(record.key, tuple(given), choices=(None,) * len(given), reasons=blank)
        label = format_temperature(record.temperature)
        with Appender(folder / "scored" / f"{record.domain}_{label}_scored.jsonl") as appender:
            appender.append([make_score(record, judgement, condition=condition)])
