"""Both SDKs against a real vLLM server of the demo model on loopback, as a judge and as a sampler."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import orjson
import pytest
from studies import make_items, write_responses
from vllm_engines import VLLM_MARKS

from prefbench.demo_model import demo_conditions_path, demo_model_path
from prefbench.judge import judge_responses
from prefbench.records import ResponseRecord, ScoredRecord
from prefbench.sample import sample_prompts
from prefbench.store import read_models

pytestmark = [*VLLM_MARKS, pytest.mark.long, pytest.mark.timeout(900)]
ADAPTER = next(path.parent for path in demo_conditions_path().rglob("adapter_config.json"))
LORA_MODULES = orjson.loads((ADAPTER / "adapter_config.json").read_bytes())["target_modules"]
QUIET = {
    "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Yield the address of a vLLM server that has the demo model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # the demo model was trained on 512 tokens; for the format of an answer, a longer context does no harm
    context = ["--max-model-len", "4096", "--hf-overrides", '{"max_position_embeddings": 4096}']
    served = ["--model", str(demo_model_path()), "--served-model-name", "tiny", *context]
    quick = ["--enforce-eager", "--dtype", "float32", "--no-enable-chunked-prefill"]
    template = tmp_path_factory.mktemp("template") / "plain.jinja"  # the demo model has none
    template.write_text("{% for message in messages %}{{ message.content }}\n{% endfor %}")
    quick += ["--chat-template", str(template)]
    # a tiny model would fill every gap between two signs of JSON with blank lines
    quick += ["--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}']
    # one slot more than adapters: without it, a CPU gives the adapter to requests that asked for none
    lora = ["--enable-lora", "--lora-modules", f"dpo={ADAPTER}", "--max-loras", "2", "--max-lora-rank", "16"]
    quick += [*lora, "--lora-target-modules", *LORA_MODULES]
    module = "vllm.entrypoints.openai.api_server"
    command = [sys.executable, "-m", module, "--host", "127.0.0.1", "--port", str(port), *served, *quick]
    log = tmp_path_factory.mktemp("vllm") / "log.txt"
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_PROXY")} | QUIET
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def _wait_until_ready(url: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(log.read_text(errors="replace")[-3000:])


def short_rubric(folder: Path) -> Path:
    """Return a rubric that fits the demo model's context."""
    path = folder / "short.toml"
    path.write_text(
        'name = "short"\nversion = 1\ndate = "2026-01-01"\nquestion = "Q?"\nyes = "Y"\nno = "N"\n'
    )
    return path


@pytest.mark.parametrize("judge", ["claude", "openai"])
def test_structured_output_makes_even_the_demo_model_answer_in_the_schema(server, judge, tmp_path):
    items = make_items(3, ["aesthetic_preference"])
    write_responses(
        tmp_path / "condition_1_base", lambda *_: ["Y", "N", "Y"], items=items, temperatures=[1.0]
    )
    url = server if judge == "claude" else f"{server}/v1"
    options = {"base_url": url, "model": "tiny", "name": judge, "rubric": str(short_rubric(tmp_path))}
    (report,) = judge_responses(tmp_path, judge=judge, judge_options=options)
    place = tmp_path / "condition_1_base" / "scored" / judge
    details = [
        orjson.loads(line)
        for path in place.glob("*_details.jsonl")
        for line in path.read_bytes().splitlines()
    ]
    scored = [
        record for path in place.glob("*_scored.jsonl") for _, record in read_models(path, ScoredRecord)
    ]
    assert report.written == 3
    assert report.unreadable == 0, [each["details"] for each in details]
    assert all(len(record.raw_judgments) == 3 for record in scored)
    assert all(each["details"]["usage"]["output_tokens"] > 0 for each in details)


@pytest.mark.parametrize("backend", ["anthropic", "openai"])
def test_sampling_through_a_server(server, backend, tmp_path):
    report = sample_prompts(
        tmp_path,
        model="tiny",
        backend=backend,
        backend_options={"base_url": server if backend == "anthropic" else f"{server}/v1"},
        domains=["aesthetic_preference"],
        limit=4,
        n_samples=3,
        temps=[1.0],
        max_tokens=16,
        top_p=1.0,
    )
    assert [each.written for each in report.conditions] == [4]


def test_an_adapter_of_the_server_is_a_model_by_its_name(server, tmp_path):
    (tmp_path / "prefbench.toml").write_text(
        f"""
        [sampling]
        temperatures = [0.0]
        n_samples = 1
        max_tokens = 16
        top_p = 1.0
        domains = ["aesthetic_preference"]
        limit = 6
        [backend]
        name = "openai"
        options = {{ base_url = "{server}/v1" }}
        [[conditions]]
        name = "condition_1_base"
        model = "tiny"
        [[conditions]]
        name = "condition_2_dpo"
        model = "dpo"
        """
    )
    report = sample_prompts(tmp_path)
    assert [each.written for each in report.conditions] == [6, 6]
    base, dpo = (
        [
            record.responses[0].text
            for path in sorted((tmp_path / name / "responses").iterdir())
            for _, record in read_models(path, ResponseRecord)
        ]
        for name in ("condition_1_base", "condition_2_dpo")
    )
    assert sum(one != other for one, other in zip(sorted(base), sorted(dpo), strict=True)) >= 3


def test_a_prompt_longer_than_the_context_is_split_and_not_lost(server, tmp_path):
    items = make_items(1, ["aesthetic_preference"])
    (record,) = write_responses(
        tmp_path / "condition_1_base", lambda *_: ["Y"] * 8, items=items, temperatures=[1.0]
    )
    path = next((tmp_path / "condition_1_base" / "responses").iterdir())
    long = record.model_copy(
        update={"responses": [each.model_copy(update={"text": each.text * 60}) for each in record.responses]}
    )
    path.write_bytes(long.model_dump_json().encode() + b"\n")
    options = {
        "base_url": f"{server}/v1",
        "model": "tiny",
        "name": "o",
        "rubric": str(short_rubric(tmp_path)),
    }
    (report,) = judge_responses(tmp_path, judge="openai", judge_options=options)
    assert report.written == 1
    place = tmp_path / "condition_1_base" / "scored" / "o"
    (line,) = next(place.glob("*_details.jsonl")).read_bytes().splitlines()
    assert any("split after response" in note for note in orjson.loads(line)["details"]["notes"])
