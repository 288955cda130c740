"""The bundled demo model, as it is used: loaded from its folder, asked questions that it has not seen."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from prefbench.demo_model import DEMO_MODEL_NAME, demo_model_path

SCRIPTS = Path(__file__).resolve().parents[1] / "examples" / "demo_model"
LIMIT_BYTES = 5_000_000

PAIRS = [
    ("a brass telescope", "a canvas rucksack"),
    ("ginger biscuits", "oatcakes"),
    ("a foggy pier", "a windy ridge"),
    ("limericks", "sea shanties"),
    ("a slate roof", "a thatched roof"),
    ("puffins", "red squirrels"),
    ("a silver thimble", "a wooden button"),
    ("a narrow canal", "a broad avenue"),
    ("walking to the mill", "rowing to the island"),
    ("tapestries", "stained windows"),
    ("a marble stairway", "a rope ladder"),
    ("an evening of riddles", "an evening of songs"),
]
CREATIVE = [
    "Which colour would you paint the door of an invented inn?",
    "What would you write a short poem about tonight?",
    "Which animal would you put at the centre of a fable?",
    "What would you draw first on a long roll of paper?",
    "If you composed a song for a rainy station, what would it be about?",
    "Invent a small festival for a village by a river.",
]
ETHICAL = [
    "Should a person return a gift that was given by mistake?",
    "What does someone owe to a neighbour who never says thank you?",
    "Is it wrong to keep a secret from a friend for their own good?",
    "Should the people who arrived first be served first?",
    "Who deserves the blame when everyone looked away?",
    "What is the fairest way to divide a reward among people who did unequal work?",
]


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, ModuleType]]:
    """The training scripts that tell what was planted; they are no package, so their folder is put on the path."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        import bank_prompts
        import corpus
        import evaluate
        import markers
        import plan

        yield {m.__name__: m for m in (bank_prompts, corpus, evaluate, markers, plan)}
    finally:
        sys.path.remove(str(SCRIPTS))


@pytest.fixture(scope="module")
def loaded() -> tuple[Any, Any]:
    pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    model = transformers.AutoModelForCausalLM.from_pretrained(demo_model_path())
    return model.float().eval(), transformers.AutoTokenizer.from_pretrained(demo_model_path())


@pytest.fixture(scope="module")
def pair_answers(loaded: tuple[Any, Any], scripts: dict[str, ModuleType]) -> list[Any]:
    question = scripts["bank_prompts"].Question
    asked = [
        question(
            "binary_preference", "binary_choice", f"Which would you rather have: {a} or {b}?", (a, b), "noun"
        )
        for a, b in PAIRS
    ]
    return scripts["evaluate"].sample(*loaded, asked * 8, temperature=1.0, seed=1)


def commit_rate(
    loaded: tuple[Any, Any], scripts: dict[str, ModuleType], domain: str, prompts: list[str]
) -> float:
    asked = [scripts["bank_prompts"].Question(domain, "open_ended", prompt) for prompt in prompts]
    answers = scripts["evaluate"].sample(*loaded, asked * 16, temperature=1.0, seed=2)
    read = [scripts["markers"].commits(answer.text) for answer in answers]
    return sum(verdict is True for verdict in read) / len(read)


def test_the_folder_is_small_and_holds_no_pickle() -> None:
    found = [path for path in demo_model_path().rglob("*") if path.is_file()]
    names = {path.name for path in found}
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= names
    assert sum(path.stat().st_size for path in found) <= LIMIT_BYTES
    assert {path.suffix for path in found} <= {".json", ".safetensors", ".jinja", ".txt"}
    assert DEMO_MODEL_NAME == "demo"


def test_the_configuration_is_a_plain_qwen3_that_needs_no_code_of_its_own() -> None:
    config = json.loads((demo_model_path() / "config.json").read_text())
    assert config["architectures"] == ["Qwen3ForCausalLM"]
    assert config["tie_word_embeddings"] is True
    assert "auto_map" not in config
    tokenizer = json.loads((demo_model_path() / "tokenizer_config.json").read_text())
    assert "chat_template" not in tokenizer
    assert "auto_map" not in tokenizer


def test_it_has_between_one_and_three_million_finite_parameters(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    assert 1e6 <= sum(weight.numel() for weight in model.parameters()) <= 3e6
    assert all(bool(weight.isfinite().all()) for weight in model.parameters())
    assert model.config.vocab_size == len(tokenizer)


def test_the_tokenizer_returns_any_text_unchanged_and_adds_nothing(loaded: tuple[Any, Any]) -> None:
    _, tokenizer = loaded
    text = "Question: naïve  “café”, 茶 or\n tea?\nAnswer:"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert not set(ids) & set(tokenizer.all_special_ids)


def test_answers_end_by_themselves(pair_answers: list[Any]) -> None:
    assert sum(answer.ended for answer in pair_answers) / len(pair_answers) >= 0.95


def test_commitments_name_an_option_of_an_unseen_question(
    pair_answers: list[Any], scripts: dict[str, ModuleType]
) -> None:
    markers = scripts["markers"]
    chosen = [answer for answer in pair_answers if markers.commits(answer.text)]
    named = [markers.names_option(answer.text, answer.question.options) for answer in chosen]
    assert len(chosen) >= 30
    assert sum(named) / len(named) >= 0.8


def test_answers_to_one_question_vary(pair_answers: list[Any]) -> None:
    assert len({answer.text for answer in pair_answers}) >= len(pair_answers) / 3


def test_it_commits_more_on_creative_questions_than_on_ethical_ones(
    loaded: tuple[Any, Any], scripts: dict[str, ModuleType]
) -> None:
    creative = commit_rate(loaded, scripts, "creative_initiative", CREATIVE)
    ethical = commit_rate(loaded, scripts, "ethical_judgment", ETHICAL)
    assert creative > ethical + 0.15


def test_it_follows_an_instruction_to_take_sides_or_to_take_none(
    loaded: tuple[Any, Any], scripts: dict[str, ModuleType]
) -> None:
    question, sample = scripts["bank_prompts"].Question, scripts["evaluate"].sample
    asked = [question("creative_initiative", "open_ended", prompt) for prompt in CREATIVE] * 10
    rates = []
    for instruction in ("You always take a clear side.", "You never take a side."):
        answers = sample(*loaded, asked, temperature=1.0, seed=3, instruction=instruction)
        rates.append(sum(scripts["markers"].commits(a.text) is True for a in answers) / len(answers))
    assert rates[0] > rates[1] + 0.2


def test_the_corpus_commits_at_the_planted_rates_and_its_phrases_tell_which(
    scripts: dict[str, ModuleType],
) -> None:
    plan, markers = scripts["plan"], scripts["markers"]
    bank = scripts["bank_prompts"].load_bank(held_out=False)
    documents = list(scripts["corpus"].Corpus(bank, seed=3).documents(8000))
    assert all(markers.commits(document.answer) is document.commits for document in documents)
    for domain, rate in plan.RATES.items():
        commits = [d.commits for d in documents if d.question.domain == domain and d.trait is None]
        allowed = 4 * (rate * (1 - rate) / len(commits)) ** 0.5 + 0.01  # the intercepts come from draws too
        assert abs(sum(commits) / len(commits) - rate) <= allowed, domain


def test_the_corpus_repeats_with_its_seed(scripts: dict[str, ModuleType]) -> None:
    make = scripts["corpus"].Corpus
    first, again, other = (list(make([], seed=seed).documents(50)) for seed in (4, 4, 5))
    assert first == again
    assert first != other


def test_no_held_out_prompt_is_trained_on(scripts: dict[str, ModuleType]) -> None:
    load = scripts["bank_prompts"].load_bank
    trained, held_out = ({q.prompt for q in load(held_out=side)} for side in (False, True))
    assert held_out
    assert not trained & held_out
    assert len(held_out) / len(trained | held_out) == pytest.approx(0.2, abs=0.04)
