"""A judge that works in batches is calibrated too: it may be left and come back to, and pays for each question once."""

from __future__ import annotations

import pytest
from servers.provider import Provider, ProviderServer
from test_batches import options_for
from test_calibration import MAPPED, ROWS, outcomes, row, write_table

from prefbench.calibration import calibrate_judge
from prefbench.calibration.calibrate import Checks
from prefbench.errors import BackendError

pytest.importorskip("openai", reason="needs the SDK: pip install 'prefbench[openai]'")
pytest.importorskip("anthropic", reason="needs the SDK: pip install 'prefbench[anthropic]'")

JUDGES = ("claude", "openai")
pytestmark = pytest.mark.parametrize("judge", JUDGES)
CHECKS = Checks(draws=100, repeats=10)


def calibrate(folder, server: ProviderServer, judge: str, **options):
    return calibrate_judge(
        write_table(folder / "gold.jsonl", ROWS),
        study=folder / "study",
        judge=judge,
        judge_options=options_for(judge, server.url, **options),
        readings={"commit": "Y", "refuse": "N"},
        checks=CHECKS,
        **MAPPED,
    )


def test_a_judge_in_batches_comes_to_what_it_comes_to_live(tmp_path, judge):
    (tmp_path / "live").mkdir()
    with ProviderServer(Provider(batch_polls=2)) as server:
        batched = calibrate(tmp_path, server, judge)
        assert not server.provider.calls  # nothing was asked at the full price
        live = calibrate(tmp_path / "live", server, judge, batch=False)
    assert row(batched)["accuracy"] == row(live)["accuracy"] == 1
    assert outcomes(batched) == outcomes(live)
    assert batched.tables["repeat"].to_dicts() == live.tables["repeat"].to_dicts()


def test_a_repeat_is_asked_anew_and_nothing_else_twice(tmp_path, judge):
    with ProviderServer(Provider()) as server:
        calibrate(tmp_path, server, judge)
        submitted = dict(server.provider.submitted)
        assert sum(count == 2 for count in submitted.values()) == CHECKS.repeats
        assert set(submitted.values()) == {1, 2}
        calibrate(tmp_path, server, judge)
        assert dict(server.provider.submitted) == submitted


def test_it_may_be_left_while_a_batch_is_in_flight(tmp_path, judge, monkeypatch):
    def leave(seconds: float) -> None:
        raise KeyboardInterrupt

    with ProviderServer(Provider(batch_polls=3)) as server:
        with monkeypatch.context() as patch:
            patch.setattr("prefbench.calibration.verdicts.time.sleep", leave)
            with pytest.raises(KeyboardInterrupt):
                calibrate(tmp_path, server, judge)
        assert server.provider.submitted.total() == 61
        found = calibrate(tmp_path, server, judge)
        assert (row(found)["n_missing"], row(found)["accuracy"]) == (0, 1)
        assert sum(count == 2 for count in server.provider.submitted.values()) == CHECKS.repeats


def test_items_that_never_work_are_one_line_and_the_others_are_kept(tmp_path, judge):
    provider = Provider()
    provider.item_fate = lambda _, body: "errored" if "Q7?" in str(body["messages"]) else "succeeded"
    with ProviderServer(provider) as server:
        with pytest.raises(
            BackendError, match=r"could not be asked about 2 of 61 records .*same command again"
        ):
            calibrate(tmp_path, server, judge)
        provider.item_fate = lambda _, body: "succeeded"
        assert row(calibrate(tmp_path, server, judge))["n_missing"] == 0
        asked_well = [count for text, count in provider.submitted.items() if "Q7?" not in text]
    assert set(asked_well) == {1, 2}


def test_a_budget_that_is_used_up_is_said_and_a_larger_one_goes_on(tmp_path, judge):
    with ProviderServer(Provider()) as server:
        with pytest.warns(UserWarning, match="the budget is used up: .* a larger budget goes on"):
            short = calibrate(tmp_path, server, judge, budget=0.03)
        assert 0 < row(short)["n_missing"] < 61
        full = calibrate(tmp_path, server, judge, budget=100)
        assert row(full)["n_missing"] == 0
        assert max(server.provider.submitted.values()) <= 2
