"""The arithmetic of steering by request, without vLLM: rows, slots, counts, and what is refused before a start."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs torch: pip install 'prefbench[hf]'")

from types import SimpleNamespace  # noqa: E402

from prefbench.backends.vllm.arming import choose_layers, steering_arguments  # noqa: E402
from prefbench.backends.vllm.control import SteeringControl  # noqa: E402
from prefbench.backends.vllm.counting import Expected  # noqa: E402
from prefbench.backends.vllm.refusals import refuse_arguments, require_supported  # noqa: E402
from prefbench.backends.vllm.rows import choose_rows, count_rows, first_row, tally_rows  # noqa: E402
from prefbench.backends.vllm.runners import attach  # noqa: E402
from prefbench.backends.vllm.state import PROBE, PROMPT_LENGTH, SLOT, Place, SteeringState  # noqa: E402
from prefbench.errors import BackendError, ConfigError  # noqa: E402
from prefbench.steering import Plan  # noqa: E402

WIDTH = 8

requests = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 20), st.integers(0, 30), st.integers(1, 12)),
    min_size=1,
    max_size=8,
)


def columns(batch) -> list[np.ndarray]:
    return [np.array(column, dtype=np.int64) for column in zip(*batch, strict=True)]


def place_one(slot: int, prompt_length: int, position: int) -> int:
    """The oracle: the row of one token, said the long way round."""
    if slot == 0:
        return 0
    if position < prompt_length - 1:
        kind = 0
    elif position == prompt_length - 1:
        kind = 1
    else:
        kind = 2
    return 1 + 3 * (slot - 1) + kind


@given(requests)
def test_each_token_takes_the_row_of_its_slot_and_place(batch):
    expected = [
        place_one(slot, length, position)
        for slot, length, start, count in batch
        for position in range(start, start + count)
    ]
    assert choose_rows(*columns(batch)).tolist() == expected


@given(requests, st.data())
def test_pieces_of_a_batch_take_the_rows_of_the_whole(batch, data):
    """A prompt in pieces, an answer token by token, a preempted answer at once: the rows are the same."""
    for slot, length, start, count in batch:
        cut = data.draw(st.integers(0, count))
        whole = choose_rows(*columns([(slot, length, start, count)])).tolist()
        pieces = [(slot, length, start, cut), (slot, length, start + cut, count - cut)]
        assert [row for piece in pieces if piece[3] for row in choose_rows(*columns([piece]))] == whole


@given(requests)
def test_the_tally_counts_every_steered_token_once(batch):
    rows = choose_rows(*columns(batch))
    tally = tally_rows(rows, 3)
    assert tally.shape == (3, 3)
    for slot in (1, 2, 3):
        assert tally[slot - 1].sum() == sum(count for each, _, _, count in batch if each == slot)
    assert tally.sum() == (rows > 0).sum()
    assert first_row(3) + 3 == count_rows(3)


# The state of a worker


def make_state(slots: int = 2, layers=(1, 3), tokens: int = 64) -> SteeringState:
    tables = {layer: torch.zeros(count_rows(slots), WIDTH) for layer in layers}
    return SteeringState(tables, torch.zeros(tokens, dtype=torch.int64), slots)


def table(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((3, WIDTH)).astype(np.float32)


def place(state: SteeringState, batch) -> None:
    slots, lengths, starts, counts = columns(batch)
    places = [Place(int(slot), int(length)) for slot, length in zip(slots, lengths, strict=True)]
    state.place(places, starts, counts)


@given(st.lists(requests, min_size=1, max_size=4))
def test_the_buffer_is_zero_beyond_the_batch_whatever_came_before(batches):
    """A CUDA graph reads up to its size: what an earlier, longer batch left there would steer its padding."""
    state = make_state(slots=3, tokens=128)
    for batch in batches:
        place(state, batch)
        rows = choose_rows(*columns(batch))
        assert state.rows[: len(rows)].tolist() == rows.tolist()
        assert not state.rows[len(rows) :].any()


def test_a_slot_holds_the_plan_that_was_loaded_last_and_row_zero_stays_zero():
    state = make_state()
    before = {layer: each.data_ptr() for layer, each in state.tables.items()}
    state.load(2, {1: table(1), 3: table(2)})
    norms = state.load(2, {3: table(4)})
    assert not state.tables[1].any(), "a block that the new plan leaves out keeps nothing of the old"
    np.testing.assert_array_equal(state.tables[3][first_row(2) : first_row(2) + 3], table(4))
    assert norms[3] == pytest.approx(np.linalg.norm(table(4), axis=1).tolist())
    assert not state.tables[3][: first_row(2)].any()
    assert before == {layer: each.data_ptr() for layer, each in state.tables.items()}, "graphs keep addresses"


def test_requests_say_where_they_belong_and_a_wrong_one_is_an_error():
    state = make_state()
    state.load(1, {1: table()})
    assert state.locate(None, 7) == Place(0, 7)
    assert state.locate({"other": 3}, 7) == Place(0, 7)
    assert state.locate({SLOT: 1, PROMPT_LENGTH: 3, PROBE: 0}, 7) == Place(1, 3, 0)
    with pytest.raises(BackendError, match="no steering slot 3: the engine was started with slots 1 to 2"):
        state.locate({SLOT: 3}, 7)
    with pytest.raises(BackendError, match="no steering slot 'warm'"):
        state.locate({SLOT: "warm"}, 7)
    with pytest.raises(BackendError, match="slot 2, into which no plan has been loaded"):
        state.locate({SLOT: 2}, 7)
    with pytest.raises(BackendError, match="block 2 has no table"):
        state.load(1, {2: table()})


# Counts


def test_counts_are_exact_from_below_and_bounded_from_above():
    expected = Expected()
    expected.add(1, 10, [5, 1, 0])
    expected.add(0, 99, [99])
    bounds = expected.bounds(1, stop_strings=False)
    assert bounds == {"prompt": (0, 27), "last prompt token": (3, 3), "answer": (4, 7)}
    assert expected.bounds(1)["answer"] == (4, None)
    assert expected.bounds(1, preempted=True)["prompt"] == (0, None)
    assert expected.check({1: [9, 3, 4]})["1"]["prompt"] == {"steered": 9, "least": 0, "most": 27}


@pytest.mark.parametrize(
    ("counted", "named"),
    [
        ({1: [27, 3, 3]}, "3 answer tokens of slot 1 were steered, at least 4"),
        ({1: [27, 2, 4]}, "2 last prompt token tokens"),
        ({1: [28, 3, 4]}, "at most 27"),
        ({1: [27, 3, 8]}, "at most 7"),
        ({}, "0 last prompt token tokens"),
        ({1: [27, 3, 4], 2: [0, 0, 1]}, "1 answer tokens of slot 2"),
    ],
)
def test_a_count_out_of_bounds_stops_the_run(counted, named):
    expected = Expected()
    expected.add(1, 10, [5, 1, 0])
    with pytest.raises(BackendError, match=f"steering check failed: .*{named}"):
        expected.check(counted, stop_strings=False)


# Ranks


class Ranks:
    """Workers of the real state, as an engine calls them."""

    def __init__(self, count: int, **differing) -> None:
        self.states = [make_state() for _ in range(count)]
        self.differing = differing

    def call(self, method: str, *arguments):
        return [getattr(self, method)(rank, state, *arguments) for rank, state in enumerate(self.states)]

    def prefbench_arm(self, rank, state, layers, slots):
        said = {
            "rank": rank,
            "layers": sorted(state.tables),
            "slots": state.slots,
            "sites": {},
            "mode": "class",
        }
        said |= {"runner": "v1", "blocks": 4, "width": WIDTH}
        return said | (self.differing if rank else {})

    def prefbench_load(self, rank, state, slot, tables):
        scale = self.differing.get("scale", 1.0) if rank else 1.0
        unpacked = {
            int(layer): scale * np.frombuffer(each, np.float32).reshape(3, -1)
            for layer, each in tables.items()
        }
        return {str(layer): norms for layer, norms in state.load(slot, unpacked).items()}

    def prefbench_counts(self, rank, state, reset):
        return [[1, 2, 3], [0, 0, rank if self.differing else 0]]


def test_every_rank_is_armed_loaded_and_counted():
    control = SteeringControl(Ranks(2))
    assert control.arm(layers=[1, 3], slots=2)["ranks"] == 2
    control.load(1, Plan({1: table()}))
    assert control.counts() == {1: [1, 2, 3], 2: [0, 0, 0]}


@pytest.mark.parametrize("differing", [{"layers": [1]}, {"slots": 1}, {"runner": "v2"}, {"mode": "hooks"}])
def test_a_rank_that_is_armed_otherwise_stops_the_run(differing):
    with pytest.raises(BackendError, match="steering check failed: rank 1"):
        SteeringControl(Ranks(2, **differing)).arm(layers=[1, 3], slots=2)


def test_a_rank_that_stores_or_counts_otherwise_stops_the_run():
    control = SteeringControl(Ranks(2, scale=0.9))
    control.arm(layers=[1, 3], slots=2)
    with pytest.raises(BackendError, match="block 1 holds vectors of norms"):
        control.load(1, Plan({1: table()}))
    with pytest.raises(BackendError, match="ranks steered different tokens"):
        control.counts()
    with pytest.raises(BackendError, match=r"block 2 cannot be steered in this engine.*\[1, 3\]"):
        control.load(1, Plan({2: table()}))


# Before the start


def test_only_the_blocks_that_are_needed_get_tables():
    weak, strong = 0.1 * table(), table()
    assert choose_layers([Plan({1: strong, 5: weak}), Plan({3: weak})], 8) == [1, 2, 3, 4, 5]
    assert choose_layers([Plan({7: strong})], 8) == [6, 7]
    assert choose_layers([Plan({0: strong})], 1) == [0]
    assert choose_layers([], 8) == []


def test_an_architecture_without_a_class_runs_uncompiled_and_says_so():
    arguments, note = steering_arguments("Gemma2ForCausalLM", layers=[1], slots=1)
    assert arguments["enforce_eager"] is True
    assert "hf_overrides" not in arguments
    assert "forward hooks" in note


@pytest.mark.parametrize(
    "given",
    [
        {"speculative_config": {"method": "ngram"}},
        {"pipeline_parallel_size": 2},
        {"prefill_context_parallel_size": 2},
        {"data_parallel_size": 2},
        {"enable_dbo": True},
        {"ubatch_size": 2},
        {"compilation_config": {"pass_config": {"enable_sp": True}}},
    ],
)
def test_what_cannot_go_with_steering_is_refused_by_name(given):
    with pytest.raises(ConfigError, match="cannot go with trait vectors"):
        refuse_arguments(given)
    with pytest.raises(ConfigError, match="names an architecture"):
        refuse_arguments({"hf_overrides": {"architectures": ["Other"]}})
    with pytest.raises(ConfigError, match=r"hf_overrides takes a table, such as .*not 'abc'"):
        refuse_arguments({"hf_overrides": "abc"})
    refuse_arguments({"tensor_parallel_size": 2, "pipeline_parallel_size": 1, "compilation_config": 3})


def make_config(**parallel):
    return SimpleNamespace(
        parallel_config=SimpleNamespace(
            **{"pipeline_parallel_size": 1, "enable_dbo": False, "ubatch_size": 0} | parallel
        ),
        compilation_config=SimpleNamespace(
            pass_config=SimpleNamespace(enable_sp=parallel.get("enable_sp", False))
        ),
        speculative_config=parallel.get("speculative_config"),
    )


def test_a_running_engine_is_looked_at_again():
    require_supported(make_config())
    for fault in (
        {"pipeline_parallel_size": 2},
        {"data_parallel_size": 2},
        {"enable_dbo": True},
        {"enable_sp": True},
        {"speculative_config": 1},
    ):
        with pytest.raises(BackendError, match=f"this engine has {next(iter(fault))}, and cannot be steered"):
            require_supported(make_config(**fault))


def test_a_runner_that_has_changed_inside_is_refused():
    class Changed:
        input_batch = requests = None

        def _prepare_inputs(self, other_argument):
            return None

    with pytest.raises(BackendError, match="Changed has changed inside"):
        attach(Changed(), make_state())
    with pytest.raises(BackendError, match="has changed inside"):
        attach(object(), make_state())
    with pytest.raises(BackendError, match=r"does not fill the rows of steered tokens.*SimpleNamespace"):
        attach(SimpleNamespace(model_state=SimpleNamespace(steering=None)), make_state())
