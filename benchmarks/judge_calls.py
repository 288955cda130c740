"""What a judge's calls cost us beside the SDK's own cost, against a local server with 50 ms latency.

    python benchmarks/judge_calls.py [records]

Four figures: our CPU per live call above the bare SDK's in the same run (the SDK sends the same bodies, as many at
once); 8,400 records (the published grid) at a concurrency of 256; one call a record against one a response; how much
more is sent than the rubric and the texts. The
server is a process of its own; records have 10 answers of about 60 words. CPU is this process's, threads included.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS))

from judge_speed import SENTENCES, read_prompts  # noqa: E402

from prefbench.backends import open_backend  # noqa: E402
from prefbench.judge import judge_responses  # noqa: E402
from prefbench.judges import open_judge  # noqa: E402
from prefbench.records import Response, ResponseRecord  # noqa: E402
from prefbench.store import Appender, read_models  # noqa: E402

LATENCY = 0.05
SAMPLES = 10
WHOLE_GRID = 8_400
PROVIDERS = {"openai": "/v1", "anthropic": ""}


@contextmanager
def serve() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "servers.provider", str(port), str(LATENCY)]
    process = subprocess.Popen(command, cwd=TESTS)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def write_study(folder: Path, count: int) -> Path:
    rng = random.Random(20_260)
    prompts = [
        each for each in read_prompts() if each["domain"] not in ("binary_preference", "word_association")
    ]
    with Appender(
        folder / "condition_1_base" / "responses" / "aesthetic_preference_t1.0_n10.jsonl"
    ) as appender:
        for number in range(count):
            item = prompts[number % len(prompts)]
            options = item.get("options") or ["the quiet one"]
            texts = [
                " ".join(rng.choice(SENTENCES).format(option=rng.choice(options)) for _ in range(4))
                for _ in range(SAMPLES)
            ]
            fixed = {
                "id": f"{number}",
                "domain": "aesthetic_preference",
                "temperature": 1.0,
                "n_samples": SAMPLES,
            }
            rest = {"tags": [], "timestamp": "", "responses": [Response(text=text) for text in texts]}
            appender.append([ResponseRecord.model_validate({**item, **fixed, **rest})])
    return folder


def requests_of(study: Path, provider: str, url: str) -> tuple[list[dict], list[list[str]]]:
    """Return the arguments of the SDK's calls that the judge makes, and the prompt and responses of each record."""
    options = {"model": "m", "base_url": url + PROVIDERS[provider]}
    judge = open_judge(provider, options=options)
    backend = open_backend(provider, "m", options={"base_url": options["base_url"]})
    paths = (study / "condition_1_base" / "responses").iterdir()
    records = [record for path in paths for _, record in read_models(path, ResponseRecord)]
    asked = [request for request, _ in judge.first_requests(records)]
    return [plain_arguments(backend, request) for request in asked], [
        [record.prompt, *(response.text for response in record.responses)] for record in records
    ]


def plain_arguments(backend, request) -> dict:
    """Return the arguments as a user of the SDK would give them."""
    body = backend.body(request)
    extra = {name: body.pop(name) for name in ("temperature",) if backend.provider == "anthropic"}
    return body | ({"extra_body": extra} if extra else {})


async def call_bare(provider: str, url: str, bodies: list[dict], concurrency: int) -> None:
    import anthropic
    import httpx2
    import openai

    limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    http = openai.DefaultAsyncHttpxClient(limits=limits)
    client_class = openai.AsyncOpenAI if provider == "openai" else anthropic.AsyncAnthropic
    waiting = iter(bodies)
    async with client_class(api_key="none", base_url=url + PROVIDERS[provider], http_client=http) as client:
        create = client.chat.completions.create if provider == "openai" else client.messages.create

        async def work() -> None:
            for body in waiting:
                await create(**body)

        await asyncio.gather(*(work() for _ in range(concurrency)))


def measure(action) -> tuple[float, float]:
    """Return (CPU, wall) seconds."""
    cpu, wall = time.process_time(), time.monotonic()
    action()
    return time.process_time() - cpu, time.monotonic() - wall


def judge(study: Path, provider: str, url: str, name: str, **options) -> list:
    chosen = {"model": "m", "base_url": url + PROVIDERS[provider], "name": name, **options}
    return judge_responses(study, judge=provider, judge_options=chosen)


def compare_with_sdk(folder: Path, provider: str, url: str, count: int) -> None:
    study = write_study(folder / provider, count)
    bodies, _ = requests_of(study, provider, url)
    asyncio.run(call_bare(provider, url, bodies[:50], 10))  # imports and caches, before anything is measured
    judge(write_study(folder / f"{provider}-warm", 20), provider, url, "warm")
    bare, ours = [], []
    for round_ in range(3):
        bare.append(measure(lambda: asyncio.run(call_bare(provider, url, bodies, 64))))
        name = f"round{round_}"
        ours.append(measure(lambda name=name: judge(study, provider, url, name, concurrency=64)))
    (bare_cpu, bare_wall), (our_cpu, our_wall) = min(bare), min(ours)
    per_call = 1e3 / count
    print(
        f"{provider}: {count} calls, 64 at once: bare SDK {bare_cpu * per_call:.2f} ms CPU a call ({bare_wall:.1f} s), "
        f"judge {our_cpu * per_call:.2f} ms ({our_wall:.1f} s): {(our_cpu - bare_cpu) * per_call:+.2f} ms above the SDK"
    )


def judge_whole_grid(folder: Path, provider: str, url: str, count: int) -> None:
    study = write_study(folder / f"grid-{provider}", count)
    bodies, _ = requests_of(study, provider, url)
    bare_cpu, bare_wall = measure(lambda: asyncio.run(call_bare(provider, url, bodies, 256)))
    cpu, wall = measure(lambda: judge(study, provider, url, "grid", concurrency=256))
    print(
        f"{provider}: {count:,} records, 256 at once: {wall:.1f} s ({count / wall:,.0f} records/s), CPU {cpu:.1f} s; "
        f"bare SDK {bare_wall:.1f} s, CPU {bare_cpu:.1f} s; {wall / bare_wall:.2f} of the bare SDK's time"
    )


def compare_per_response(folder: Path, url: str, count: int) -> None:
    study = write_study(folder / "saving", count)
    tokens = {}
    for name, single in (("record", False), ("response", True)):
        (report,) = judge(study, "openai", url, name, per_response=single)
        tokens[name] = (report.calls, report.tokens)
    (calls, whole), (more_calls, single) = tokens["record"], tokens["response"]
    print(
        f"one call a record: {calls:,} calls, {whole:,} tokens; one a response: {more_calls:,} calls, {single:,} "
        f"tokens: {more_calls / calls:.1f}x the calls, {single / whole:.1f}x the tokens"
    )
    bodies, texts = requests_of(study, "openai", url)
    for unit, count_units in (("characters", len), ("tokens of the demo model's tokenizer", demo_tokens())):
        rubric = count_units(bodies[0]["messages"][0]["content"])
        sent = sum(count_units(body["messages"][1]["content"]) for body in bodies) / count
        needed = sum(count_units(text) for record in texts for text in record) / count
        print(
            f"{unit} a record: rubric {rubric:,} (cached), message {sent:,.0f} for prompt and responses of "
            f"{needed:,.0f}: {(rubric + sent) / (rubric + needed):.3f} x (rubric + responses), "
            f"{(rubric / 10 + sent) / (rubric / 10 + needed):.3f} x with the rubric at a tenth, its price when cached"
        )


def demo_tokens() -> Callable[[str], int]:
    from transformers import AutoTokenizer

    from prefbench.demo_model import demo_model_path

    tokenizer = AutoTokenizer.from_pretrained(demo_model_path(), model_max_length=10**6)
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


def main() -> None:
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        os.environ[variable] = ""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    grid = WHOLE_GRID if len(sys.argv) < 2 else count
    with tempfile.TemporaryDirectory() as name, serve() as url:
        folder = Path(name)
        for provider in PROVIDERS:
            compare_with_sdk(folder, provider, url, count)
        for provider in PROVIDERS:
            judge_whole_grid(folder, provider, url, grid)
        compare_per_response(folder, url, min(300, count))


if __name__ == "__main__":
    main()
