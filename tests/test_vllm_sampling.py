"""`prefbench sample --backend vllm`: four conditions in one pass, resumed after any end to the same records."""

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
from vllm_engines import VLLM_MARKS

from prefbench.demo_model import demo_conditions_path
from prefbench.store import read_json

pytestmark = VLLM_MARKS
CONDITIONS = ("condition_1_base", "condition_2_dpo", "condition_3_vectors", "condition_4_both")
ADAPTER = f'adapter = "{demo_conditions_path() / "adapter"}"'
VECTORS = (
    f'vectors = [{{ file = "{demo_conditions_path() / "decisiveness.safetensors"}", coefficient = 1.5 }}]'
)
TREATMENTS = ("", ADAPTER, VECTORS, f"{ADAPTER}\n{VECTORS}")
SAMPLING = """
[sampling]
temperatures = [0.7, 1.0]
n_samples = 3
max_tokens = {max_tokens}
limit = {limit}
domains = ["aesthetic_preference", "ethical_judgment"]
[backend]
name = "vllm"
"""
LINE_OF_INTERRUPT = (
    "prefbench: interrupted: what is finished is kept, and the same command goes on from there"
)


def write_study(folder: Path, *, conditions: int = 4, limit: int = 6, max_tokens: int = 24) -> Path:
    """Write a study file: the 2x2 on the demo model, or only its first conditions."""
    folder.mkdir(parents=True)
    parts = [SAMPLING.format(limit=limit, max_tokens=max_tokens)]
    for name, treatment in list(zip(CONDITIONS, TREATMENTS, strict=True))[:conditions]:
        parts.append(f'[[conditions]]\nname = "{name}"\nmodel = "demo"\nprompt_style = "qa"\n{treatment}\n')
    (folder / "prefbench.toml").write_text("\n".join(parts))
    return folder


def command(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "prefbench", "sample", "--study", str(folder), *arguments]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    done = subprocess.run(
        command(folder, *arguments), capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def records(folder: Path) -> dict[str, list[dict]]:
    """Return every response file's records in order of their ids, without the times; a doubled one stays double."""
    found = {}
    for path in sorted(folder.rglob("responses/*.jsonl")):
        lines = [{**orjson.loads(line), "timestamp": ""} for line in path.read_bytes().splitlines()]
        found[str(path.relative_to(folder))] = sorted(lines, key=lambda line: line["id"])
    return found


def manifests(folder: Path) -> dict[str, dict]:
    return {path.parent.name: read_json(path) for path in sorted(folder.glob("*/manifest.json"))}


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    """Return a study that one call has sampled, and what that call said."""
    folder = write_study(tmp_path_factory.mktemp("vllm") / "study")
    return folder, run(folder, "--json")


def test_the_whole_grid_is_sampled_in_one_pass(sampled):
    folder, said = sampled
    report = orjson.loads(said.stdout)
    assert report["backend"] == "vllm"
    assert [each["written"] for each in report["conditions"]] == [24] * 4
    files = records(folder)
    assert len(files) == 4 * 2 * 2
    assert all(len(lines) == 6 for lines in files.values())
    assert all(len(line["responses"]) == 3 for lines in files.values() for line in lines)
    by_condition = [[lines for name, lines in files.items() if name.startswith(each)] for each in CONDITIONS]
    assert all(one != other for i, one in enumerate(by_condition) for other in by_condition[:i])


def test_each_manifest_says_what_was_sampled_together_and_what_was_steered(sampled):
    folder, _ = sampled
    for name, manifest in manifests(folder).items():
        (done,) = manifest["runs"]
        assert done["sampled_with"] == list(CONDITIONS)
        assert done["records_written"] == 24
        assert done["backend"]["versions"]["vllm"]
        assert manifest["settings"]["backend"] == "vllm"
        assert manifest["settings"]["seeded"] is True
        assert ("steering_checks" in done) == ("steered_tokens" in done) == (name in CONDITIONS[2:])
        for figures in done.get("steered_tokens", {}).values():
            for kind in ("last", "answer"):
                (found,) = [value for key, value in figures.items() if kind in key]
                assert found["steered"] >= found["least"] > 0


def test_the_time_of_a_pass_is_shared_by_tokens(sampled):
    folder, _ = sampled
    runs = [manifest["runs"][0] for manifest in manifests(folder).values()]
    speeds = [each["tokens"] / each["seconds"] for each in runs]
    assert max(speeds) == pytest.approx(min(speeds), rel=0.02)


def test_greedy_answers_of_all_four_conditions_are_those_of_hf(tmp_path):
    both = [write_study(tmp_path / name, max_tokens=32) for name in ("vllm", "hf")]
    for folder in both:
        run(folder, "--temps", "0", "--n-samples", "1", "--backend", folder.name)
    assert records(both[0]) == records(both[1])


def test_a_second_run_does_nothing_and_a_missing_record_comes_out_the_same(sampled):
    folder, _ = sampled
    before = records(folder)
    began = time.monotonic()
    again = orjson.loads(run(folder, "--json").stdout)
    assert [(each["written"], each["kept"]) for each in again["conditions"]] == [(0, 24)] * 4
    assert time.monotonic() - began < 60
    for name, cut in ((CONDITIONS[0], 2), (CONDITIONS[3], 4)):
        path = next((folder / name / "responses").glob("ethical*_t1.0_n3.jsonl"))
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:-cut]) + lines[-cut][:50])
    filled = orjson.loads(run(folder, "--json").stdout)
    assert [each["written"] for each in filled["conditions"]] == [2, 0, 0, 4]
    assert records(folder) == before


def test_stdout_has_the_result_and_nothing_of_vllm(tmp_path):
    folder = write_study(tmp_path / "study", conditions=1, limit=2)
    done = run(folder)
    (line,) = done.stdout.splitlines()
    assert "8 records sampled" in line
    for noise in ("INFO", "WARNING", "Loading safetensors", "torch"):
        assert noise not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_fault_is_one_line_and_leaves_no_records(tmp_path):
    folder = write_study(tmp_path / "study", conditions=1, limit=2)
    done = subprocess.run(
        command(folder, "--engine", "max_model_len=99999"),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("prefbench: vLLM cannot run model")
    assert Path(line.rpartition("its log: ")[2]).exists()
    assert "Traceback" not in done.stderr
    assert not records(folder)


def written(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("responses/*.jsonl"))


def interrupt(folder: Path, how: int, bytes_more: float, wait: float = 0.0) -> tuple[int, str]:
    """Start the command, send a signal when it has written so much and `wait` seconds more; return code and stderr."""
    enough = written(folder) + bytes_more
    process = subprocess.Popen(command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and written(folder) <= enough:
        time.sleep(0.002)
    time.sleep(wait)
    if process.poll() is None:
        os.kill(process.pid, how)
    _, remarks = process.communicate(timeout=120)
    return process.returncode, remarks


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(tmp_path):
    folder, smooth = (write_study(tmp_path / name, conditions=2, limit=60) for name in ("rough", "smooth"))
    code, remarks = interrupt(folder, signal.SIGINT, 0.0)
    assert code == 130
    assert LINE_OF_INTERRUPT in remarks
    assert "Traceback" not in remarks
    kept = sum(map(len, records(folder).values()))
    assert 0 < kept < 2 * 2 * 2 * 60
    run(folder)
    run(smooth)
    assert records(folder) == records(smooth)


def test_ctrl_c_in_a_terminal_does_not_end_the_processes_of_the_engine(tmp_path):
    """A terminal sends it to all; on a GPU the engine has a process of its own, as it is made to have here."""
    folder, smooth = (write_study(tmp_path / name, conditions=1, limit=60) for name in ("rough", "smooth"))
    with subprocess.Popen(
        command(folder),
        env=os.environ | {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        while process.poll() is None and not written(folder):
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGINT)
        _, remarks = process.communicate(timeout=120)
    assert process.returncode == 130
    assert LINE_OF_INTERRUPT in remarks
    run(folder)
    run(smooth)
    assert records(folder) == records(smooth)


def check_kills(tmp_path: Path, count: int, *, limit: int, conditions: int) -> None:
    rough, smooth = (
        write_study(tmp_path / name, limit=limit, conditions=conditions) for name in ("rough", "smooth")
    )
    run(smooth)
    whole = written(smooth)
    generator = random.Random(count)
    killed = 0
    for left in range(count, 0, -1):
        share = generator.uniform(0, (whole - written(rough)) / (left + 1))
        code, _ = interrupt(rough, signal.SIGKILL, share, wait=generator.uniform(0, 0.02))
        killed += code == -signal.SIGKILL
    lacking = sum(map(len, records(smooth).values())) - sum(map(len, _whole(rough).values()))
    run(rough)
    assert records(rough) == records(smooth)
    assert killed == count, "the kills came too late to interrupt anything"
    assert lacking > 0


def _whole(folder: Path) -> dict[str, list[bytes]]:
    return {
        str(path): [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        for path in folder.rglob("responses/*.jsonl")
    }


def test_three_kills_lose_and_double_nothing(tmp_path):
    check_kills(tmp_path, 3, limit=80, conditions=4)


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_twenty_kills_lose_and_double_nothing(tmp_path):
    check_kills(tmp_path, 20, limit=250, conditions=2)
