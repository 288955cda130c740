"""DPO: the margin rises, the same seed makes the same adapter, and a killed training ends up like a smooth one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'prefbench[hf]'")
pytest.importorskip("trl", reason="needs trl: pip install 'prefbench[train]'")

from peft import PeftModel  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from prefbench.adapter_files import read_adapter  # noqa: E402
from prefbench.backends import Treatment, open_backend  # noqa: E402
from prefbench.errors import BackendError, ConfigError, DataError, MissingExtraError  # noqa: E402
from prefbench.progress import Silent  # noqa: E402
from prefbench.store import locked, read_json  # noqa: E402
from prefbench.training import read_pairs, train_dpo  # noqa: E402
from prefbench.training.dpo import is_out_of_memory  # noqa: E402
from prefbench.training.encoding import encode_pair  # noqa: E402
from prefbench.training.recipe import make_recipe  # noqa: E402
from prefbench.training.trainer import COMPLETE, last_checkpoint  # noqa: E402

THINGS = ("rain", "sun", "snow", "wind", "hills", "coasts", "tea", "ink", "chess", "jazz", "moss", "brass")
RECIPE = make_recipe(rank=4, alpha=8, learning_rate=2e-3, batch_size=4, max_length=96)


def write_lines(path: Path, lines: list[dict]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return path


def make_lines(count: int = 24) -> list[dict]:
    return [
        {
            "prompt": f"Question: {THINGS[number % 12]} or {THINGS[(number + 1 + number // 12) % 12]}?\nAnswer:",
            "chosen": f" I prefer {THINGS[number % 12]}.",
            "rejected": " It depends on the day; both have their charm.",
        }
        for number in range(count)
    ]


@pytest.fixture
def pairs(tmp_path) -> Path:
    return write_lines(tmp_path / "pairs.jsonl", make_lines())


def log_probability(model, row: dict, name: str) -> float:
    """Return the log-probability of an answer after its prompt, by one plain forward pass."""
    ids = torch.tensor([row["prompt_ids"] + row[f"{name}_ids"]])
    with torch.inference_mode():
        logits = model(ids).logits[0, :-1].log_softmax(-1)
    picked = logits.gather(-1, ids[0, 1:, None])[:, 0]
    return float(picked[len(row["prompt_ids"]) - 1 :].sum())


def margins(model, rows: list[dict], beta: float = 0.1) -> list[float]:
    """Return DPO's margin of each pair from its definition: policy with the adapter, reference without."""

    def margin(row: dict) -> float:
        return log_probability(model, row, "chosen") - log_probability(model, row, "rejected")

    policy = [margin(row) for row in rows]
    with model.disable_adapter():
        reference = [margin(row) for row in rows]
    return [beta * (ours - theirs) for ours, theirs in zip(policy, reference, strict=True)]


def test_training_raises_the_chosen_margin_and_reports_it_as_defined(tiny_model, pairs, tmp_path):
    unseen = write_lines(tmp_path / "unseen.jsonl", make_lines(31)[24:])
    report = train_dpo(pairs, model=str(tiny_model), out=tmp_path / "a", recipe=RECIPE, held_out=unseen)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), tmp_path / "a")
    rows = [encode_pair(tokenizer, pair) for pair in read_pairs(unseen)]
    found = margins(model.eval(), rows)
    assert min(found) > 0.1
    assert report.held_out_pairs == 7
    assert report.held_out_margin == pytest.approx(sum(found) / len(found), abs=1e-4)
    assert report.held_out_accuracy == 1.0
    assert report.steps == 6
    log = [orjson.loads(line) for line in (tmp_path / "a" / "training_log.jsonl").read_bytes().splitlines()]
    assert log[0]["rewards/margins"] == pytest.approx(0, abs=1e-6)
    assert log[5]["rewards/margins"] > log[1]["rewards/margins"] > 0


class Steps(Silent):
    """Keeps what it is told of."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def start(self, what: str, total: int) -> None:
        self.steps.append(what)


def test_every_part_of_a_training_that_takes_time_is_told(tiny_model, pairs, tmp_path):
    unseen = write_lines(tmp_path / "unseen.jsonl", make_lines(31)[24:])
    progress = Steps()
    train_dpo(
        pairs, model=str(tiny_model), out=tmp_path / "a", recipe=RECIPE, held_out=unseen, progress=progress
    )
    assert progress.steps == ["loading tiny", "training", "measuring 7 held-out pairs"]


def test_the_loss_is_the_recipes(tiny_model, tmp_path):
    lines = make_lines(4)
    report = train_dpo(
        write_lines(tmp_path / "pairs.jsonl", lines),
        model=str(tiny_model),
        out=tmp_path / "a",
        recipe=RECIPE,
    )
    model = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    rows = [encode_pair(tokenizer, pair) for pair in read_pairs(tmp_path / "pairs.jsonl")]
    tokens = sum(len(row["chosen_ids"]) for row in rows)
    nll = -sum(log_probability(model, row, "chosen") for row in rows) / tokens
    # before the first step the margin is 0, so that DPO's own term is log 2
    assert report.steps == 1
    assert report.loss == pytest.approx(torch.log(torch.tensor(2.0)).item() + 0.1 * nll, rel=1e-4)


def test_the_same_seed_makes_the_same_adapter_and_another_does_not(tiny_model, pairs, tmp_path):
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        recipe = RECIPE.model_copy(update={"seed": seed})
        torch.rand(7)  # whatever was drawn before must not matter
        train_dpo(pairs, model=str(tiny_model), out=tmp_path / name, recipe=recipe)
    first, again, other = (
        read_adapter(str(tmp_path / name)).identity for name in ("first", "again", "other")
    )
    assert first == again
    assert first["files_sha256"] != other["files_sha256"]


def test_the_manifest_and_the_adapter_pin_the_base_and_no_path(tiny_model, pairs, tmp_path):
    train_dpo(pairs, model=str(tiny_model), out=tmp_path / "a", recipe=RECIPE)
    backend = open_backend("hf", str(tiny_model), options={})
    identity = backend.identify(Treatment("c", adapter=str(tmp_path / "a")))
    settings = read_json(tmp_path / "a" / "manifest.json")["settings"]
    assert settings["weights"] == identity["weights"]
    assert settings["recipe"]["loss_type"] == ["sigmoid", "sft"]
    assert settings["train"]["pairs"] == 24
    kept = {path.name for path in (tmp_path / "a").iterdir() if not path.name.startswith(".")}
    assert kept == {"adapter_config.json", "adapter_model.safetensors", "manifest.json", "training_log.jsonl"}
    for name in ("adapter_config.json", "manifest.json"):
        content = read_json(tmp_path / "a" / name)
        content.pop("runs", None)
        assert str(tiny_model.parent) not in orjson.dumps(content).decode()


def test_a_finished_training_is_not_done_again_and_another_recipe_is_refused(
    tiny_model, pairs, tmp_path, monkeypatch
):
    train_dpo(pairs, model=str(tiny_model), out=tmp_path / "a", recipe=RECIPE)
    monkeypatch.setattr("prefbench.training.dpo.load_model", lambda *_, **__: pytest.fail("loaded the model"))
    assert train_dpo(pairs, model=str(tiny_model), out=tmp_path / "a", recipe=RECIPE).finished_before
    with pytest.raises(ConfigError, match=r"recipe\.rank 4, now 64.* another --out"):
        train_dpo(pairs, model=str(tiny_model), out=tmp_path / "a")
    write_lines(pairs, make_lines(20))
    with pytest.raises(ConfigError, match=r"train\.pairs"):
        train_dpo(pairs, model=str(tiny_model), out=tmp_path / "a", recipe=RECIPE)


def command(pairs: Path, model: Path, out: Path) -> list[str]:
    return [
        *(
            sys.executable,
            "-m",
            "prefbench",
            "train",
            "dpo",
            str(pairs),
            "--model",
            str(model),
            "--out",
            str(out),
        ),
        *("--rank", "4", "--alpha", "8", "--lr", "2e-3", "--batch-size", "4", "--epochs", "4"),
        *("--checkpoint-every", "2"),
    ]


def kill_after_checkpoint(arguments: list[str], out: Path, how: int, generator: random.Random) -> None:
    """Start the command, and kill it at a random moment after it has written a checkpoint more."""

    def marked() -> set[str]:
        return {path.parent.name for path in out.glob(f"checkpoints/*/{COMPLETE}")}

    before = marked()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not marked() - before:
        time.sleep(0.002)
    time.sleep(generator.uniform(0, 0.15))
    if process.poll() is None:
        os.kill(process.pid, how)
    process.wait()


@pytest.mark.long
@pytest.mark.parametrize("kills", [[signal.SIGKILL], [signal.SIGINT, signal.SIGKILL, signal.SIGKILL]])
def test_a_killed_training_ends_up_equal_to_a_smooth_one(tiny_model, pairs, tmp_path, kills):
    smooth, rough = tmp_path / "smooth", tmp_path / "rough"
    subprocess.run(command(pairs, tiny_model, smooth), check=True, capture_output=True)
    generator = random.Random(len(kills))
    for how in kills:
        kill_after_checkpoint(command(pairs, tiny_model, rough), rough, how, generator)
        assert not (rough / "adapter_model.safetensors").exists(), (
            "the kill came too late to interrupt anything"
        )
    done = subprocess.run([*command(pairs, tiny_model, rough), "--json"], check=True, capture_output=True)
    report = orjson.loads(done.stdout)
    assert report["resumed_from"] > 0
    assert report["steps"] == 24
    first, second = (load_file(folder / "adapter_model.safetensors") for folder in (smooth, rough))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not (rough / "checkpoints").exists()
    runs = read_json(rough / "manifest.json")["runs"]
    assert [run["finished"] is None for run in runs] == [True] * len(kills) + [False]


def test_a_checkpoint_that_was_cut_off_is_removed_and_not_used(tmp_path):
    for step, whole in ((2, True), (10, True), (12, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_bytes(b"torn")
        if whole:
            (folder / COMPLETE).touch()
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert not (tmp_path / "checkpoint-12").exists()
    assert last_checkpoint(tmp_path / "nowhere") is None


def fail_first(monkeypatch, error: Exception, times: int) -> None:
    """Let the first training steps fail as torch fails when memory runs out."""
    from trl import DPOTrainer

    step, failures = DPOTrainer.training_step, [error] * times

    def training_step(self, *args, **kwargs):
        if failures:
            raise failures.pop()
        return step(self, *args, **kwargs)

    monkeypatch.setattr(DPOTrainer, "training_step", training_step)


def test_out_of_memory_halves_the_micro_batch_once_and_says_so(tiny_model, pairs, tmp_path, monkeypatch):
    fail_first(monkeypatch, torch.OutOfMemoryError("CUDA out of memory"), 1)
    with pytest.warns(UserWarning, match="out of memory with 4 pairs at once: going on with 2"):
        report = train_dpo(pairs, model=str(tiny_model), out=tmp_path / "a", recipe=RECIPE)
    assert report.micro_batch == 2
    smooth = train_dpo(pairs, model=str(tiny_model), out=tmp_path / "b", recipe=RECIPE, micro_batch=2)
    assert report.margin == smooth.margin


def test_out_of_memory_twice_is_one_line(tiny_model, pairs, tmp_path, monkeypatch):
    fail_first(monkeypatch, RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 2)
    with (
        pytest.warns(UserWarning, match="going on with 2"),
        pytest.raises(
            BackendError, match="with 2 pairs of up to 96 tokens at once: give a smaller --micro-batch"
        ),
    ):
        train_dpo(pairs, model=str(tiny_model), out=tmp_path / "a", recipe=RECIPE)


def test_what_torch_says_when_memory_runs_out_is_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50)
    assert is_out_of_memory(caught.value)
    with pytest.raises(RuntimeError) as caught:
        torch.ones(2) @ torch.ones(3)
    assert not is_out_of_memory(caught.value)


def test_another_fault_of_torch_stays_a_fault(tiny_model, pairs, tmp_path, monkeypatch):
    fail_first(monkeypatch, RuntimeError("shapes do not fit"), 1)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        train_dpo(pairs, model=str(tiny_model), out=tmp_path / "a", recipe=RECIPE)


def test_a_loss_that_is_no_number_stops_the_training(tiny_model, pairs, tmp_path):
    recipe = RECIPE.model_copy(update={"learning_rate": 1e38, "max_grad_norm": 1e38})
    with pytest.raises(BackendError, match=r"the loss at step .* lower the learning rate"):
        train_dpo(pairs, model=str(tiny_model), out=tmp_path / "a", recipe=recipe)
    assert not (tmp_path / "a" / "adapter_model.safetensors").exists()


def test_pairs_that_do_not_fit_are_counted_and_told(tiny_model, tmp_path):
    lines = make_lines(6)
    lines[0]["prompt"] = "rain " * 200
    lines[1]["chosen"] = " rain" * 200
    path = write_lines(tmp_path / "pairs.jsonl", lines)
    with pytest.warns(UserWarning, match=r"(left out: their prompts fill|an answer's end is cut off)"):
        report = train_dpo(path, model=str(tiny_model), out=tmp_path / "a", recipe=RECIPE)
    assert (report.pairs, report.dropped, report.truncated) == (5, 1, 1)
    with pytest.raises(ConfigError, match="--max-length"):
        train_dpo(write_lines(path, lines[:1]), model=str(tiny_model), out=tmp_path / "b", recipe=RECIPE)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ({"chosen": "It depends.", "rejected": "It depends."}, "the same text"),
        ({"chosen": " "}, "chosen is empty"),
        ({"rejected": None}, "rejected"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": [{"role": "robot", "content": "?"}]}, "prompt"),
        ({"chosen": [{"role": "user", "content": "?"}]}, "one message of the assistant"),
    ],
)
def test_a_bad_pair_is_named_with_its_line(tmp_path, line, complaint):
    path = write_lines(tmp_path / "pairs.jsonl", [*make_lines(2), make_lines(3)[2] | line])
    with pytest.raises(DataError, match=rf"pairs.jsonl:3: .*{complaint}") as caught:
        train_dpo(path, model="never loaded", out=tmp_path / "a")
    assert "\n" not in str(caught.value)


def test_files_that_hold_no_pairs_are_named(tmp_path):
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(orjson.dumps(make_lines(1)[0]) + b'\n{"prompt": "a", "chos')
    with pytest.raises(DataError, match=r"torn.jsonl:2: not JSON"):
        read_pairs(torn)
    with pytest.raises(DataError, match="no such file"):
        read_pairs(tmp_path / "nowhere.jsonl")
    with pytest.raises(DataError, match="no pairs in it"):
        read_pairs(write_lines(tmp_path / "empty.jsonl", []))


def test_what_cannot_be_trained_is_refused_by_name(tiny_model, pairs, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    with pytest.raises(DataError, match=r"chapter.tex and no training of ours"):
        train_dpo(pairs, model=str(tiny_model), out=tmp_path / "thesis")
    with pytest.raises(ConfigError, match="micro_batch 3 must divide batch_size 4"):
        train_dpo(pairs, model=str(tiny_model), out=tmp_path / "a", recipe=RECIPE, micro_batch=3)
    recipe = RECIPE.model_copy(update={"target_modules": ("q_proj", "query")})
    with pytest.raises(ConfigError, match="'query' is no linear layer of this model: down_proj"):
        train_dpo(pairs, model=str(tiny_model), out=tmp_path / "b", recipe=recipe)
    with (
        locked(tmp_path / "c", "train"),
        pytest.raises(DataError, match="another prefbench train"),
    ):
        train_dpo(pairs, model=str(tiny_model), out=tmp_path / "c", recipe=RECIPE)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"rank": 0}, "rank"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"loss_type": ["sigmoids"]}, "did you mean 'sigmoid'"),
        ({"loss_weights": [1.0]}, "2 loss_type and 1 loss_weights"),
        ({"scheduler": "step"}, "scheduler"),
        ({"warmup": 1.0}, "warmup"),
    ],
)
def test_a_wrong_recipe_is_refused_by_name(changes, complaint):
    with pytest.raises(ConfigError, match=complaint):
        make_recipe(**changes)


def test_the_default_recipe_is_the_published_one_and_a_loss_alone_keeps_its_weight():
    recipe = make_recipe()
    assert (recipe.rank, recipe.alpha, recipe.learning_rate, recipe.beta) == (64, 128, 5e-5, 0.1)
    assert (recipe.batch_size, recipe.epochs, recipe.max_length) == (32, 1, 1024)
    assert make_recipe(loss_type=["sigmoid", "sft"]) == recipe
    assert make_recipe(loss_type=["ipo"]).loss_weights == (1.0,)


def test_training_without_trl_says_what_to_install(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("prefbench.training.dpo.find_spec", lambda name: None if name == "trl" else object())
    with pytest.raises(MissingExtraError, match=r"trl not found.*prefbench\[train\]"):
        train_dpo(pairs, model="m", out=tmp_path / "a")
