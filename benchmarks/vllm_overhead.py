"""What prefbench adds to vLLM: speed against a bare `LLM.generate`, own CPU time, one engine for four cells, memory.

Five parts, each with both of its sides in one run:
- speed: a study's grid through `sample_prompts` against `LLM.generate` on the same prompts, n, lengths and seeds,
  alternating; a random Qwen3 of about 30 M parameters, large enough that the engine dominates.
- seeds: seeded against unseeded answers in one engine, alternating.
- own: CPU time of prefbench alone, the engine taken out: recorded outputs are replayed to it.
- cells: the four cells of a 2x2 from one engine against an engine started for each.
- memory: resident memory after a tenth of 100,000 prompts and after all of them.

Needs vLLM; on a CPU with one thread: OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from random_models import write_random_model

os.environ.setdefault("HF_HUB_OFFLINE", "1")

PROMPTS = 48
SAMPLES = 10
MAX_TOKENS = 32
TEMPERATURES = (0.7, 1.0)
SEQUENCES = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", default=["speed", "seeds", "own", "cells", "memory"])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--hidden", type=int, default=448)
    parser.add_argument("--prompts", type=int, default=100_000, help="of the memory part")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "random"
        print(f"random Qwen3, {write_random_model(model, options.hidden) / 1e6:.1f} M parameters")
        for part in options.parts:
            print(f"-- {part}")
            if part == "speed":
                compare_speed(model, Path(folder), pairs=options.pairs)
            elif part == "seeds":
                compare_seeds(model, pairs=options.pairs)
            elif part == "own":
                measure_own(model, Path(folder), rounds=options.pairs)
            elif part == "cells":
                compare_cells(Path(folder))
            else:
                measure_memory(options.prompts)


def compare_speed(model: Path, folder: Path, *, pairs: int) -> None:
    """Alternate the two sides; both engines live in this process, with the same settings."""
    from prefbench.backends import open_backend
    from prefbench.backends.vllm.arguments import platform_arguments
    from prefbench.backends.vllm.engine import SingleEngine

    backend = open_backend("vllm", str(model), options={"max_num_seqs": SEQUENCES})
    with kept_open(backend):
        sample(folder / "warm", model)
        jobs = record_jobs(lambda: sample(folder / "recorded", model))
        from vllm import LLM

        bare = LLM(str(model), max_num_seqs=SEQUENCES, disable_log_stats=True, **platform_arguments({}))
        prompts = [{"prompt_token_ids": list(job.ids)} for job in jobs]
        parameters = [job.parameters for job in jobs]

        def generate() -> int:
            outputs = bare.generate(prompts, parameters, use_tqdm=False)
            return sum(len(each.token_ids) for output in outputs for each in output.outputs)

        generate()
        count = iter(range(10**6))
        sides: dict[str, Callable[[], int]] = {
            "bare": generate,
            "prefbench": lambda: sample(folder / f"run{next(count)}", model),
        }
        assert isinstance(backend._engine, SingleEngine)
        ratios, cpu_ratios = alternate(sides, pairs)
    report("tokens/s of prefbench, as a share of bare vLLM's", ratios, cpu_ratios)


def compare_seeds(model: Path, *, pairs: int) -> None:
    from prefbench.backends import Request, Sampling, Treatment, open_backend
    from prefbench.records import RecordKey

    backend = open_backend("vllm", str(model), options={"max_num_seqs": SEQUENCES})
    treatment = Treatment("condition_1_base", "completion")
    backend.identify(treatment)
    sampling = Sampling(1.0, 1.0, MAX_TOKENS)
    requests = [
        Request(
            RecordKey("synthetic", str(number), 1.0), f"Prompt {number}", SAMPLES, number, sampling, treatment
        )
        for number in range(PROMPTS)
    ]

    def run(seeded: bool) -> int:
        backend._seeded = seeded  # type: ignore[attr-defined]
        return sum(output.tokens for done in backend.generate(requests) for output in done.outputs)

    run(True)
    ratios, cpu_ratios = alternate({"unseeded": lambda: run(False), "seeded": lambda: run(True)}, pairs)
    backend.close()  # type: ignore[attr-defined]
    report("tokens/s of seeded answers, as a share of unseeded ones", ratios, cpu_ratios)


def alternate(sides: dict[str, Callable[[], int]], pairs: int) -> tuple[list[float], list[float]]:
    """Return the ratios second/first of tokens a second and of tokens a CPU second, pair by pair."""
    ratios, cpu_ratios = [], []
    for pair in range(pairs):
        found = {}
        for name in list(sides) if pair % 2 else reversed(list(sides)):
            wall, cpu = time.perf_counter(), time.process_time()
            tokens = sides[name]()
            found[name] = (
                tokens / (time.perf_counter() - wall),
                tokens / (time.process_time() - cpu),
                tokens,
            )
        first, second = (found[name] for name in sides)
        if first[2] != second[2] and "bare" in sides:
            print(f"  the sides generated {first[2]} and {second[2]} tokens")
        ratios.append(second[0] / first[0])
        cpu_ratios.append(second[1] / first[1])
        print("  " + ", ".join(f"{name} {found[name][0]:,.0f} tok/s" for name in sides))
    return ratios, cpu_ratios


def report(what: str, ratios: Sequence[float], cpu_ratios: Sequence[float]) -> None:
    def describe(values: Sequence[float]) -> str:
        return f"{statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"

    print(f"{what}: wall {describe(ratios)}, CPU {describe(cpu_ratios)}, {len(ratios)} pairs")


@contextlib.contextmanager
def kept_open(backend: Any) -> Iterator[None]:
    """Within the block, every study is sampled with this one backend, which stays open."""
    import prefbench.sample as module

    before = module.open_backend, module.close_backend
    module.open_backend, module.close_backend = (lambda *_a, **_k: backend), (lambda _backend: None)
    try:
        yield
    finally:
        module.open_backend, module.close_backend = before
        backend.close()


def sample(study: Path, model: Path) -> int:
    """Sample the grid into a new study; return the number of tokens."""
    from prefbench.sample import sample_prompts

    done = sample_prompts(
        study,
        model=str(model),
        temps=TEMPERATURES,
        n_samples=SAMPLES,
        max_tokens=MAX_TOKENS,
        limit=PROMPTS // 8,
        prompt_style="completion",
        backend="vllm",
    )
    return sum(each.tokens for each in done.conditions)


def record_jobs(run: Callable[[], object]) -> list[Any]:
    """Return what is submitted to the engine while something runs."""
    from prefbench.backends.vllm.engine import SingleEngine

    jobs: list[Any] = []
    submit = SingleEngine.submit

    def recording(self: SingleEngine, job: Any) -> str:
        jobs.append(job)
        return submit(self, job)

    SingleEngine.submit = recording  # type: ignore[method-assign]
    try:
        run()
    finally:
        SingleEngine.submit = submit  # type: ignore[method-assign]
    return jobs


class Replay:
    """Stands in for an engine: gives back recorded outputs at once."""

    def __init__(self, config: Any, outputs: Sequence[Any]) -> None:
        self.config = config
        self._outputs = list(outputs)
        self._waiting: list[tuple[str, Any]] = []
        self._count = 0

    def submit(self, _job: Any) -> str:
        """Take the next recorded output for the job's."""
        name = str(self._count)
        self._waiting.append((name, self._outputs[self._count % len(self._outputs)]))
        self._count += 1
        return name

    def poll(self) -> list[tuple[str, Any]]:
        """Give back a step's worth of outputs."""
        done, self._waiting = self._waiting[:16], self._waiting[16:]
        return done

    def abort(self, names: Sequence[str]) -> None:
        """Forget nothing."""

    def close(self) -> None:
        """Hold nothing."""


def measure_own(model: Path, folder: Path, *, rounds: int) -> None:
    from prefbench.backends import open_backend
    from prefbench.backends.vllm.engine import SingleEngine

    backend = open_backend("vllm", str(model), options={"max_num_seqs": SEQUENCES})
    outputs: list[Any] = []
    poll = SingleEngine.poll

    def recording(self: SingleEngine) -> list[tuple[str, Any]]:
        done = poll(self)
        outputs.extend(output for _, output in done)
        return done

    with kept_open(backend):
        SingleEngine.poll = recording  # type: ignore[method-assign]
        sample(folder / "own", model)
        SingleEngine.poll = poll  # type: ignore[method-assign]
        backend._engine = Replay(backend._engine.config, outputs)
        costs = []
        for turn in range(rounds):
            before = time.process_time()
            sample(folder / f"own{turn}", model)
            answers = PROMPTS * len(TEMPERATURES) * SAMPLES
            costs.append((time.process_time() - before) / answers * 1e6)
    print(
        f"own CPU per answer of {MAX_TOKENS} tokens: median {statistics.median(costs):.0f} microseconds "
        f"({min(costs):.0f} to {max(costs):.0f}), opening the study and its files included"
    )


def compare_cells(folder: Path) -> None:
    """The demo's four conditions: one pass over one engine, then each with an engine of its own."""
    from prefbench.demo import write_demo_study
    from prefbench.sample import sample_prompts

    seconds = {}
    for name, calls in {"one engine": [None], "four engines": ["1", "2", "3", "4"]}.items():
        study = folder / name.replace(" ", "-")
        study.mkdir()
        write_demo_study(study, limit=12)
        started = time.perf_counter()
        for condition in calls:
            done = sample_prompts(study, condition=condition, backend="vllm")
        seconds[name] = time.perf_counter() - started
        del done
        print(f"  {name}: {seconds[name]:.1f} s, starts and checks included")
    print(f"four engines take {seconds['four engines'] / seconds['one engine']:.2f} x the time of one")


def measure_memory(prompts: int) -> None:
    from prefbench.backends import Request, Sampling, Treatment, open_backend
    from prefbench.demo_model import demo_model_path
    from prefbench.records import RecordKey

    backend = open_backend("vllm", str(demo_model_path()), options={"max_num_seqs": 256})
    treatment = Treatment("condition_1_base")
    backend.identify(treatment)

    def requests() -> Iterator[Request]:
        for number in range(prompts):
            key = RecordKey("synthetic", str(number), 1.0)
            yield Request(key, f"Prompt number {number}", 1, number, Sampling(1.0, 1.0, 1), treatment)

    marks = {prompts // 10, prompts // 2, prompts}
    started = time.perf_counter()
    for done, _ in enumerate(backend.generate(requests()), start=1):
        if done in marks:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"  after {done:,} prompts: peak {peak:,.0f} MiB, {time.perf_counter() - started:.0f} s")
    backend.close()


if __name__ == "__main__":
    main()
