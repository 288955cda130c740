"""Inside a real vLLM, each request is steered by its own slot and nothing else, exactly as the hf backend steers.

The oracle is transformers with the hooks of the hf backend, without a cache and without batches.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

for module in ("vllm", "peft"):
    if find_spec(module) is None:
        pytest.skip(f"needs {module}: pip install 'prefbench[vllm]'", allow_module_level=True)

from adapters import make_adapter  # noqa: E402
from vllm_models import (  # noqa: E402
    BLOCKS,
    WIDTH,
    answer_greedily,
    draw_prompts,
    draw_table,
    load_reference,
    start,
    start_steered,
    write_model,
)

from prefbench.backends.vllm.arming import choose_layers  # noqa: E402
from prefbench.backends.vllm.bench import VllmBench  # noqa: E402
from prefbench.backends.vllm.counting import Expected  # noqa: E402
from prefbench.backends.vllm.engine import Job  # noqa: E402
from prefbench.backends.vllm.probes import Probe, ask  # noqa: E402
from prefbench.backends.vllm.proving import check_compiled, check_decode, prove_slot  # noqa: E402
from prefbench.errors import BackendError  # noqa: E402
from prefbench.steering import Plan  # noqa: E402
from prefbench.steering.measuring import Text  # noqa: E402

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),  # vLLM's own
]

TOKENS = 16
PLANS = {
    "all": Plan({1: draw_table(1, 1, 1, 1), 2: draw_table(0.5, 0.5, 0.5, 2)}),
    "response": Plan({2: draw_table(0, 1.5, 1.5, 3)}),
    "prompt": Plan({1: draw_table(2, 2, 0, 4)}),
    "decode": Plan({2: draw_table(0, 0, 1.5, 5)}),
}
SLOTS = {None: 0, **{name: slot for slot, name in enumerate(PLANS, start=1)}}


class Running:
    """The one engine that runs, with the plans in its slots, and its model in transformers."""

    current: Running | None = None

    def __init__(self, folder: Path, family: str, *, eager: bool = True, **arguments) -> None:
        Running.stop()
        self.made = (family, eager, arguments)
        self.reference = load_reference(folder)
        self.engine, self.control = start_steered(
            folder, family, list(PLANS.values()), eager=eager, **arguments
        )
        Running.current = self

    def greedy(self, probes, salt="test") -> list[tuple[int, ...]]:
        return [reply.ids for reply in ask(self.engine, probes, salt=salt)]

    @staticmethod
    def stop() -> None:
        if Running.current is not None:
            Running.current.engine.close()
            Running.current = None


@pytest.fixture(scope="module", autouse=True)
def _stop_at_the_end():
    yield
    Running.stop()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in made:
            made[family] = write_model(tmp_path_factory.mktemp("models") / family, family)
        return made[family]

    return folder


@pytest.fixture(scope="module")
def run(folders):
    """Return an engine of a family: the one that runs, if it is that, else a new one. Two cannot share a process."""

    def get(family: str = "Qwen3", *, eager: bool = True, **arguments) -> Running:
        if Running.current is None or Running.current.made != (family, eager, arguments):
            return Running(folders(family), family, eager=eager, **arguments)
        return Running.current

    return get


@pytest.fixture(scope="module", params=["Qwen3", "Qwen2", "Llama", "Mistral"])
def family(request):
    return request.param


@pytest.fixture(scope="module", params=[True, False], ids=["eager", "compiled"])
def eager(request):
    return request.param


@pytest.fixture
def running(family, eager, run):
    return run(family, eager=eager)


@pytest.fixture
def qwen(run):
    return run()


@pytest.fixture
def faulty(folders):
    """Return a fresh engine that a test may break."""
    yield Running(folders("Qwen3"), "Qwen3")
    Running.stop()


def mix_probes(prompts, tokens=TOKENS) -> list[tuple[str | None, Probe]]:
    """Return every prompt in every slot and in none, interleaved."""
    return [
        (name, Probe(prompt, slot, max_tokens=tokens)) for prompt in prompts for name, slot in SLOTS.items()
    ]


def expect(reference, mixed) -> list[tuple[int, ...]]:
    return [answer_greedily(reference, probe.ids, PLANS.get(name), probe.max_tokens) for name, probe in mixed]


# The same answers as transformers


def test_one_batch_of_all_slots_and_none_gives_the_answers_of_transformers(running):
    mixed = mix_probes(draw_prompts(5))
    expected = expect(running.reference, mixed)
    assert running.greedy([probe for _, probe in mixed]) == expected
    by_slot = {
        name: [each for (other, _), each in zip(mixed, expected, strict=True) if other == name]
        for name in SLOTS
    }
    for name in PLANS:
        assert by_slot[name] != by_slot[None], f"{name} does nothing here, so it proves nothing"


def test_every_check_passes_and_says_what_it_measured(running):
    prompts = draw_prompts(4)
    figures = prove_slot(running.engine, running.control, 1, PLANS["all"], prompts, condition="warm")
    assert figures["zero"] == {"answers": 8, "equal": 8}
    for dose in figures["dose"]:
        assert list(dose["share"].values()) == pytest.approx([1.0] * 3, abs=1e-3)
        assert dose["leak"] < 1e-3 * dose["added"]
    assert figures["engine"]["mode"] == "class"
    assert figures["sites"] == {"1": "mlp", "2": "mlp"}
    assert max(cell["gap"] for cell in figures["mixed"]) < 1e-3 < figures["mixed"][0]["nearest_other_cell"]
    assert figures["decode"]["gap"] < 1e-3
    if figures["engine"]["compilation"] == "NONE":
        assert figures["compiled"]["told"] is None
    else:
        assert figures["compiled"]["told"] is True
        assert figures["compiled"]["gap"] < 1e-3 < figures["compiled"]["effect"]
    mixed = mix_probes(prompts[:1])  # the plan is in its slot again
    assert running.greedy([probe for _, probe in mixed]) == expect(running.reference, mixed)
    json.dumps(figures)


def score_by_vllm(engine, slot: int) -> list[tuple]:
    """Return greedy answers and vLLM's own log-probabilities of prompts and answers."""
    from vllm import SamplingParams

    extra = {"prefbench_slot": slot} if slot else None
    parameters = SamplingParams(
        temperature=0, max_tokens=TOKENS, logprobs=0, prompt_logprobs=0, detokenize=False, extra_args=extra
    )
    names = [engine.submit(Job(prompt, parameters, None, f"slot {slot}")) for prompt in draw_prompts(5)]
    done: dict[str, tuple] = {}
    while len(done) < len(names):
        for name, output in engine.poll():
            answer = output.outputs[0]
            logs = [*output.prompt_logprobs[1:], *answer.logprobs]
            done[name] = tuple(answer.token_ids), [each.logprob for step in logs for each in step.values()]
    return [done[name] for name in names]


def test_tables_of_zeros_are_the_stock_class_to_the_last_bit(family, folders, run):
    Running.stop()
    stock = start(folders(family), {})
    plain = score_by_vllm(stock, 0)
    stock.close()
    running = run(family)
    assert score_by_vllm(running.engine, 1) != plain
    running.control.load(1, PLANS["all"].scaled(0.0))
    try:
        assert score_by_vllm(running.engine, 0) == plain
        running.engine.forget_prompts()
        assert score_by_vllm(running.engine, 1) == plain
    finally:
        running.control.load(1, PLANS["all"])
        running.engine.forget_prompts()


# Caches, pieces, preemption


def test_cached_blocks_are_another_conditions_unless_each_has_its_salt(qwen):
    """The fault is real, and a salt is what mends it."""
    prompts = draw_prompts(2, shortest=300)
    expected = [answer_greedily(qwen.reference, prompt, None, TOKENS) for prompt in prompts]
    steered = [Probe(prompt, SLOTS["prompt"], max_tokens=TOKENS) for prompt in prompts]
    plain = [Probe(prompt, max_tokens=TOKENS) for prompt in prompts]
    qwen.greedy(steered, salt="one")
    assert qwen.greedy(plain, salt="one") != expected
    qwen.greedy(steered, salt="steered")
    assert qwen.greedy(plain, salt="plain") == expected


def test_a_slot_that_is_loaded_anew_steers_anew(qwen):
    """Loading writes in place; with another salt nothing of the old plan is left."""
    prompt = draw_prompts(1, shortest=200)[0]
    other = Plan({1: draw_table(3, 3, 3, 9)})
    try:
        for number, plan in enumerate((PLANS["all"], other, PLANS["all"])):
            qwen.control.load(1, plan)
            (answer,) = qwen.greedy([Probe(prompt, 1, max_tokens=TOKENS)], salt=f"load {number}")
            assert answer == answer_greedily(qwen.reference, prompt, plan, TOKENS)
    finally:
        qwen.control.load(1, PLANS["all"])


def test_prompts_in_pieces_keep_their_places(run):
    running = run(enable_chunked_prefill=True, max_num_batched_tokens=48)
    mixed = mix_probes(draw_prompts(3, shortest=90))
    assert running.greedy([probe for _, probe in mixed]) == expect(running.reference, mixed)


def test_answers_that_were_preempted_keep_their_places(run):
    """A cache too small for all requests: some are thrown out half-way and computed again."""
    running = run(
        "Llama",
        num_gpu_blocks_override=9,
        block_size=32,
        max_model_len=128,
        enable_prefix_caching=False,
    )
    mixed = mix_probes(draw_prompts(2, shortest=20), tokens=60)
    running.control.counts(reset=True)
    answers = running.greedy([probe for _, probe in mixed])
    assert answers == expect(running.reference, mixed)
    needed = Expected()
    for (_, probe), answer in zip(mixed, answers, strict=True):
        needed.add(probe.slot, len(probe.ids), [len(answer)])
    counted = running.control.counts()
    with pytest.raises(BackendError, match="at most"):
        needed.check(counted, stop_strings=False)  # so some tokens were computed twice
    assert needed.check(counted, preempted=True)


def test_the_tokens_steered_are_those_that_had_to_be(qwen):
    qwen.control.counts(reset=True)
    prompts = draw_prompts(4, seed=7)
    probes = [
        Probe(prompt, slot, max_tokens=9, seed=1, temperature=1.0) for slot in (0, 1, 3) for prompt in prompts
    ]
    replies = ask(qwen.engine, probes, salt="counted")
    needed = Expected()
    for probe, reply in zip(probes, replies, strict=True):
        needed.add(probe.slot, len(probe.ids), [len(reply.ids)])
    counted = qwen.control.counts()
    assert needed.check(counted, stop_strings=False)["1"]["answer"]["steered"] == sum(
        len(reply.ids) - 1 for probe, reply in zip(probes, replies, strict=True) if probe.slot == 1
    )
    assert counted[2] == [0, 0, 0]
    with pytest.raises(BackendError, match=r"steering check failed: 0 last prompt token tokens of slot 1"):
        needed.check({1: [0, 0, 0]})


# Adapters


@pytest.fixture(scope="module")
def adapters(folders, tmp_path_factory):
    made: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in made:
            made[family] = make_adapter(folders(family), tmp_path_factory.mktemp("adapters") / family)
        return made[family]

    return folder


@pytest.fixture(scope="module")
def adapter(adapters):
    return adapters("Qwen3")


def lora(adapter: Path):
    from vllm.lora.request import LoRARequest

    return LoRARequest(lora_name="adapter_1", lora_int_id=1, lora_path=str(adapter))


@pytest.mark.parametrize(
    ("family", "eager"), [("Qwen2", True), ("Llama", True), ("Qwen3", True), ("Qwen3", False)]
)
def test_four_cells_in_one_batch_are_those_of_transformers_and_peft(folders, run, adapters, family, eager):
    running = run(family, eager=eager, enable_lora=True, max_loras=2, max_lora_rank=8)
    adapter = adapters(family)
    adapted = load_reference(folders(family), adapter)
    cells = [
        (model, name, request)
        for model, request in ((running.reference, None), (adapted, lora(adapter)))
        for name in (None, "all", "response")
    ]
    prompts = draw_prompts(4)
    probes = [
        Probe(prompt, SLOTS[name], request, max_tokens=TOKENS)
        for prompt in prompts
        for _, name, request in cells
    ]
    expected = [
        answer_greedily(model, prompt, PLANS.get(name), TOKENS)
        for prompt in prompts
        for model, name, _ in cells
    ]
    assert running.greedy(probes) == expected
    figures = prove_slot(
        running.engine,
        running.control,
        2,
        PLANS["response"],
        prompts,
        adapter=lora(adapter),
        condition="both",
    )
    assert [(cell["steered"], cell["adapter"]) for cell in figures["mixed"]] == [
        (False, None),
        (True, None),
        (False, "adapter_1"),
        (True, "adapter_1"),
    ]


def test_an_engine_that_gives_adapters_to_those_who_asked_for_none_is_caught(run, adapter):
    """vLLM on a CPU does, when there are no more adapter slots than adapters."""
    running = run(enable_lora=True, max_loras=1, max_lora_rank=8)
    with pytest.raises(BackendError, match=r"in a batch that mixes conditions, requests \(.*no adapter\)"):
        prove_slot(
            running.engine,
            running.control,
            1,
            PLANS["all"],
            draw_prompts(4),
            other_adapters=[lora(adapter)],
        )


# Faults are caught


def make_bench(running: Running, slot: int = 1) -> VllmBench:
    return VllmBench(running.engine, running.control, slot, prompts=draw_prompts(3))


def test_vectors_at_the_wrong_block_fail_the_dose_test(faulty):
    running = faulty

    def swap(worker) -> None:
        state = worker.model_runner.get_model().prefbench_steering
        state.tables[1], state.tables[2] = state.tables[2], state.tables[1]

    running.engine.call(swap)
    with pytest.raises(
        BackendError, match=r"steering check failed: block 1 moved by -?0\.\d+ of what was added"
    ):
        prove_slot(running.engine, running.control, 1, Plan({1: draw_table(1, 1, 1)}), draw_prompts(3))


def test_rows_that_the_model_does_not_read_fail_the_dose_test(faulty):
    running = faulty

    def detach(worker) -> None:
        state = worker.model_runner.get_model().prefbench_steering
        state.rows = state.rows.clone()

    running.engine.call(detach)
    with pytest.raises(BackendError, match=r"moved by 0\.000 of what was added"):
        prove_slot(running.engine, running.control, 1, PLANS["all"], draw_prompts(3))


def test_a_compiled_model_that_steers_otherwise_than_its_code_is_caught(run, monkeypatch):
    running = run("Llama", eager=False)
    texts = [Text(prompt, 3) for prompt in draw_prompts(3)]
    assert check_compiled(make_bench(running), PLANS["all"], texts, running.control)["told"]
    from prefbench.backends.vllm import models

    monkeypatch.setattr(models, "add_rows", lambda hidden, table, rows: hidden)
    with pytest.raises(BackendError, match="the compiled model steers otherwise than its own code"):
        check_compiled(make_bench(running), PLANS["all"], texts, running.control)


def test_decoding_that_is_not_steered_is_caught(run, monkeypatch):
    running = run()
    bench = make_bench(running, SLOTS["response"])
    assert check_decode(bench)["gap"] < 1e-3
    from prefbench.backends.vllm import state

    chosen = state.choose_rows
    monkeypatch.setattr(
        state,
        "choose_rows",
        lambda slots, lengths, starts, counts: chosen(slots * (counts > 1), lengths, starts, counts),
    )
    with pytest.raises(BackendError, match="answers generated with steering differ"):
        check_decode(bench)


def test_what_was_not_armed_is_refused(qwen):
    unarmed = next(layer for layer in range(BLOCKS) if layer not in qwen.control.description["layers"])
    with pytest.raises(BackendError, match=f"block {unarmed} cannot be steered in this engine"):
        qwen.control.load(1, Plan({unarmed: draw_table(1, 1, 1)}))
    with pytest.raises(BackendError, match="no steering slot 9"):
        qwen.control.load(9, PLANS["all"])
    with pytest.raises(BackendError, match=f"has 3 entries, the model's hidden states {WIDTH}"):
        qwen.control.load(1, Plan({1: np.ones((3, 3), np.float32)}))
    with pytest.raises(BackendError, match="asked for blocks"):
        qwen.control.arm(layers=[0], slots=4)


def test_a_request_for_a_slot_that_holds_no_plan_stops_the_engine(faulty):
    running = faulty
    with pytest.raises(BackendError, match="no steering slot 7: the engine was started with slots 1 to 4"):
        running.greedy([Probe([5, 6, 7], 7)])


def test_the_key_of_the_compile_cache_knows_the_blocks_and_the_class(folders):
    """Else a compiled artefact of other blocks, or of the stock class, could be taken for this one."""
    from vllm.engine.arg_utils import EngineArgs

    from prefbench.backends.vllm.arming import steering_arguments

    def key(**arguments) -> str:
        config = EngineArgs(
            model=str(folders("Qwen3")), dtype="float32", skip_tokenizer_init=True, **arguments
        ).create_engine_config()
        return config.compute_hash()

    keys = [key()] + [
        key(**steering_arguments("Qwen3ForCausalLM", layers=layers, slots=slots)[0])
        for layers, slots in (([1], 1), ([2], 1), ([1, 2], 1), ([1], 2), ([1], 1))
    ]
    assert keys[1] == keys[5]
    assert len(set(keys)) == 5


def test_without_the_plugin_nothing_starts():
    script = (
        "from prefbench.backends.vllm.arming import steering_arguments\n"
        "steering_arguments('Qwen3ForCausalLM', layers=[1], slots=1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "VLLM_PLUGINS": "other"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "ConfigError: vLLM does not find prefbench's plugin" in done.stderr


# Other architectures, other processes


@pytest.mark.parametrize(("other", "site"), [("Gemma2", "block"), ("Granite", "block")])
def test_architectures_without_a_class_are_steered_by_hooks(run, other, site):
    running = run(other, eager=False)
    assert running.control.description["mode"] == "hooks"
    assert set(running.control.description["sites"].values()) == {site}
    mixed = mix_probes(draw_prompts(4))
    assert running.greedy([probe for _, probe in mixed]) == expect(running.reference, mixed)
    figures = prove_slot(running.engine, running.control, 2, PLANS["response"], draw_prompts(3))
    assert figures["compiled"]["told"] is None


@pytest.mark.parametrize(("other", "processes"), [("Qwen3", "1"), ("Olmo2", "0")])
def test_engines_in_processes_of_their_own_are_steered_too(folders, tmp_path, other, processes):
    """Workers beside the engine, its usual way: every table and every figure crosses two processes.

    And an architecture that vLLM leaves to the model of transformers, whose classes it changes for the whole process.
    """
    script = Path(__file__).with_name("vllm_in_processes.py")
    done = subprocess.run(
        [sys.executable, str(script), str(folders(other)), other, str(tmp_path / "figures.json")],
        env={**os.environ, "VLLM_ENABLE_V1_MULTIPROCESSING": processes},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "figures.json").read_text())
    reference, plan = load_reference(folders(other)), PLANS["all"]
    for prompt, slot, answer in found["answers"]:
        assert tuple(answer) == answer_greedily(reference, prompt, plan if slot else None, TOKENS)
    assert [list(dose["share"].values()) for dose in found["figures"]["dose"]] == [
        pytest.approx([1.0] * 3, abs=1e-3)
    ] * 2
    assert choose_layers([plan], BLOCKS) == found["figures"]["engine"]["layers"]


def test_speculative_decoding_is_refused_by_name(folders):
    """Last of all: drafts load numba, and with it in the process vLLM starts no other engine on a CPU."""
    Running.stop()
    drafts = {"method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_max": 2}
    with pytest.raises(BackendError, match="this engine has speculative_config, and cannot be steered"):
        start_steered(folders("Qwen3"), "Qwen3", [PLANS["response"]], speculative_config=drafts)
