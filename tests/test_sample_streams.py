"""Sampling several conditions from one stream, whatever the order in which a backend gives its answers back."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import orjson
import pytest
from studies import DOMAINS, make_items

from prefbench.backends import Backend, Completion, Output, Request, Treatment
from prefbench.bank import write_bank
from prefbench.errors import BackendError, ConfigError, DataError, UnprovedError
from prefbench.sample import sample_prompts
from prefbench.store import locked, read_json

CONDITIONS = ("condition_1_base", "condition_2_plain", "condition_3_directed")
FILE = """
[study]
prompts = "bank.jsonl"
[sampling]
temperatures = [0.7, 1.0]
n_samples = 2
max_tokens = 5
[[conditions]]
name = "condition_1_base"
model = "m"
[[conditions]]
name = "condition_2_plain"
model = "m"
system_prompt = "Be plain."
[[conditions]]
name = "condition_3_directed"
model = "m"
system_prompt = "Have tastes."
"""


class Streams:
    """A backend that holds some requests and lets them go in any order; its answers say what was asked."""

    supports: ClassVar[frozenset[str]] = frozenset({"seed", "system_prompt", "steering"})
    block = 1

    def __init__(
        self,
        *,
        held: int = 7,
        seed: int = 0,
        tokens: Mapping[str, int] | None = None,
        broken: Callable[[Request], bool] = lambda request: False,
    ) -> None:
        self._held, self._seed, self._tokens, self._broken = held, seed, tokens or {}, broken
        self.calls: list[list[Request]] = []
        self.order: list[Request] = []
        self.events: list[str] = []
        self.before_answers = 0
        self.closed = False

    def identify(self, treatment: Treatment) -> dict[str, Any]:
        self.events.append(f"identify {treatment.condition}")
        return {"weights": "none"}

    def describe(self) -> dict[str, Any]:
        return {"held": self._held}

    def check_steering(self, treatment: Treatment, items: Any, *, strict: bool = False) -> dict[str, Any]:
        self.events.append(f"prove {treatment.condition}")
        if treatment.condition == CONDITIONS[2]:
            raise BackendError("steering check failed: the vectors do nothing; nothing was sampled")
        return {"shift": 1.0, "warnings": []}

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        call: list[Request] = []
        self.calls.append(call)
        generator, waiting = random.Random(self._seed), []
        for request in requests:
            call.append(request)
            waiting.append(request)
            if len(waiting) == self._held:
                if not self.order:
                    self.before_answers = len(call)
                yield self._answer(waiting.pop(generator.randrange(len(waiting))))
        while waiting:
            yield self._answer(waiting.pop(generator.randrange(len(waiting))))

    def close(self) -> None:
        self.closed = True

    def _answer(self, request: Request) -> Completion:
        self.order.append(request)
        if self._broken(request):
            return Completion(request, error="it would not", fault="refused")
        tokens = self._tokens.get(request.treatment.condition, 1)
        text = f"{request.treatment.system_prompt}|{request.prompt}|{request.sampling.temperature}|"
        outputs = (Output(f"{text}{request.seed + i}", "stop", tokens) for i in range(request.n))
        return Completion(request, tuple(outputs))


class Miscounts(Streams):
    """One that finds out after some answers that they are not what they say."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion]:
        for number, completion in enumerate(super().generate(requests)):
            if number == self._after:
                raise UnprovedError("steering check failed: 7 tokens were steered, at least 9 had to be")
            yield completion


class Turns(Streams):
    """The same backend, one that works in blocks: conditions come one after the other."""

    block = 2


@pytest.fixture
def study(tmp_path) -> Path:
    write_bank(tmp_path / "bank.jsonl", make_items(5))
    (tmp_path / "prefbench.toml").write_text(FILE)
    return tmp_path


@pytest.fixture
def sample(study, monkeypatch):
    """Return a function that samples the study, or another folder, with a given backend."""

    def run(backend: Backend, folder: Path = study, **changes: Any):
        monkeypatch.setattr("prefbench.sample.open_backend", lambda *_, **__: backend)
        monkeypatch.setattr("prefbench.sample.choose_backend", lambda name: (name, "asked for"))
        return sample_prompts(folder, backend="streams", **changes)

    return run


def contents(folder: Path) -> dict[str, list[dict]]:
    """Return every response file's records in order of their ids, without the times."""
    found = {}
    for path in sorted(folder.rglob("responses/*.jsonl")):
        lines = [{**orjson.loads(line), "timestamp": ""} for line in path.read_bytes().splitlines()]
        found[str(path.relative_to(folder))] = sorted(lines, key=lambda line: line["id"])
    return found


def last_run(study: Path, condition: str) -> dict[str, Any]:
    return read_json(study / condition / "manifest.json")["runs"][-1]


def with_vectors(study: Path) -> None:
    """Give the second and the third condition a vector."""
    pytest.importorskip("safetensors", reason="needs safetensors: pip install 'prefbench[hf]'")
    from steering_models import make_vector

    from prefbench.steering import save_vector

    path = study / "prefbench.toml"
    vector = 'vectors = [{ file = "warmth.safetensors", coefficient = 1.0 }]\n'
    head, *conditions = path.read_text().split("[[conditions]]")
    first, *others = conditions
    path.write_text("[[conditions]]".join([head, first, *(each + vector for each in others)]))
    save_vector(make_vector(), study / "warmth.safetensors")


def test_each_answer_lands_in_its_own_place_in_whatever_order_it_comes(sample, study):
    backend = Streams(held=23)
    report = sample(backend)
    assert [each.written for each in report.conditions] == [20, 20, 20]
    (call,) = backend.calls
    assert backend.order != call, "the backend was to give its answers back in another order"
    files = contents(study)
    assert set(files) == {
        f"{condition}/responses/{domain}_t{temperature}_n2.jsonl"
        for condition in CONDITIONS
        for domain in DOMAINS
        for temperature in ("0.7", "1.0")
    }
    prompts = dict(zip(CONDITIONS, (None, "Be plain.", "Have tastes."), strict=True))
    for name, lines in files.items():
        assert len(lines) == 5
        for line in lines:
            assert line["domain"] in name
            assert f"_t{line['temperature']}_" in name
            for answer in line["responses"]:
                expected = f"{prompts[name.split('/')[0]]}|{line['prompt']}|{line['temperature']}|"
                assert answer["text"].startswith(expected)


def test_the_records_do_not_depend_on_the_order_nor_on_streaming(sample, study, tmp_path):
    found = []
    for backend in (Streams(held=1), Streams(held=23, seed=1), Streams(held=60, seed=2), Turns(held=2)):
        folder = tmp_path / f"study-{len(found)}"
        folder.mkdir()
        for name in ("bank.jsonl", "prefbench.toml"):
            (folder / name).write_bytes((study / name).read_bytes())
        sample(backend, folder)
        found.append(contents(folder))
    assert found[0] == found[1] == found[2] == found[3]


def test_records_are_written_while_prompts_are_still_to_come(sample, study):
    class Watched(Streams):
        def _answer(self, request):
            if len(self.order) == 30:
                self.seen = sum(map(len, contents(study).values()))
            return super()._answer(request)

    backend = Watched(held=5)
    sample(backend)
    assert backend.before_answers == 5
    assert backend.seen >= 25


def test_only_what_is_missing_is_asked_for_and_in_one_pass(sample, study):
    sample(Streams())
    before = contents(study)
    for condition, left in ((CONDITIONS[0], 3), (CONDITIONS[2], 1)):
        path = study / condition / "responses" / "ethical_judgment_t1.0_n2.jsonl"
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:left]))
    again = Streams()
    report = sample(again)
    assert [(each.written, each.kept) for each in report.conditions] == [(2, 18), (0, 20), (4, 16)]
    assert [len(call) for call in again.calls] == [6]
    assert contents(study) == before
    assert last_run(study, CONDITIONS[0])["sampled_with"] == [CONDITIONS[0], CONDITIONS[2]]
    nothing = Streams()
    sample(nothing)
    assert nothing.calls == [] == nothing.events


def test_the_time_of_a_pass_is_shared_by_tokens(sample, study, monkeypatch):
    clock = iter(range(0, 100_000, 10))
    monkeypatch.setattr("prefbench.sample.time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    tokens = dict(zip(CONDITIONS, (1, 2, 7), strict=True))
    report = sample(Streams(tokens=tokens))
    assert [each.tokens for each in report.conditions] == [40, 80, 280]
    whole = sum(each.seconds for each in report.conditions)
    assert whole > 0
    for each in report.conditions:
        assert each.seconds == pytest.approx(whole * each.tokens / 400)
        assert last_run(study, each.condition)["seconds"] == pytest.approx(each.seconds, abs=1e-3)


def test_a_failed_request_is_on_record_with_its_condition_and_the_others_go_on(sample, study):
    def broken(request: Request) -> bool:
        return request.treatment.condition == CONDITIONS[1] and request.key.id == "eth_003"

    with pytest.raises(BackendError, match="2 prompts have no answers"):
        sample(Streams(broken=broken))
    assert [sum(len(v) for k, v in contents(study).items() if k.startswith(c)) for c in CONDITIONS] == [
        20,
        18,
        20,
    ]
    errors = {path.parent.name: path.read_bytes().splitlines() for path in study.glob("*/errors.jsonl")}
    assert list(errors) == [CONDITIONS[1]]
    assert {orjson.loads(line)["temperature"] for line in errors[CONDITIONS[1]]} == {0.7, 1.0}
    assert [last_run(study, each)["failed"] for each in CONDITIONS] == [0, 2, 0]
    healed = Streams()
    assert [each.written for each in sample(healed).conditions] == [0, 2, 0]
    assert len(healed.calls[0]) == 2


def test_a_fault_of_the_backend_keeps_what_was_finished_and_gives_the_device_back(sample, study):
    class Dying(Streams):
        def _answer(self, request):
            if len(self.order) == 20:
                raise BackendError("the engine stopped")
            return super()._answer(request)

    backend = Dying()
    with pytest.raises(BackendError, match="the engine stopped"):
        sample(backend)
    assert backend.closed
    assert sum(map(len, contents(study).values())) == 20
    report = sample(Streams())
    assert sum(each.written for each in report.conditions) == 40
    assert sum(map(len, contents(study).values())) == 60


def test_records_of_a_call_whose_count_fails_are_set_aside_and_asked_for_again(sample, study):
    """What an earlier call wrote stays; what this one wrote is no response, and the manifest says why."""
    sample(Streams(), limit=2)
    before = contents(study)
    faulty = Miscounts(after=4)
    with pytest.raises(UnprovedError, match=r"7 tokens.*4 records of this call are set aside in .*unproved"):
        sample(faulty)
    assert faulty.closed
    assert contents(study) == before
    aside = [line for path in study.rglob("unproved/*.jsonl") for line in path.read_bytes().splitlines()]
    assert len(aside) == 4
    for condition in CONDITIONS:
        run = last_run(study, condition)
        assert (run["records_written"], "7 tokens" in run["fault"]) == (0, True)
    report = sample(Streams())
    asked = len(CONDITIONS) * 2 * len(DOMAINS) * 5
    assert sum(each.written for each in report.conditions) == asked - sum(map(len, before.values()))
    assert sum(map(len, contents(study).values())) == asked


@pytest.mark.parametrize(
    ("file", "treatment", "complaint"),
    [
        (None, 'vectors = [{ file = "warmth.safetensors", coefficient = 1.0 }]', "warmth.safetensors"),
        (b"torn", 'vectors = [{ file = "warmth.safetensors", coefficient = 1.0 }]', "is not safetensors"),
        (None, 'adapter = "./dpo"', "no such folder"),
    ],
)
def test_a_file_that_is_not_there_or_torn_is_told_before_the_model_is_loaded(
    study, monkeypatch, file, treatment, complaint
):
    pytest.importorskip("safetensors", reason="needs safetensors: pip install 'prefbench[hf]'")
    if file is not None:
        (study / "warmth.safetensors").write_bytes(file)
    path = study / "prefbench.toml"
    path.write_text(f"{path.read_text()}{treatment}\n")
    loaded = []
    monkeypatch.setattr("prefbench.sample.open_backend", lambda *_, **__: loaded.append(1))
    monkeypatch.setattr("prefbench.sample.choose_backend", lambda name: (name, "asked for"))
    with pytest.raises((ConfigError, DataError), match=complaint):
        sample_prompts(study, backend="streams")
    assert not loaded
    assert not contents(study)


@pytest.mark.parametrize("busy", CONDITIONS)
def test_each_condition_is_locked_for_the_whole_pass(sample, study, busy):
    backend = Streams()
    with locked(study / busy, "sample"), pytest.raises(DataError, match=f"{busy}.*another prefbench sample"):
        sample(backend)
    assert backend.events == []
    held = []

    class Watched(Streams):
        def _answer(self, request):
            if len(self.order) in (0, 59):
                with (
                    pytest.raises(DataError, match="another prefbench sample"),
                    locked(study / busy, "sample"),
                ):
                    pass
                held.append(busy)
            return super()._answer(request)

    sample(Watched())
    assert held == [busy] * 2
    with locked(study / busy, "sample"):
        pass


@pytest.mark.parametrize("kind", [Streams, Turns])
def test_a_failing_check_of_one_condition_samples_nothing_of_any(sample, study, kind):
    with_vectors(study)
    backend = kind()
    with pytest.raises(BackendError, match="steering check failed"):
        sample(backend)
    assert backend.events == [
        *(f"identify {each}" for each in CONDITIONS),
        *(f"prove {each}" for each in CONDITIONS[1:]),
    ]
    assert backend.calls == []
    assert backend.closed
    assert contents(study) == {}


def test_figures_of_checks_and_counts_go_to_the_conditions_that_are_steered(sample, study):
    with_vectors(study)

    class Counting(Streams):
        def check_steering(self, treatment, items, *, strict=False):
            return {"shift": 1.0, "of": treatment.condition, "warnings": [f"{treatment.condition}: strong"]}

        def steered_tokens(self):
            return {"1": {"answer": {"steered": 9, "least": 9, "most": None}}}

    with pytest.warns(UserWarning, match=r"condition_[23]_\w+: strong"):
        sample(Counting())
    assert [last_run(study, each).get("steering_checks") for each in CONDITIONS] == [
        None,
        *({"shift": 1.0, "of": each} for each in CONDITIONS[1:]),
    ]
    assert ["steered_tokens" in last_run(study, each) for each in CONDITIONS] == [False, True, True]
    assert [last_run(study, each)["warnings"] for each in CONDITIONS[1:]] == [
        [f"{each}: strong"] for each in CONDITIONS[1:]
    ]


def test_a_condition_of_other_settings_stops_the_call_before_anything_is_sampled(sample, study):
    sample(Streams(), condition="3")
    path = study / "prefbench.toml"
    path.write_text(path.read_text().replace("Have tastes.", "Have others."))
    backend = Streams()
    with pytest.raises(ConfigError, match=r"system_prompt 'Have tastes\.', now 'Have others\.'"):
        sample(backend)
    assert backend.calls == []
    assert len(contents(study)) == 4


def test_a_torn_record_of_one_condition_is_cut_off_and_asked_for_again(sample, study):
    sample(Streams())
    before = contents(study)
    path = study / CONDITIONS[1] / "responses" / "aesthetic_preference_t0.7_n2.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + lines[4][:30])
    with pytest.warns(UserWarning, match="cut off 30 bytes"):
        report = sample(Streams(held=1))
    assert [each.written for each in report.conditions] == [0, 1, 0]
    assert contents(study) == before


def test_the_hf_backend_samples_conditions_in_turn_and_equals_one_by_one(tiny_model, tmp_path):
    pytest.importorskip("torch", reason="needs torch: pip install 'prefbench[hf]'")
    text = FILE.replace('model = "m"', f'model = "{tiny_model}"')
    for name in ("together", "apart"):
        (tmp_path / name).mkdir()
        write_bank(tmp_path / name / "bank.jsonl", make_items(3))
        (tmp_path / name / "prefbench.toml").write_text(text)
    report = sample_prompts(tmp_path / "together", backend="hf")
    for condition in CONDITIONS[::-1]:
        sample_prompts(tmp_path / "apart", backend="hf", condition=condition)
    assert [each.written for each in report.conditions] == [12, 12, 12]
    assert contents(tmp_path / "together") == contents(tmp_path / "apart")
    assert "sampled_with" not in last_run(tmp_path / "together", CONDITIONS[0])
    assert all(each.seconds > 0 for each in report.conditions)
