"""Batches of both providers: every item judged once and submitted once, whatever is killed, lost or doubled."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import orjson
import pytest
from servers.http import Reply, json_reply
from servers.provider import Provider, ProviderServer, judge_message
from studies import make_items, write_responses
from test_model_judge import scores, verdicts_of

from prefbench.errors import BackendError, ConfigError
from prefbench.judge import judge_responses
from prefbench.judges.places import BATCHES
from prefbench.status import judge_status
from prefbench.store import read_json

pytest.importorskip("openai", reason="needs the SDK: pip install 'prefbench[openai]'")
pytest.importorskip("anthropic", reason="needs the SDK: pip install 'prefbench[anthropic]'")

JUDGES = ("claude", "openai")
pytestmark = pytest.mark.parametrize("judge", JUDGES)


def options_for(judge: str, url: str, **options):
    path = "" if judge == "claude" else "/v1"
    return {
        "base_url": url + path, "model": "m", "name": judge, "batch": True, "poll_seconds": 0.02, "price": "2/10",
        "adoption_seconds": 0.2, **options,
    }  # fmt: skip


def run(study: Path, server: ProviderServer, judge: str, *, options: dict | None = None, **rest):
    return judge_responses(
        study, judge=judge, judge_options=options_for(judge, server.url, **(options or {})), **rest
    )


def make_study(folder: Path, *, prompts: int = 2, conditions: int = 1) -> Path:
    for number in range(1, conditions + 1):
        items = make_items(prompts, ["aesthetic_preference"])
        items = [item.model_copy(update={"prompt": f"{item.prompt} ({number})"}) for item in items]
        write_responses(folder / f"condition_{number}_c", verdicts_of, items=items, temperatures=[0.7, 1.0])
    return folder


@pytest.fixture
def study(tmp_path) -> Path:
    return make_study(tmp_path / "study")


def check_once(study: Path, provider: Provider, judge: str, records: int) -> None:
    """Check that every record was submitted once, is scored once, and was paid once."""
    assert len(provider.submitted) == records
    assert set(provider.submitted.values()) == {1}
    found = scores(study, judge, "condition_1_c")
    assert len(found) == records
    for key, record in found.items():
        yes = (int(key.id[-1]) + int(10 * key.temperature)) % 6
        assert record.raw_judgments == ["Y"] * yes + ["N"] * (5 - yes)
    lines = (study / "condition_1_c" / "scored" / judge / "spend.jsonl").read_bytes().splitlines()
    assert Counter(orjson.loads(line)["batch"] for line in lines).most_common(1)[0][1] == 1
    assert len(lines) == records


def test_a_study_is_judged_in_batches_at_half_the_price(study, judge):
    with ProviderServer(Provider(batch_polls=3)) as server:
        (report,) = run(study, server, judge)
        check_once(study, server.provider, judge, 4)
        live = judge_responses(
            study, judge=judge, judge_options=options_for(judge, server.url, batch=False, name="live")
        )
    assert report.written == 4
    assert server.provider.batches.keys() == {"batch-0"}
    if judge == "openai":  # the stand-in bills its cached rubric to the other, at another rate in batches
        assert report.dollars == pytest.approx(live[0].dollars / 2)
    assert 0 < report.dollars < live[0].dollars


def test_all_conditions_are_in_flight_at_once(tmp_path, judge):
    study = make_study(tmp_path / "study", conditions=3)
    provider = Provider(batch_polls=4)
    seen = []
    provider.on_request = lambda request: seen.append((request.method, request.path)) and None
    with ProviderServer(provider) as server:
        reports = run(study, server, judge)
    assert [report.written for report in reports] == [4, 4, 4]
    begun = [
        place for place, (method, path) in enumerate(seen) if method == "POST" and path.endswith("batches")
    ]
    polled = [place for place, (method, path) in enumerate(seen) if method == "GET" and "/batch-" in path]
    assert len(begun) == 3
    assert max(begun) < min(polled)


def test_it_may_be_left_and_come_back_to(study, judge):
    with ProviderServer(Provider(batch_polls=3)) as server:
        (report,) = run(study, server, judge, wait=False)
        assert (report.written, report.in_flight) == (0, 4)
        (state,) = judge_status(study)
        assert (state.scored, state.missing, state.in_flight) == (0, 4, 4)
        assert state.batches[0].state == "in_progress"
        assert sum(run(study, server, judge, wait=False)[0].written for _ in range(3)) == 4
        check_once(study, server.provider, judge, 4)
        (state,) = judge_status(study)
    assert (state.scored, state.missing, state.in_flight, state.batches) == (4, 0, 0, [])


def test_the_intent_is_on_disk_before_anything_is_sent(study, judge):
    provider = Provider()
    states = []

    def look(request):
        if request.method == "POST":
            (path,) = (study / "condition_1_c" / "scored" / judge / BATCHES).glob("*.json")
            states.append((request.path.rpartition("/")[2], read_json(path)["state"]))

    provider.on_request = look
    with ProviderServer(provider) as server:
        run(study, server, judge)
    expected = (
        [("batches", "submitting")]
        if judge == "claude"
        else [("files", "intended"), ("batches", "submitting")]
    )
    assert states == expected


# kill -9


class Client:
    """A process that forks children which judge, and kill themselves."""

    def __enter__(self):
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "batch_client.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def run(self, study: Path, judge: str, url: str, kill_at: int | None = None, **options) -> int:
        """Judge, and return how the child ended: -9, or 0."""
        job = {
            "study": str(study),
            "judge": judge,
            "options": options_for(judge, url, **options),
            "kill_at": kill_at,
        }
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
def test_killed_between_any_two_steps_every_item_is_judged_once_and_submitted_once(tmp_path, judge, stride):
    step, ended = 0, -signal.SIGKILL
    with Client() as client:
        while ended == -signal.SIGKILL:
            study = make_study(tmp_path / f"study{step}", prompts=1)
            with ProviderServer(Provider(batch_polls=2)) as server:
                ended = client.run(study, judge, server.url, step)
                assert client.run(study, judge, server.url) == 0
                check_once(study, server.provider, judge, 2)
                assert len(server.provider.batches) == 1
            step += stride
    assert ended == 0
    assert step > 20  # the life cycle has that many steps at least


@pytest.mark.long
@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
def test_killed_again_and_again_every_item_is_judged_once_and_submitted_once(tmp_path, judge):
    generator = random.Random(7)
    with Client() as client:
        for attempt in range(25):
            study = make_study(tmp_path / f"study{attempt}", prompts=3)
            with ProviderServer(Provider(batch_polls=3)) as server:
                for _ in range(6):
                    client.run(study, judge, server.url, generator.randrange(30), batch_items=2)
                assert client.run(study, judge, server.url, batch_items=2) == 0
                check_once(study, server.provider, judge, 6)


def test_a_batch_whose_id_was_never_received_is_adopted(study, judge):
    """The connection closes after the provider has taken the batch: nobody told us its id."""
    provider = Provider(batch_polls=2)
    lost = iter([Reply(no_answer=True)])
    provider.after_batch = lambda: next(lost, None)
    with ProviderServer(provider) as server:
        run(study, server, judge)
        check_once(study, provider, judge, 4)
    assert len(provider.batches) == 1


def test_the_batches_of_others_are_not_adopted(tmp_path, judge):
    """Another study's batch of the same size is at the provider while ours was never taken."""
    ours, theirs = make_study(tmp_path / "ours"), make_study(tmp_path / "theirs")
    provider = Provider(batch_polls=2)
    with ProviderServer(provider) as server:
        run(theirs, server, judge, wait=False)
        lost = iter([Reply(no_answer=True)])

        def lose(request):
            is_begin = request.method == "POST" and request.path.endswith("batches")
            return next(lost, None) if is_begin else None

        provider.on_request = lose
        run(ours, server, judge)
        assert len(scores(ours, judge, "condition_1_c")) == 4
        run(theirs, server, judge)
        assert len(scores(theirs, judge, "condition_1_c")) == 4
    assert len(provider.batches) == 2


# what comes back


def test_items_that_expired_or_failed_are_sent_again_alone(study, judge):
    provider = Provider()
    fates = iter(["succeeded", "expired", "errored", "canceled" if judge == "claude" else "expired"])
    provider.item_fate = lambda *_: next(fates, "succeeded")
    with ProviderServer(provider) as server:
        (report,) = run(study, server, judge)
    assert report.written == 4
    assert [len(batch["items"]) for batch in provider.batches.values()] == [4, 3]
    assert sorted(provider.submitted.values()) == [1, 2, 2, 2]


def test_an_item_that_never_works_is_given_up_for_this_run_and_the_others_are_kept(study, judge):
    provider = Provider()
    provider.item_fate = lambda _, body: (
        "expired" if "number 1?" in body["messages"][-1]["content"] else "succeeded"
    )
    with ProviderServer(provider) as server:
        with pytest.raises(BackendError, match=r"2 records could not be judged .*expired or failed 3 times"):
            run(study, server, judge)
        assert len(scores(study, judge, "condition_1_c")) == 2
        provider.item_fate = lambda *_: "succeeded"
        (report,) = run(study, server, judge)
    assert (report.written, report.kept) == (2, 2)


def test_an_item_that_is_refused_is_not_stored(study, judge):
    provider = Provider()
    provider.item_fate = lambda _, body: (
        "refused" if "number 1?" in body["messages"][-1]["content"] else "succeeded"
    )
    with ProviderServer(provider) as server, pytest.raises(BackendError, match="refused here"):
        run(study, server, judge)
    assert len(scores(study, judge, "condition_1_c")) == 2


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda lines: lines[::-1],
        lambda lines: [*lines, *lines],
        lambda lines: [lines[2], lines[0], lines[2], lines[3], lines[1], lines[0]],
    ],
    ids=["out-of-order", "doubled", "both"],
)
def test_results_may_come_in_any_order_and_twice(study, judge, rewrite):
    provider = Provider()
    provider.rewrite_results = rewrite
    with ProviderServer(provider) as server:
        run(study, server, judge)
        check_once(study, provider, judge, 4)


def test_results_that_are_not_all_there_are_asked_for_again_alone(study, judge):
    provider = Provider()
    first = iter([True])
    provider.rewrite_results = lambda lines: lines[:3] if next(first, False) else lines
    with ProviderServer(provider) as server:
        (report,) = run(study, server, judge)
    assert report.written == 4
    assert [len(batch["items"]) for batch in provider.batches.values()] == [4, 1]


def test_results_cut_off_on_their_way_are_fetched_again_and_nothing_is_resubmitted(study, judge):
    provider = Provider()
    fetched = 0

    def cut(request):
        nonlocal fetched
        if not request.path.endswith(("/results", "/content")):
            return None
        fetched += 1
        return Reply(b'{"custom_id": "x"}\n' * 3, hang_up=True) if fetched == 1 else None

    provider.on_request = cut
    with ProviderServer(provider) as server:
        run(study, server, judge)
        check_once(study, provider, judge, 4)
    assert fetched >= 2


def test_an_unreadable_answer_is_asked_again_once_in_a_batch_of_its_own(study, judge):
    broken = iter(["not json"])
    provider = Provider(answer=lambda prompt: next(broken, None) or judge_message(prompt))
    with ProviderServer(provider) as server:
        (report,) = run(study, server, judge)
    assert (report.written, report.unreadable) == (4, 0)
    assert [len(batch["items"]) for batch in provider.batches.values()] == [4, 1]
    assert set(provider.submitted.values()) == {1}
    assert any("could not be used" in message for message in provider.submitted)


@pytest.mark.parametrize(
    "fault",
    [
        json_reply({"error": {"message": "m"}}, 500),
        json_reply({"error": {"message": "m"}}, 429),
        Reply(no_answer=True),
    ],
    ids=["500", "429", "closed"],
)
def test_faults_while_polling_are_tried_again(study, judge, fault, monkeypatch):
    monkeypatch.setattr("prefbench.backends.remote.batches.time.sleep", lambda _: None)
    provider = Provider(batch_polls=3)
    generator = random.Random(1)

    def fail(request):
        return fault if request.method == "GET" and generator.random() < 0.3 else None

    provider.on_request = fail
    with ProviderServer(provider) as server:
        run(study, server, judge)
        check_once(study, provider, judge, 4)


def test_a_batch_that_is_refused_is_one_clear_line_and_leaves_nothing_behind(study, judge):
    provider = Provider()
    said = json_reply({"error": {"message": "too many batches"}}, 400)
    provider.on_request = lambda request: said if request.method == "POST" else None
    with ProviderServer(provider) as server:
        with pytest.raises(BackendError, match="too many batches"):
            run(study, server, judge)
        provider.on_request = lambda _: None
        run(study, server, judge)
        check_once(study, provider, judge, 4)


def test_batches_are_cut_by_number_and_one_condition_may_have_many(study, judge):
    with ProviderServer(Provider(batch_polls=2)) as server:
        run(study, server, judge, options={"batch_items": 3})
        check_once(study, server.provider, judge, 4)
    assert [len(batch["items"]) for batch in server.provider.batches.values()] == [3, 1]


# what must not be mixed up


def test_live_judging_and_rejudging_are_refused_while_batches_are_in_flight(study, judge):
    with ProviderServer(Provider(batch_polls=2)) as server:
        run(study, server, judge, wait=False)
        with pytest.raises(
            ConfigError, match=r"4 items are in flight in batches and would be paid twice.*--batch"
        ):
            run(study, server, judge, options={"batch": False})
        with pytest.raises(ConfigError, match="4 items are in flight"):
            run(study, server, judge, rejudge=True)
        run(study, server, judge)
        check_once(study, server.provider, judge, 4)


def test_results_are_taken_only_for_the_text_that_was_sent(study, judge):
    """The responses are sampled anew while a batch is in flight: its results are not theirs."""
    with ProviderServer(Provider(batch_polls=2)) as server:
        run(study, server, judge, wait=False)
        for path in (study / "condition_1_c" / "responses").iterdir():
            path.write_bytes(path.read_bytes().replace(b'"text":"', b'"text":"Well. '))
        run(study, server, judge)
    assert {tuple(record.raw_judgments) for record in scores(study, judge, "condition_1_c").values()} == {
        ("N",) * 5
    }
    assert len(server.provider.submitted) == 8


def test_the_journal_of_a_torn_disk_is_named(study, judge):
    from prefbench.errors import DataError

    with ProviderServer(Provider(batch_polls=2)) as server:
        run(study, server, judge, wait=False)
        (path,) = (study / "condition_1_c" / "scored" / judge / BATCHES).glob("*.json")
        path.write_bytes(b'{"name": "x"}')
        with pytest.raises(DataError, match=path.name):
            run(study, server, judge)


def test_details_and_ledger_say_what_each_item_used(study, judge):
    with ProviderServer(Provider()) as server:
        run(study, server, judge)
    place = study / "condition_1_c" / "scored" / judge
    found = [
        orjson.loads(line)
        for path in place.glob("*_details.jsonl")
        for line in path.read_bytes().splitlines()
    ]
    lines = [orjson.loads(line) for line in (place / "spend.jsonl").read_bytes().splitlines()]
    assert sum(each["details"]["usage"]["output_tokens"] for each in found) == sum(
        line["usage"]["output_tokens"] for line in lines
    )
