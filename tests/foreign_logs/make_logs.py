"""Make the logs in this folder with inspect_ai 0.3.285 and lm-eval 0.4.13, in an environment that has both.

    python tests/foreign_logs/make_logs.py

The answers are fixed here, so that the tests know them; no model and no network is used. Transcripts and
tracebacks are taken out by inspect_ai's own reader and writer: they are long and name folders of this machine.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PROMPTS = {
    "a": {
        "input": "Rain or sun?",
        "metadata": {"domain": "weather", "format": "binary_choice", "topic": "sky"},
    },
    "b": {
        "input": "Which colour would you paint this door?",
        "metadata": {"domain": "homes", "topic": "door"},
    },
}
ANSWERS = {
    ("a", 1): ("Rain.", "stop"),
    ("a", 2): ("It depends.", "stop"),
    ("a", 3): ("", "stop"),
    ("b", 1): ("Green, since it is calm and goes with", "max_tokens"),
    ("b", 2): None,  # fails
    ("b", 3): ("Blue.", "stop"),
}


def make_inspect_logs(folder: Path) -> None:  # noqa: C901 - its parts belong to one task
    from inspect_ai import Task
    from inspect_ai import eval as evaluate
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.log import read_eval_log, write_eval_log
    from inspect_ai.model import ChatMessageAssistant, ModelOutput, ModelUsage
    from inspect_ai.scorer import Score, accuracy, scorer
    from inspect_ai.solver import solver, system_message

    @solver
    def canned():
        async def solve(state, generate):
            answer = ANSWERS[(str(state.sample_id), state.epoch)]
            if answer is None:
                raise ConnectionError("the server went away")
            text, reason = answer
            state.output = ModelOutput.from_content("canned/one", text, stop_reason=reason)
            state.output.usage = ModelUsage(output_tokens=len(text.split()) + 1)
            state.messages.append(ChatMessageAssistant(content=text))
            return state

        return solve

    @scorer(metrics=[accuracy()])
    def commits():
        async def score(state, target):
            text = state.output.completion
            if not text:
                return Score(value=float("nan"), explanation="nothing to read")
            return Score(value="I" if "depends" in text else "C", explanation="read by its words")

        return score

    def run(name: str, **options) -> None:
        samples = [Sample(id=key, target="", **value) for key, value in PROMPTS.items()]
        task = Task(
            dataset=MemoryDataset(samples),
            solver=[system_message("Answer briefly."), canned()],
            scorer=commits(),
            epochs=3,
            name="preferences",
        )
        kinds = {"log_dir": str(folder), "display": "none", "max_samples": 1, "log_format": "eval"}
        settings = {"temperature": 0.7, "max_tokens": 8, "top_p": 0.95}
        log = evaluate(task, model="mockllm/model", **kinds, **settings, **options)[0]
        log = read_eval_log(log.location)
        for sample in log.samples or []:
            sample.events, sample.attachments, sample.events_data = [], {}, None
            if sample.error:
                sample.error.traceback = sample.error.traceback_ansi = ""
            for retry in sample.error_retries or []:
                retry.traceback = retry.traceback_ansi = ""
        if log.error:
            log.error.traceback = log.error.traceback_ansi = ""
        log.eval.revision = None
        for suffix in (".eval", ".json"):
            write_eval_log(log, str(HERE / f"{name}{suffix}"))

    run("whole", fail_on_error=False)
    run("failed", fail_on_error=True)


def make_lm_eval_samples(folder: Path) -> None:
    from lm_eval import evaluator
    from lm_eval.api.model import LM
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    docs = [
        {"id": key, "question": each["input"], "domain": each["metadata"]["domain"], "target": ""}
        for key, each in PROMPTS.items()
    ]
    (folder / "docs.json").write_text("\n".join(map(json.dumps, docs)))
    shared = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "docs.json")}},
        "test_split": "test",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{target}}",
    }
    generate = shared | {
        "output_type": "generate_until",
        "generation_kwargs": {"until": ["\n\n"], "do_sample": True, "temperature": 0.7, "max_gen_toks": 8},
    }
    strict = {"name": "strict", "filter": [{"function": "take_first"}]}
    loose = {"name": "loose", "filter": [{"function": "lowercase"}, {"function": "take_first"}]}
    tasks = [
        generate | {"task": "repeated", "repeats": 3, "metric_list": [{"metric": "bypass"}]},
        generate
        | {"task": "filtered", "metric_list": [{"metric": "exact_match"}], "filter_list": [strict, loose]},
        shared
        | {
            "task": "choices",
            "output_type": "multiple_choice",
            "doc_to_choice": ["yes", "no"],
            "doc_to_target": "0",
        },
    ]

    class Canned(LM):
        """Says what is written above; the answer that fails is None, as a server's empty message is."""

        def __init__(self) -> None:
            super().__init__()
            self.asked: dict[str, int] = {}

        def generate_until(self, requests, disable_tqdm=False):
            keys = {each["input"]: key for key, each in PROMPTS.items()}
            answers = []
            for request in requests:
                key = keys[request.args[0]]
                self.asked[key] = self.asked.get(key, 0) + 1
                answer = ANSWERS[(key, self.asked[key])]
                answers.append(answer[0] if answer else None)
            return answers

        def loglikelihood(self, requests, disable_tqdm=False):
            return [(-1.0, True) for _ in requests]

        def loglikelihood_rolling(self, requests, disable_tqdm=False):
            return [(-1.0,) for _ in requests]

    for task in tasks:
        tracker = EvaluationTracker(output_path=str(folder / "out"))
        tracker.general_config_tracker.model_name = "canned/one"
        tracker.general_config_tracker.model_name_sanitized = "canned__one"
        found = evaluator.simple_evaluate(
            model=Canned(), tasks=[task], task_manager=TaskManager(include_defaults=False), log_samples=True,
            bootstrap_iters=0, verbosity="ERROR",
        )  # fmt: skip
        samples = found.pop("samples")
        tracker.save_results_aggregated(results=found, samples=samples)
        for name, rows in samples.items():
            tracker.save_results_samples(task_name=name, samples=rows)
    for path in (folder / "out").rglob("*.json*"):
        text = path.read_text().replace(str(folder), "folder")
        if path.suffix == ".json":
            content = json.loads(text)
            kept = ("results", "configs", "n-shot", "n-samples", "config", "model_name", "system_instruction",
                    "lm_eval_version", "chat_template_sha")  # fmt: skip
            text = json.dumps({name: content[name] for name in kept if name in content}, indent=1)
        (HERE / path.name).write_text(text)


if __name__ == "__main__":
    for old in (*HERE.glob("*.eval"), *HERE.glob("*.json*")):
        old.unlink()
    with tempfile.TemporaryDirectory() as scratch:
        make_inspect_logs(Path(scratch))
        make_lm_eval_samples(Path(scratch))
    sys.stdout.write("".join(f"{path.name} {path.stat().st_size}\n" for path in sorted(HERE.iterdir())))
