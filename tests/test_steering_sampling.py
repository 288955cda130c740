"""Steered conditions are sampled as one by one, alike for all samples, on record, and only when proved."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import orjson
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'prefbench[hf]'")
transformers = pytest.importorskip("transformers", reason="needs transformers: pip install 'prefbench[hf]'")

from steering_models import draw, make_vector  # noqa: E402
from studies import make_items  # noqa: E402

from prefbench.backends import Request, Sampling, Treatment, Vector, open_backend  # noqa: E402
from prefbench.backends.hf import decoding  # noqa: E402
from prefbench.backends.hf.decoding import BlockDecoder  # noqa: E402
from prefbench.bank import write_bank  # noqa: E402
from prefbench.errors import BackendError, ConfigError, DataError  # noqa: E402
from prefbench.records import RecordKey  # noqa: E402
from prefbench.sample import sample_prompts  # noqa: E402
from prefbench.steering import save_vector, steered  # noqa: E402
from prefbench.steering.sites import find_blocks  # noqa: E402
from prefbench.store import read_json  # noqa: E402
from prefbench.study import VectorChoice  # noqa: E402

PROMPTS = [
    "Rain or sun?",
    "Which do you prefer, a quiet harbour or a loud one?",
    "Why?",
    "What would you paint?",
]
WIDTH, BLOCKS = 64, 2  # of the tiny model


@pytest.fixture
def vector(tmp_path, tiny_model) -> Path:
    """Return a vector that fits the tiny model, strong enough to be seen."""
    weights = open_backend("hf", str(tiny_model), options={}).weights
    path = tmp_path / "warmth.safetensors"
    made = make_vector(
        [0, 1],
        width=WIDTH,
        blocks=BLOCKS,
        weights=weights,
        hidden_norms={0: 8.0, 1: 9.0},
        recommended_layer=0,
    )
    save_vector(made, path)
    return path


def request(number: int, treatment: Treatment, *, n: int = 3, **sampling) -> Request:
    chosen = {"temperature": 1.0, "top_p": 0.95, "max_tokens": 12 + number} | sampling
    return Request(
        RecordKey("aesthetic_preference", f"aes_{number:03}", chosen["temperature"]),
        PROMPTS[number % len(PROMPTS)],
        n,
        1000 * number,
        Sampling(**chosen),
        treatment,
    )


def treatment(path: Path | None, coefficient: float = 1.0, positions: str = "all") -> Treatment:
    vectors = () if path is None else (Vector(str(path), coefficient=coefficient, positions=positions),)
    return Treatment("c", "completion", vectors=vectors)


def sample(model, requests, **options) -> dict[str, tuple]:
    backend = open_backend("hf", str(model), options=options)
    return {done.request.key.id: done.outputs for done in backend.generate(requests)}


@pytest.mark.parametrize("positions", ["all", "prompt", "response", "decode"])
def test_a_steered_batch_of_mixed_lengths_equals_one_by_one(tiny_model, vector, positions, monkeypatch):
    asked = [request(number, treatment(vector, 2.0, positions), n=1 + number % 4) for number in range(8)]
    alone = sample(tiny_model, asked, batch_size=1)
    assert sample(tiny_model, asked, batch_size=8) == alone
    assert sample(tiny_model, asked[::-1], batch_size=3) == alone
    for share in (0.0, 1.0):  # finished rows dropped never, and at once
        monkeypatch.setattr(decoding, "COMPACT_BELOW", share)
        assert sample(tiny_model, asked, batch_size=8) == alone
    unsteered = sample(
        tiny_model, [request(number, treatment(None), n=1 + number % 4) for number in range(8)]
    )
    assert sum(alone[key] != unsteered[key] for key in alone) >= 6


@pytest.mark.parametrize("positions", ["all", "prompt", "response", "decode"])
def test_greedy_answers_are_those_of_a_model_that_is_steered_by_hand(
    tiny_model, tiny_tokenizer, vector, positions
):
    """The oracle decodes one prompt without batch, cache and our hooks: whole sequences, token by token."""
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    asked = [request(number, treatment(vector, 2.0, positions), n=2, temperature=0) for number in range(4)]
    answers = sample(tiny_model, asked, batch_size=4)
    added = torch.from_numpy(2.0 * draw(0, WIDTH))
    state = {}

    def add(_, __, output):
        place = torch.arange(output.shape[1])
        last = state["prompt"] - 1
        gates = {
            "all": place >= 0,
            "prompt": place <= last,
            "response": place >= last,
            "decode": place > last,
        }
        gate = gates[positions]
        return output + gate[None, :, None] * added

    handle = find_blocks(model)[0].mlp.register_forward_hook(add)
    for each in asked:
        ids = tiny_tokenizer(each.prompt)["input_ids"]
        state["prompt"] = len(ids)
        for _ in range(each.sampling.max_tokens):
            with torch.inference_mode():
                ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
            if ids[-1] == tiny_tokenizer.eos_token_id:
                break
        expected = tiny_tokenizer.decode(ids[state["prompt"] :], skip_special_tokens=True)
        assert [output.text for output in answers[each.key.id]] == [expected] * 2
    handle.remove()


def test_coefficient_zero_is_no_steering_byte_for_byte(tiny_model, vector):
    plain = sample(tiny_model, [request(number, treatment(None)) for number in range(6)])
    for positions in ("all", "prompt", "response", "decode"):
        zero = [request(number, treatment(vector, 0.0, positions)) for number in range(6)]
        assert sample(tiny_model, zero) == plain


def test_conditions_share_one_model_and_leave_no_hook(tiny_model, vector):
    """Requests of several conditions in one stream give what each condition gives alone."""
    kinds = [treatment(None), treatment(vector, 2.0), treatment(vector, -2.0, "response"), treatment(None)]
    backend = open_backend("hf", str(tiny_model), options={"batch_size": 4})
    mixed = [done.outputs for done in backend.generate([request(1, kind) for kind in kinds])]
    alone = [sample(tiny_model, [request(1, kind)])["aes_001"] for kind in kinds]
    assert mixed == alone
    assert len({*mixed}) == 3
    assert not any(module._forward_hooks for module in backend.model.modules())


def test_an_exception_while_sampling_leaves_no_hook(tiny_model, vector, monkeypatch):
    backend = open_backend("hf", str(tiny_model), options={})
    monkeypatch.setattr(decoding, "pick_tokens", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(backend.generate([request(1, treatment(vector))]))
    assert not any(module._forward_hooks for module in backend.model.modules())


def test_a_model_that_bypasses_its_hooks_does_not_sample(tiny_model, vector):
    """A layer that calls its MLP's forward directly runs no hook: nothing would be steered."""
    backend = open_backend("hf", str(tiny_model), options={})
    block = find_blocks(backend.model)[0]
    mlp = block.mlp
    block.mlp = torch.nn.Identity()
    block.mlp.forward = mlp.forward
    object.__setattr__(block, "forward", _with_direct_mlp(block))
    with pytest.raises(BackendError, match="steering did nothing at block 0"):
        list(backend.generate([request(1, treatment(vector))]))


def _with_direct_mlp(block):
    def forward(hidden_states, **kwargs):
        attended, _ = block.self_attn(hidden_states=block.input_layernorm(hidden_states), **kwargs)
        hidden_states = hidden_states + attended
        return hidden_states + block.mlp.forward(block.post_attention_layernorm(hidden_states))

    return forward


# A study


@pytest.fixture
def study(tmp_path, tiny_model):
    bank = tmp_path / "bank.jsonl"
    write_bank(bank, make_items(3))
    grid = {"temps": (1.0,), "n_samples": 2, "max_tokens": 8, "prompts": bank, "model": str(tiny_model)}

    def run(**changes):
        return sample_prompts(tmp_path / "study", **(grid | changes))

    run.folder = tmp_path / "study"
    return run


def contents(folder: Path) -> list[dict]:
    lines = [
        line for path in sorted(folder.rglob("responses/*.jsonl")) for line in path.read_bytes().splitlines()
    ]
    return [{**orjson.loads(line), "timestamp": ""} for line in lines]


@pytest.mark.filterwarnings("ignore:.*lose coherence")
def test_the_manifest_says_what_was_added_and_what_proves_it(study, vector):
    study(condition="steered", vectors=[VectorChoice(file=str(vector), dose=0.5)])
    manifest = read_json(study.folder / "condition_1_steered" / "manifest.json")
    (addition,) = manifest["settings"]["steering"]
    assert (addition["trait"], addition["layer"], addition["dose"]) == ("warmth", 0, 0.5)
    assert addition["coefficient"] == pytest.approx(0.5 * 8 / np.linalg.norm(draw(0, WIDTH)))
    checks = manifest["runs"][0]["steering_checks"]
    assert checks["zero"]["equal"] == checks["zero"]["answers"] > 0
    assert checks["dose"][0]["share"]["answer"] == pytest.approx(1, abs=0.02)
    assert [point["factor"] for point in checks["curve"]] == [0, 0.5, 1, 1.5]
    assert manifest["settings"]["vectors"][0]["file"] == "warmth.safetensors"


@pytest.mark.filterwarnings("ignore:.*lose coherence")
def test_a_steered_condition_resumes_and_refuses_another_vector(study, vector):
    choice = VectorChoice(file=str(vector), coefficient=1.0)
    study(condition="steered", vectors=[choice], limit=2)
    (report,) = study(condition="steered", vectors=[choice]).conditions
    assert (report.kept, report.written) == (4, 2)
    save_vector(
        make_vector([0, 1], width=WIDTH, blocks=BLOCKS, vectors={0: draw(9, WIDTH)}, recommended_layer=0),
        vector,
    )
    with pytest.raises(ConfigError, match="steering"):
        study(condition="steered", vectors=[choice], temps=(1.0, 1.5))
    with pytest.raises(ConfigError, match="vectors"):
        study(condition="steered", vectors=[VectorChoice(file=str(vector), coefficient=2.0)])


def test_a_condition_whose_check_fails_is_not_sampled(study, vector, monkeypatch):
    monkeypatch.setattr("prefbench.steering.checks.TOLERANCE", -1.0)
    with pytest.raises(BackendError, match="nothing was sampled"):
        study(condition="steered", vectors=[VectorChoice(file=str(vector), coefficient=1.0)])
    assert not list(study.folder.rglob("*.jsonl"))


def test_other_weights_warn_and_with_strict_nothing_is_sampled(study, vector):
    save_vector(make_vector([0, 1], width=WIDTH, blocks=BLOCKS, recommended_layer=0), vector)
    choice = VectorChoice(file=str(vector), coefficient=0.01)
    with pytest.raises(ConfigError, match="--strict"):
        study(condition="steered", vectors=[choice], strict=True)
    assert not list(study.folder.rglob("*.jsonl"))
    with pytest.warns(UserWarning, match="other weights"):
        study(condition="steered", vectors=[choice])
    (run,) = read_json(study.folder / "condition_1_steered" / "manifest.json")["runs"]
    assert "other weights" in run["warnings"][0]


def test_a_dose_past_the_guard_is_a_warning_with_the_curve(study, vector, tiny_model):
    with pytest.warns(UserWarning, match=r"condition_1_steered: at this dose answers lose coherence.*1\.5: "):
        study(condition="steered", vectors=[VectorChoice(file=str(vector), dose=60.0)])


@pytest.mark.parametrize(
    ("change", "error", "complaint"),
    [
        ({"layers": [5]}, ConfigError, "no direction for layer 5"),
        ({"coefficient": 1e36}, ConfigError, "at block 0 .* would be added, .* give a smaller coefficient"),
        ({"file": "nowhere.safetensors"}, DataError, "nowhere.safetensors: cannot be read"),
    ],
)
def test_vectors_that_cannot_be_used_stop_before_sampling(study, vector, change, error, complaint):
    choice = VectorChoice(**({"file": str(vector), "coefficient": 1.0} | change))
    with pytest.raises(error, match=complaint):
        study(condition="steered", vectors=[choice])
    assert not list(study.folder.rglob("*.jsonl"))


def test_a_study_file_finds_vectors_beside_it(study, vector, tiny_model):
    study.folder.mkdir()
    vector.rename(study.folder / "warmth.safetensors")
    (study.folder / "prefbench.toml").write_text(
        f"""
        [[conditions]]
        name = "condition_1_base"
        model = "{tiny_model}"
        [[conditions]]
        name = "condition_2_zero"
        model = "{tiny_model}"
        vectors = [{{ file = "warmth.safetensors", coefficient = 0, positions = "response" }}]
        """
    )
    study(model=None)
    assert contents(study.folder / "condition_1_base") == contents(study.folder / "condition_2_zero")


# The commands


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prefbench", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
def test_vectors_from_the_command_line(tiny_model, tmp_path):
    pytest.importorskip("gguf", reason="needs gguf: pip install 'prefbench[gguf]'")
    model = str(tiny_model)
    extract = ("vectors", "extract", "warmth", "--model", model, "--questions", "3", "--max-tokens", "4")
    made = run(*extract, "--layer", "1", "--rollouts", "answers.jsonl", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "layer 1: asked for" in made.stdout
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 30
    assert "is there already" in run(*extract, folder=tmp_path).stderr
    shown = orjson.loads(run("vectors", "show", "warmth.safetensors", "--json", folder=tmp_path).stdout)
    assert shown[0]["pairs"] == 15
    assert run("vectors", "convert", "warmth.safetensors", "w.gguf", folder=tmp_path).returncode == 0
    back = run("vectors", "convert", "w.gguf", "back.safetensors", "--json", folder=tmp_path)
    assert orjson.loads(back.stdout)["recommended_layer"] == 1
    parts = ("warmth.safetensors@2", "back.safetensors@-1")
    assert run("vectors", "combine", *parts, "-o", "mix.safetensors", folder=tmp_path).returncode == 0
    vector = "mix.safetensors@dose=0.1,layers=1,positions=response"
    checked = run("vectors", "check", "--model", model, "--vector", vector, "--json", folder=tmp_path)
    assert orjson.loads(checked.stdout)["additions"][0]["dose"] == pytest.approx(0.1)
    table = run("vectors", "check", "--model", model, "--vector", vector, folder=tmp_path)
    assert "all checks passed: 16 of 16" in table.stdout
    for step in ("loading", "proving that the trait vectors act"):
        assert step in checked.stderr
    assert "assertiveness" in run("vectors", "traits", folder=tmp_path).stdout


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("warmth.safetensors", "say how much of it"),
        ("warmth.safetensors@4", "say how much of it"),
        ("warmth.safetensors@dose=much", "dose 'much' is not a number"),
        ("warmth.safetensors@dose=1,coefficient=2", "either coefficient or dose"),
        ("warmth.safetensors@dose=1,layers=a", "layer 'a'"),
        ("warmth.safetensors@dose=1,layer=3", "did you mean 'layers'"),
        ("warmth.safetensors@dose=1,positions=answer", "positions"),
        ("warmth.safetensors@dose=nan", "finite"),
    ],
)
def test_a_vector_flag_that_says_nothing_clear_is_named(text, complaint):
    from prefbench.cli.options import read_vectors

    with pytest.raises(ConfigError, match=complaint):
        read_vectors([text])


def test_a_vector_flag_reads_as_written():
    from prefbench.cli.options import read_part, read_vectors

    (choice,) = read_vectors(["a@b/warmth.safetensors@coefficient=-4,layers=8+9,positions=prompt"])
    assert choice == VectorChoice(
        file="a@b/warmth.safetensors", coefficient=-4, layers=[8, 9], positions="prompt"
    )
    assert read_vectors(None) is None
    assert read_part("w.safetensors@0.5") == ("w.safetensors", 0.5)
    assert read_part("w.safetensors") == ("w.safetensors", 1.0)


def test_steering_does_not_outlive_a_check(tiny_model, vector):
    backend = open_backend("hf", str(tiny_model), options={})
    ids = torch.tensor([[5, 6, 7]])
    before = backend.model(input_ids=ids).logits
    backend.check_steering(treatment(vector, 0.5), make_items(2))
    assert torch.equal(backend.model(input_ids=ids).logits, before)
    with steered(backend.model, backend.plan(treatment(vector, 0.5))):
        assert not torch.equal(backend.model(input_ids=ids).logits, before)


@pytest.mark.filterwarnings("ignore:.*lose coherence")
def test_conditions_of_one_adapter_share_the_unsteered_answers_of_their_checks(
    tiny_model, vector, monkeypatch
):
    backend = open_backend("hf", str(tiny_model), options={})
    drawn, real = [], BlockDecoder.draw
    monkeypatch.setattr(
        BlockDecoder, "draw", lambda self, *given: drawn.append(len(given)) or real(self, *given)
    )
    first = backend.check_steering(treatment(vector, 0.5), make_items(2))
    assert drawn.count(1) == 1  # given prompts, and no steering
    second = backend.check_steering(treatment(vector, 0.25), make_items(2))
    assert drawn.count(1) == 1
    assert second["curve"][0] == first["curve"][0]
    backend.check_steering(treatment(vector, 0.25), make_items(1))
    assert drawn.count(1) == 2  # other prompts have other answers
