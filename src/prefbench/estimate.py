"""What judging would cost: a study and a judge in; calls, tokens, dollars and hours out. Nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prefbench.backends import Usage
from prefbench.backends.remote.catalogue import prices_checked
from prefbench.backends.remote.spend import Totals, read_totals, request_text
from prefbench.errors import ConfigError
from prefbench.folders import find_conditions
from prefbench.judge import choose_folders, choose_judge
from prefbench.judges.llm import ModelJudge
from prefbench.judges.places import LEDGER
from prefbench.pending import Pending, check_domains
from prefbench.study import DEFAULT_STUDY, load_study

TOKENS_PER_VERDICT = 25
TOKENS_BESIDE = 30
TOKENS_OF_THOUGHT = 300
"""Output tokens of a call, before anything was measured: for each verdict, for the rest, for thinking at low effort."""
SECONDS_PER_CALL = 8.0
BATCH_HOURS = 24.0
"""What both providers promise at most; most batches end within the hour."""
ENOUGH_CALLS = 20
"""Calls in a ledger from which on their averages replace the assumptions."""


@dataclass(frozen=True, slots=True)
class JudgingEstimate:
    """What judging what is missing would come to."""

    judge: str
    model: str
    records: int
    responses: int
    calls: int
    rubric_tokens: int
    """Input tokens that every call repeats, and that the provider caches in live calls."""
    input_tokens: int
    """All input tokens, the rubric's of every call included."""
    output_tokens: int
    dollars_live: float | None
    """None where the model's price is not known."""
    dollars_batch: float | None
    """Without any help from caching, which batches give only as it comes."""
    hours_live: float
    hours_batch: float
    spent: float | None
    """What this judge has cost in this study so far."""
    characters_per_token: float
    seconds_per_call: float
    measured_calls: int
    """Calls of earlier runs that the last two were measured on; 0: they are assumptions."""
    prices_checked: str

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate ready for JSON."""
        return asdict(self)


@dataclass(slots=True)
class _Work:
    """What there is to send."""

    records: int = 0
    calls: int = 0
    responses: int = 0
    characters: int = 0
    rubric_characters: int = 0


def estimate_judging(
    study: str | Path = DEFAULT_STUDY,
    *,
    judge: str | None = None,
    judge_options: Mapping[str, Any] | None = None,
    conditions: Sequence[str] | None = None,
    domains: Sequence[str] | None = None,
) -> JudgingEstimate:
    """Return what judging the records that are missing would cost, live and in batches; nothing is sent.

    Raises ConfigError for a judge that costs nothing, and what `judge_responses` raises for what it cannot read.
    """
    chosen = choose_judge(load_study(study), judge, judge_options)
    if not isinstance(chosen, ModelJudge) or not chosen.is_remote:
        raise ConfigError(
            f"judge {chosen.name!r} runs on this machine and costs no money: there is nothing to estimate"
        )
    everything = find_conditions(study)
    folders = choose_folders(everything, conditions)
    check_domains(domains, folders)
    work, measured = _Work(rubric_characters=len(chosen.rubric.text)), Totals()
    for folder in everything:
        measured.merge(read_totals(folder.judge_folder(chosen.name) / LEDGER))
    for folder in folders:
        pending = Pending(folder, chosen.name, domains)
        pending.read()
        work.records += pending.count
        for request, responses in chosen.first_requests(pending.records()):
            work.calls += 1
            work.responses += responses
            work.characters += len(request_text(request))
    return _estimate(chosen, work, measured)


def _estimate(judge: ModelJudge, work: _Work, measured: Totals) -> JudgingEstimate:
    known = measured.calls >= ENOUGH_CALLS
    per_token, seconds = judge.facts.characters_per_token, SECONDS_PER_CALL
    output = TOKENS_BESIDE * work.calls + TOKENS_PER_VERDICT * work.responses
    output += TOKENS_OF_THOUGHT * work.calls * judge.facts.thinks
    if known:
        per_token = measured.characters / max(1, measured.usage.all_input_tokens)
        output = round(measured.usage.output_tokens / measured.calls * work.calls)
        seconds = measured.seconds / max(1, measured.timed) if measured.timed else seconds
    tokens = round(work.characters / per_token)
    rubric = round(work.rubric_characters / per_token)
    fresh = tokens - rubric * work.calls
    live = Usage(fresh, rubric * max(0, work.calls - 1), rubric * min(1, work.calls), output)
    price = judge.price
    return JudgingEstimate(
        judge=judge.name,
        model=judge.model,
        records=work.records,
        responses=work.responses,
        calls=work.calls,
        rubric_tokens=rubric,
        input_tokens=tokens,
        output_tokens=output,
        dollars_live=price.tariff.cost(live) if price else None,
        dollars_batch=price.tariff.cost(Usage(tokens, 0, 0, output)) * price.batch_share if price else None,
        hours_live=work.calls * seconds / judge.concurrency / 3600,
        hours_batch=BATCH_HOURS if work.calls else 0.0,
        spent=measured.dollars if price else None,
        characters_per_token=round(per_token, 2),
        seconds_per_call=round(seconds, 2),
        measured_calls=measured.calls if known else 0,
        prices_checked=prices_checked(),
    )
