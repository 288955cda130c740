"""Judges and backends of other packages are found by the name in their entry point, as if they were built in."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from studies import write_responses

from prefbench.backends import choose_backend, open_backend
from prefbench.errors import ConfigError, MissingExtraError
from prefbench.judge import judge_responses
from prefbench.judges import open_judge
from prefbench.scores import load_scores

MODULE = """
from prefbench.backends import Completion, Output
from prefbench.judges import Judgement

class FirstWordJudge:
    name = "first-word"
    def __init__(self, *, word="I"):
        self.word = word
    def describe(self):
        return {"name": self.name, "word": self.word}
    def judge(self, records):
        for record in records:
            verdicts = tuple("Y" if each.text.startswith(self.word) else "N" for each in record.responses)
            yield Judgement(record.key, verdicts, (None,) * len(verdicts), ("opening",) * len(verdicts))

class EchoBackend:
    supports = frozenset({"seed"})
    block = 1
    def __init__(self, model, *, prefix=""):
        self.prefix = prefix
    def identify(self, treatment):
        return {"weights": "none"}
    def describe(self):
        return {"prefix": self.prefix}
    def generate(self, requests):
        for request in requests:
            yield Completion(request, tuple(Output(self.prefix + request.prompt, "stop", 1) for _ in range(request.n)))
"""
ENTRY_POINTS = """
[prefbench.judges]
first-word = outside_package:FirstWordJudge
[prefbench.backends]
echo = outside_package:EchoBackend
"""


@pytest.fixture
def outside(tmp_path, monkeypatch) -> Path:
    """Put a package with a judge and a backend on the path, as pip would have installed it."""
    site = tmp_path / "site"
    information = site / "outside_package-1.0.dist-info"
    information.mkdir(parents=True)
    (site / "outside_package.py").write_text(MODULE)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-package\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(site))
    yield tmp_path
    sys.modules.pop("outside_package", None)


def test_a_judge_of_another_package_is_found_by_its_name(outside):
    write_responses(outside / "study" / "condition_1_base", lambda *_: "YYN")
    judge_responses(outside / "study", judge="first-word")
    frame = load_scores(outside / "study")
    assert frame["judge"].unique().to_list() == ["first-word"]
    assert set(frame["yes"]) == {3}  # both kinds of answer begin with I
    with pytest.raises(ConfigError, match="did you mean 'word'"):
        open_judge("first-word", options={"wrd": "It"})


def test_a_backend_of_another_package_is_found_by_its_name(outside):
    from prefbench.sample import sample_prompts

    report = sample_prompts(
        outside / "study",
        model="m",
        backend="echo",
        backend_options={"prefix": "> "},
        limit=2,
        n_samples=2,
        temps=[1.0],
    )
    assert report.conditions[0].written == 16
    with pytest.raises(ConfigError, match="does not support system_prompt"):
        sample_prompts(outside / "other", model="m", backend="echo", system_prompt="Be plain.", limit=1)


def test_auto_says_which_backend_it_took_and_why(monkeypatch):
    lacking = {}
    monkeypatch.setattr("prefbench.backends.registry._missing_modules", lambda name: lacking.get(name, []))
    assert choose_backend("auto") == ("vllm", "vLLM is installed")
    lacking["vllm"] = ["vllm"]
    assert choose_backend("auto") == ("hf", "vLLM is not installed (vllm not found)")
    lacking["hf"] = ["torch"]
    with pytest.raises(MissingExtraError, match=r"pip install 'prefbench\[hf\]'"):
        choose_backend("auto")
    with pytest.raises(MissingExtraError, match=r"pip install 'prefbench\[hf\]'"):
        open_backend("hf", "model", options={})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"batch": "maybe"}, "option batch of judge 'openai' takes true or false, not 'maybe'"),
        ({"per_response": 1}, "takes true or false, not 1"),
        ({"rubric": 5}, "option rubric of judge 'openai' takes text, not 5"),
        ({"timeout": "soon"}, "option timeout of backend 'openai' takes a number, not 'soon'"),
        ({"concurrency": 2.5}, "takes a whole number, not 2.5"),
        ({"batch_items": 0}, "batch_items 0 must be a number of 1 or more"),
        ({"name": "../elsewhere"}, "use letters, digits"),
        ({"name": "a/b"}, "use letters, digits"),
        ({"name": "published"}, "stands for a release's own scores"),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_anything_is_sent(options, told):
    """A word for a flag would be taken as yes, and scores in a folder of another place would be lost."""
    with pytest.raises(ConfigError, match=told):
        open_judge("openai", options={"model": "m", "base_url": "http://127.0.0.1:9/v1", **options})


def test_numbers_of_numpy_and_paths_are_numbers_and_texts():
    options = {"concurrency": np.int64(3), "timeout": 5, "price": "1/2"}
    judge = open_judge("openai", options={"model": "m", "base_url": "http://127.0.0.1:9/v1", **options})
    assert judge.concurrency == 3
