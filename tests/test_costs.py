"""Money: prices, the ledger, the budget as a hard cap, and the estimate before anything is sent."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers.provider import Provider, ProviderServer
from studies import make_items, write_responses
from test_model_judge import ledger, options_for, run, scores, verdicts_of

from prefbench.backends import Request, Sampling, Treatment, Usage
from prefbench.backends.remote.catalogue import (
    default_model,
    find_model,
    parse_price,
    prices_checked,
)
from prefbench.backends.remote.spend import Spend, read_totals
from prefbench.errors import ConfigError
from prefbench.estimate import estimate_judging
from prefbench.judge import judge_responses
from prefbench.records import RecordKey
from prefbench.status import judge_status

pytest.importorskip("openai", reason="needs the SDK: pip install 'prefbench[openai]'")
pytest.importorskip("anthropic", reason="needs the SDK: pip install 'prefbench[anthropic]'")

PRICE = "2000/10000"  # so dear that a few calls are dollars


@pytest.fixture
def study(tmp_path) -> Path:
    write_responses(tmp_path / "study" / "condition_1_base", verdicts_of)
    return tmp_path / "study"


def a_request(prompt: str = "p", tokens: int = 100) -> Request:
    sampling = Sampling(0.0, 1.0, tokens)
    return Request(
        RecordKey("d", "i", 1.0), prompt, 1, 0, sampling, Treatment("c", system_prompt="s"), tag="t"
    )


counts = st.integers(0, 500_000)


# prices


def test_both_defaults_have_a_price_and_the_prices_a_date():
    assert date.fromisoformat(prices_checked())
    for provider in ("anthropic", "openai"):
        facts = find_model(provider, default_model(provider))
        assert facts.price is not None
        assert facts.effort == "low"


def test_a_dated_name_is_its_family_and_another_model_is_not():
    family = find_model("anthropic", "claude-sonnet-5-5").price
    assert find_model("anthropic", "claude-sonnet-5-5-20260928").price == family
    assert find_model("anthropic", "claude-sonnet-5").price != family
    assert find_model("openai", "gpt-6-sol-2026-09-22").price == find_model("openai", "gpt-6-sol").price
    for provider, name in [
        ("anthropic", "claude-sonnet-5-5-large"),
        ("openai", "gpt-6-solar"),
        ("openai", "claude-sonnet-5-5"),
    ]:
        assert find_model(provider, name).price is None


def test_what_a_call_costs_by_hand():
    price = find_model("anthropic", "claude-sonnet-5-5").price
    usage = Usage(
        input_tokens=1_000_000, cached_tokens=1_000_000, cache_write_tokens=1_000_000, output_tokens=1_000_000
    )
    assert price.cost(usage) == pytest.approx(2 + 0.10 + 2.5 + 10)
    assert price.cost(usage, batch=True) == pytest.approx((2 + 0.10 + 4 + 10) / 2)
    long = find_model("openai", "gpt-6-luna").price
    assert long.cost(Usage(272_000, 0, 0, 0)) == pytest.approx(0.0272)
    assert long.cost(Usage(272_001, 0, 0, 1_000_000)) == pytest.approx(0.0544002 + 0.75)


@given(
    counts,
    counts,
    counts,
    counts,
    st.sampled_from(["claude-haiku-5-5", "claude-sonnet-5-5", "gpt-6-luna"]),
    st.booleans(),
)
def test_no_call_costs_more_than_its_ceiling(fresh, cached, written, output, name, batch):
    provider = "openai" if name.startswith("gpt") else "anthropic"
    price = find_model(provider, name).price
    cost = price.cost(Usage(fresh, cached, written, output), batch=batch)
    assert cost <= price.ceiling(fresh + cached + written, output, batch=batch) + 1e-12


@pytest.mark.parametrize("text", ["2", "2/", "a/b", "-1/2", "1/2/3", "nan/1", "inf/1"])
def test_a_price_that_is_none_is_named(text):
    with pytest.raises(ConfigError, match="2/10"):
        parse_price(text)


# the ledger


def test_the_ledger_adds_up_and_counts_an_item_of_a_batch_once(tmp_path):
    path = tmp_path / "spend.jsonl"
    price = parse_price("2/10")
    for _ in range(2):
        spend = Spend(price, path=path)
        spend.record(a_request(), Usage(500_000, 0, 0, 0), batch="item-1")
        spend.close()
    spend = Spend(price, path=path)
    spend.record(a_request(), Usage(0, 0, 0, 100_000), seconds=2.0)
    spend.close()
    totals = read_totals(path)
    assert (totals.calls, totals.timed, totals.seconds) == (2, 1, 2.0)
    assert totals.dollars == pytest.approx(0.5 + 1.0)


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=30))
def test_what_is_reserved_never_passes_the_budget(steps):
    spend, held = Spend(parse_price("1/1"), budget=10.0), []
    for dollars, give_back in steps:
        if give_back and held:
            spend.release(held.pop())
        elif spend.reserve(dollars):
            held.append(dollars)
        assert sum(held) <= 10.0 + 1e-9


def test_what_was_spent_at_an_unknown_price_is_not_called_nothing(study):
    with ProviderServer(Provider()) as server:
        run(study, server)
        run(study, server, "openai", options={"price": "2/10"})
    spent = {state.judge: state.dollars for state in judge_status(study)}
    assert spent["claude"] is None
    assert spent["openai"] == pytest.approx(sum(line["dollars"] for line in ledger(study, "openai")))


# the budget


@pytest.mark.parametrize("batch", [False, True], ids=["live", "batch"])
@pytest.mark.parametrize("judge", ["claude", "openai"])
def test_a_budget_is_never_passed_stops_cleanly_and_can_be_raised(study, judge, batch):
    options = {"price": PRICE, "batch": batch, "poll_seconds": 0.01}
    with ProviderServer(Provider()) as server:
        (report,) = run(study, server, judge, options={**options, "budget": 30.0})
        first = len(scores(study, judge))
        spent = sum(line["dollars"] for line in ledger(study, judge))
        assert report.budget_reached
        assert 0 < first < 24
        assert spent <= 30.0
        (same,) = run(study, server, judge, options={**options, "budget": 30.0})
        assert sum(line["dollars"] for line in ledger(study, judge)) <= 30.0
        (rest,) = run(study, server, judge, options={**options, "budget": 10_000.0})
        assert first + same.written + rest.written == 24
        assert not rest.budget_reached
    assert len(scores(study, judge)) == 24


def test_the_budget_holds_over_all_conditions_of_a_study(tmp_path):
    for number in (1, 2):
        write_responses(tmp_path / f"condition_{number}_c", verdicts_of)
    with ProviderServer(Provider()) as server:
        run(tmp_path, server, options={"price": PRICE, "budget": 60.0})
    spent = [
        read_totals(tmp_path / f"condition_{number}_c" / "scored" / "claude" / "spend.jsonl").dollars
        for number in (1, 2)
    ]
    assert sum(spent) <= 60.0
    assert sum(spent) > 30.0


def test_a_budget_of_nothing_sends_nothing(study):
    with ProviderServer(Provider()) as server:
        (report,) = run(study, server, options={"price": PRICE, "budget": 0.0})
        assert server.provider.times == []
    assert (report.written, report.budget_reached) == (0, True)


def test_a_budget_without_a_price_is_refused_and_a_local_judge_has_none(study):
    with ProviderServer(Provider()) as server, pytest.raises(ConfigError, match="--price INPUT/OUTPUT"):
        run(study, server, options={"budget": 5.0})
    with pytest.raises(ConfigError, match="costs no money"):
        judge_responses(study, judge="hf", judge_options={"model": "m", "budget": 5.0})


# the estimate


def test_an_estimate_sends_nothing_and_counts_what_is_missing(study):
    with ProviderServer(Provider()) as server:
        options = options_for("claude", server, price="2/10")
        found = estimate_judging(study, judge="claude", judge_options=options)
        assert server.provider.times == []
        single = estimate_judging(study, judge="claude", judge_options=options | {"per_response": True})
        run(study, server, options={"price": "2/10"})
        done = estimate_judging(study, judge="claude", judge_options=options)
    assert (found.records, found.responses, found.calls) == (24, 120, 24)
    assert (single.calls, single.responses) == (120, 120)
    assert single.input_tokens > 3 * found.input_tokens
    assert found.dollars_batch < single.dollars_batch
    assert (done.records, done.calls, done.dollars_live) == (0, 0, 0.0)
    assert done.spent == pytest.approx(sum(line["dollars"] for line in ledger(study)))
    assert orjson.loads(orjson.dumps(found.to_dict()))["prices_checked"] == prices_checked()


def test_after_a_run_the_estimate_is_measured_and_meets_the_bill(tmp_path):
    """Two halves of a study: what the first one used tells what the second one will cost."""
    folder = tmp_path / "study"
    items = make_items(40, ["aesthetic_preference"])
    write_responses(folder / "condition_1_base", verdicts_of, items=items[:20])
    with ProviderServer(Provider(latency=0.01)) as server:
        options = options_for("openai", server, price="2/10")
        judge_responses(folder, judge="openai", judge_options=options)
        write_responses(folder / "condition_1_base", verdicts_of, items=items[20:])
        found = estimate_judging(folder, judge="openai", judge_options=options)
        (report,) = judge_responses(folder, judge="openai", judge_options=options)
    assert found.measured_calls == 60
    assert found.calls == report.calls
    assert found.input_tokens + found.output_tokens == pytest.approx(report.tokens, rel=0.02)
    assert found.seconds_per_call >= 0.01


def test_a_model_of_unknown_price_is_estimated_in_tokens_and_asks_for_its_price(study):
    with ProviderServer(Provider()) as server:
        base = [sys.executable, "-m", "prefbench", "judge", "--estimate", "--study", str(study)]
        base += ["--judge", "openai", "--model", "m", "--base-url", f"{server.url}/v1"]
        found = subprocess.run(base, capture_output=True, text=True, check=True)
        known = subprocess.run([*base, "--price", "2/10"], capture_output=True, text=True, check=True)
    assert "24 calls" in found.stdout
    assert "price not known" in found.stdout
    assert "give --price INPUT/OUTPUT" in found.stderr
    assert "live: $0." in known.stdout
    assert "--batch: $0." in known.stdout


def test_an_estimate_needs_no_key_and_knows_the_default_model(study, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_BASE_URL")
    found = estimate_judging(study, judge="claude")
    assert found.model == default_model("anthropic")
    assert found.dollars_live > 0
    assert found.dollars_batch > 0
    with pytest.raises(ConfigError, match="no key"):
        judge_responses(study, judge="claude")
    with pytest.raises(ConfigError, match="costs no money"):
        estimate_judging(study, judge="lexical")
