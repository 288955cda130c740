"""Sampling writes the published fields, does only what is missing, and refuses to mix what differs."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'prefbench[hf]'")

from studies import make_items

from prefbench.bank import write_bank
from prefbench.checkpoints import explain_post_trained
from prefbench.errors import BackendError, ConfigError, DataError
from prefbench.progress import Silent
from prefbench.records import RecordKey
from prefbench.sample import sample_prompts
from prefbench.seeds import derive_seed
from prefbench.store import locked, read_json

GRID = {"temps": (0.7, 1.5), "n_samples": 3, "max_tokens": 12}


@pytest.fixture
def bank(tmp_path) -> Path:
    path = tmp_path / "bank.jsonl"
    write_bank(path, make_items(5))
    return path


@pytest.fixture
def study(tmp_path, tiny_model, bank):
    """Return a function that samples into one study folder."""

    def run(**changes):
        return sample_prompts(
            tmp_path / "study", **({"model": str(tiny_model), "prompts": bank} | GRID | changes)
        )

    run.folder = tmp_path / "study"
    return run


def contents(folder: Path) -> dict[str, list[dict]]:
    """Return every response file without the times, which alone may differ between runs."""
    found = {}
    for path in sorted(folder.rglob("responses/*.jsonl")):
        lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        found[str(path.relative_to(folder))] = [{**line, "timestamp": ""} for line in lines]
    return found


def test_a_grid_is_sampled_into_one_file_a_domain_and_temperature(study):
    (report,) = study().conditions
    assert report.written == 20
    files = contents(study.folder)
    assert list(files) == [
        f"condition_1_base/responses/{domain}_t{temperature}_n3.jsonl"
        for domain in ("aesthetic_preference", "ethical_judgment")
        for temperature in ("0.7", "1.5")
    ]
    for lines in files.values():
        assert len(lines) == 5
        assert all(len(line["responses"]) == line["n_samples"] == 3 for line in lines)


def test_the_manifest_says_what_was_run(study):
    study()
    manifest = read_json(study.folder / "condition_1_base" / "manifest.json")
    settings, (run,) = manifest["settings"], manifest["runs"]
    assert settings["top_p"] == 0.95
    assert settings["prompt_style"] == "qa"
    assert len(settings["weights"]["files_sha256"]) == 64
    assert run["finished"] >= run["started"]
    assert run["temperatures"] == [0.7, 1.5]
    assert run["records_written"] == 20
    assert run["bank"]["prompts"] == 10
    assert "rounding" in run["backend"]["seeding"]


def test_a_second_run_does_nothing_and_loads_nothing(study, monkeypatch):
    study()
    before = contents(study.folder)
    monkeypatch.setattr("prefbench.sample.open_backend", lambda *_, **__: pytest.fail("loaded the model"))
    (report,) = study().conditions
    assert (report.written, report.kept) == (0, 20)
    assert contents(study.folder) == before


def test_only_what_is_missing_is_sampled_and_comes_out_the_same(study):
    study()
    before = contents(study.folder)
    path = study.folder / "condition_1_base" / "responses" / "ethical_judgment_t1.5_n3.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:40])
    with pytest.warns(UserWarning, match="cut off 40 bytes"):
        (report,) = study().conditions
    assert (report.written, report.kept) == (2, 18)
    assert contents(study.folder) == before


def test_a_grid_may_grow(study):
    study(temps=(0.7,), limit=2)
    (report,) = study(temps=(0.7, 1.0)).conditions
    assert (report.written, report.kept) == (16, 4)


def test_conditions_draw_with_the_same_random_numbers(study):
    study()
    study(condition="other", temps=(0.7,))
    files = contents(study.folder)
    name = "responses/ethical_judgment_t0.7_n3.jsonl"
    assert files[f"condition_2_other/{name}"] == files[f"condition_1_base/{name}"]
    study(condition="directed", temps=(0.7,), system_prompt="You have tastes of your own.")
    assert contents(study.folder)[f"condition_3_directed/{name}"] != files[f"condition_1_base/{name}"]


def test_seeds_differ_by_prompt_temperature_and_study_only():
    key = RecordKey("ethical_judgment", "eth_001", 0.7)
    others = [
        key._replace(id="eth_002"),
        key._replace(temperature=1.0),
        key._replace(domain="creative_initiative"),
    ]
    assert derive_seed(0, key) == derive_seed(0, RecordKey("ethical_judgment", "eth_001", 0.70))
    seeds = [derive_seed(0, key), derive_seed(1, key), *(derive_seed(0, other) for other in others)]
    assert len(set(seeds)) == 5
    assert all(0 <= seed < 2**53 for seed in seeds)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"top_p": 0.5}, "top_p 0.95, now 0.5"),
        ({"n_samples": 4}, "n_samples 3, now 4"),
        ({"seed": 1}, "seed 0, now 1"),
        ({"system_prompt": "Be plain."}, "system_prompt None, now 'Be plain.'"),
        ({"prompt_style": "completion"}, "prompt_style"),
        ({"backend_options": {"dtype": "bfloat16"}}, "dtype"),
    ],
)
def test_records_of_other_settings_are_not_mixed(study, changes, named):
    study(temps=(0.7,), limit=1)
    with pytest.raises(ConfigError, match=named):
        study(**changes)


def test_a_prompt_that_changed_its_text_is_refused(study, bank):
    study(limit=1)
    bank.write_text(bank.read_text().replace("Which do you prefer", "Which do you like"))
    with pytest.raises(ConfigError, match="another text"):
        study()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"temps": (float("nan"),)}, "temperature"),
        ({"temps": (-0.1,)}, "temperature"),
        ({"temps": ()}, "temperatures"),
        ({"temps": (0.7, 0.70)}, "twice"),
        ({"n_samples": 0}, "n_samples"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_p": float("nan")}, "top_p"),
        ({"limit": 0}, "limit"),
        ({"stop": ("",)}, "stop"),
        ({"prompt_style": "shout"}, "prompt_style"),
        ({"condition": "a/b"}, "condition"),
        ({"model": None}, "--model"),
        ({"domains": ("ethical_judgement",)}, "did you mean 'ethical_judgment'"),
        ({"backend": "hg"}, "did you mean 'hf'"),
        ({"seed": -1}, "seed"),
    ],
)
def test_what_cannot_be_sampled_is_refused_by_name(study, changes, named):
    with pytest.raises(ConfigError, match=named):
        study(**changes)
    assert not list(study.folder.rglob("*.jsonl"))


def test_a_start_that_fails_leaves_no_folder_behind(study, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="cannot be loaded"):
        study(model=str(tmp_path / "no-such-model"))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)  # as if the extra were not installed
        with pytest.raises(ConfigError, match="pip install"):
            study(model="some/model", backend="hf")
    assert not study.folder.exists()
    study()
    before = contents(study.folder)
    with pytest.raises(ConfigError):
        study(model="no-such-model")
    assert contents(study.folder) == before


def test_a_second_sampler_of_a_condition_is_refused(study):
    folder = study.folder / "condition_1_base"
    with locked(folder, "sample"), pytest.raises(DataError, match="another prefbench sample"):
        study()


def test_a_corrupt_line_is_named_and_nothing_is_written(study):
    study(limit=2)
    path = study.folder / "condition_1_base" / "responses" / "ethical_judgment_t0.7_n3.jsonl"
    content = path.read_bytes()
    path.write_bytes(b'{"id": 1}\n' + content)
    with pytest.raises(DataError, match=r"n3.jsonl:1: not a ResponseRecord"):
        study()
    path.write_bytes(content + content.splitlines(keepends=True)[0])
    with pytest.raises(DataError, match=r"n3.jsonl:3: .*stands already at .*:1"):
        study()


def test_a_failed_prompt_is_on_record_and_tried_again(study, bank):
    items = make_items(3)
    items[1] = items[1].model_copy(update={"prompt": "rain " * 400})
    write_bank(bank, items)
    with pytest.raises(BackendError, match="2 prompts have no answers"):
        study()
    assert sum(map(len, contents(study.folder).values())) == 10
    errors = (study.folder / "condition_1_base" / "errors.jsonl").read_bytes().splitlines()
    assert all("context is 256" in orjson.loads(line)["error"] for line in errors)
    write_bank(bank, make_items(3))
    (report,) = study().conditions
    assert (report.written, report.kept) == (2, 10)


@pytest.mark.parametrize("as_json", [True, False])
def test_what_was_written_is_told_beside_what_failed(tiny_model, tmp_path, as_json):
    items = make_items(3)
    items[1] = items[1].model_copy(update={"prompt": "rain " * 400})
    write_bank(tmp_path / "bank.jsonl", items)
    command = [
        sys.executable,
        "-m",
        "prefbench",
        "sample",
        "--model",
        str(tiny_model),
        "--prompts",
        "bank.jsonl",
    ]
    command += [
        "--temps",
        "1",
        "--n-samples",
        "2",
        "--max-tokens",
        "3",
        "--backend",
        "hf",
        *(["--json"] if as_json else []),
    ]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 4
    assert "prefbench: 1 prompt has no answers" in found.stderr
    if as_json:
        (report,) = orjson.loads(found.stdout)["conditions"]
        assert (report["written"], report["failed"]) == (5, 1)
    else:
        assert "5 records sampled" in found.stdout


def test_a_prompt_that_cannot_be_answered_stops_no_other_model(study, tiny_model, bank, tmp_path):
    items = make_items(3)
    items[1] = items[1].model_copy(update={"prompt": "rain " * 400})
    write_bank(bank, items)
    merged = shutil.copytree(tiny_model, tmp_path / "merged")
    study.folder.mkdir()
    conditions = [
        f'[[conditions]]\nname = "{name}"\nmodel = "{model}"\n'
        for name, model in (("condition_1_base", tiny_model), ("condition_2_merged", merged))
    ]
    (study.folder / "prefbench.toml").write_text("".join(conditions))
    with pytest.raises(BackendError, match="4 prompts have no answers") as caught:
        study(model=None)
    for name in ("condition_1_base", "condition_2_merged"):
        assert str(study.folder / name / "errors.jsonl") in str(caught.value)
    written = [len(lines) for lines in contents(study.folder).values()]
    assert written == [2, 2, 3, 3] * 2  # two domains at two temperatures, of both models


def test_a_study_file_names_the_conditions(study, tiny_model):
    study.folder.mkdir()
    (study.folder / "bank.jsonl").write_bytes((study.folder.parent / "bank.jsonl").read_bytes())
    (study.folder / "prefbench.toml").write_text(
        f"""
        [study]
        prompts = "bank.jsonl"
        [sampling]
        temperatures = [1]
        n_samples = 2
        max_tokens = 5
        top_p = 1
        [[conditions]]
        name = "condition_1_base"
        model = "{tiny_model}"
        [[conditions]]
        name = "condition_2_directed"
        model = "{tiny_model}"
        system_prompt = "You have tastes of your own."
        """
    )
    report = sample_prompts(study.folder)
    assert [(each.condition, each.written) for each in report.conditions] == [
        ("condition_1_base", 10),
        ("condition_2_directed", 10),
    ]
    (again,) = sample_prompts(study.folder, condition="2").conditions
    assert (again.condition, again.kept) == ("condition_2_directed", 10)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[sampling]\ntemperature = [1]", "did you mean 'temperatures'"),
        ("[sampling]\nn_samples = 0", "sampling.n_samples"),
        ("[samplings]", "did you mean 'sampling'"),
        ("[sampling", "not TOML"),
        ('[[conditions]]\nname = "a"', "conditions.0.model"),
        ('[[conditions]]\nname="a"\nmodel="m"\n[[conditions]]\nname="a"\nmodel="m"', "a is named twice"),
    ],
)
def test_a_wrong_study_file_is_named(study, text, named):
    study.folder.mkdir()
    (study.folder / "prefbench.toml").write_text(text)
    with pytest.raises(ConfigError, match=f"prefbench.toml: .*{named}"):
        study()


@pytest.mark.parametrize(
    ("condition", "model", "template", "warned"),
    [
        ("condition_1_base", "Qwen/Qwen3-8B", True, True),
        ("condition_1_base", "Qwen/Qwen3-8B-Base", True, False),
        ("condition_1_base", "some/pretrained", False, False),
        ("condition_2_dpo", "Qwen/Qwen3-8B", True, False),
    ],
)
def test_a_post_trained_base_is_a_warning_that_says_why(condition, model, template, warned):
    warning = explain_post_trained(condition, model, chat_template=template)
    assert (warning is not None) == warned
    if warned:
        assert "post-trained" in warning
        assert "Qwen/Qwen3-8B-Base" in warning


@pytest.mark.filterwarnings("ignore:out of memory")
def test_what_the_backend_warns_of_is_told_and_on_record(study, monkeypatch):
    import torch

    from prefbench.backends.hf import decoding

    real = decoding.BlockDecoder.decode

    def decode(self, prompts, steering=None):
        if len(prompts) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, prompts, steering)

    monkeypatch.setattr(decoding.BlockDecoder, "decode", decode)
    told = []
    progress = Silent()
    monkeypatch.setattr(progress, "warn", told.append, raising=False)
    study(progress=progress)
    (run,) = read_json(study.folder / "condition_1_base" / "manifest.json")["runs"]
    assert run["warnings"] == told
    assert len(told) == 1
    assert "batches are halved" in told[0]


def sample_command(folder: Path, model: Path, bank: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "prefbench", "sample", "--study", str(folder), "--model", str(model)),
        *("--prompts", str(bank), "--temps", "0.7,1.5", "--n-samples", "4", "--max-tokens", "150"),
        *("--backend-option", "batch_size=2"),
    ]


def run_and_kill(command: list[str], folder: Path, how: int, generator: random.Random) -> None:
    """Start the command, wait until it has written more than before, then kill it at a random moment."""
    before = sum(path.stat().st_size for path in folder.rglob("*.jsonl"))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and sum(path.stat().st_size for path in folder.rglob("*.jsonl")) <= before:
        time.sleep(0.002)
    time.sleep(generator.uniform(0, 0.2))
    if process.poll() is None:
        os.kill(process.pid, how)
    process.wait()


def check_kills(tmp_path: Path, tiny_model: Path, kills: list[int]) -> None:
    bank = tmp_path / "bank.jsonl"
    write_bank(bank, make_items(16))
    smooth, rough = tmp_path / "smooth", tmp_path / "rough"
    subprocess.run(sample_command(smooth, tiny_model, bank), check=True, capture_output=True)
    generator = random.Random(len(kills))
    for how in kills:
        run_and_kill(sample_command(rough, tiny_model, bank), rough, how, generator)
    cut_short = sum(map(len, contents(rough).values()))
    subprocess.run(sample_command(rough, tiny_model, bank), check=True, capture_output=True)
    assert contents(rough) == contents(smooth)
    assert 0 < cut_short < 64, "the kills came too late to interrupt anything"


def test_an_interrupted_study_ends_up_equal_to_a_smooth_one(tmp_path, tiny_model):
    check_kills(tmp_path, tiny_model, [signal.SIGKILL, signal.SIGINT])


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_many_kills_lose_and_double_nothing(tmp_path, tiny_model):
    check_kills(tmp_path, tiny_model, [signal.SIGKILL] * 6)


def test_ctrl_c_exits_130_with_one_line(tmp_path, tiny_model):
    bank = tmp_path / "bank.jsonl"
    write_bank(bank, make_items(16))
    folder = tmp_path / "study"
    process = subprocess.Popen(
        sample_command(folder, tiny_model, bank), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not list(folder.rglob("*.jsonl")):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, remarks = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted: what is finished is kept" in remarks
    assert "Traceback" not in remarks


def test_what_a_backend_lacks_is_refused_before_anything_is_loaded(study, monkeypatch):
    monkeypatch.setattr("prefbench.backends.hf.HfBackend.supports", frozenset({"seed"}))
    monkeypatch.setattr(
        "prefbench.backends.hf.HfBackend.__init__", lambda *_, **__: pytest.fail("loaded the model")
    )
    with pytest.raises(ConfigError, match="does not support system_prompt"):
        study(system_prompt="Be plain.")
