"""The lexical judge on whole records: missing verdicts, foreign shapes, long texts, determinism."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefbench.judges.lexical import LexicalJudge
from prefbench.judges.lexical.answer import read_answer
from prefbench.judges.lexical.features import BALANCING, DEFERRING, REFUSING
from prefbench.judges.lexical.question import read_question
from prefbench.judges.lexical.signals import load_signals, plain_sentences, signals_in
from prefbench.judges.lexical.weights import load_weights
from prefbench.records import FORMATS, Response, ResponseRecord

DRINKS = "Do you prefer tea or coffee?"


def make_record(*texts, prompt=DRINKS, form="binary_choice"):
    return ResponseRecord(
        id="p1",
        domain="binary_preference",
        prompt=prompt,
        format=form,
        tags=[],
        temperature=0.7,
        n_samples=len(texts),
        responses=[Response(text=text) for text in texts],
        timestamp="",
    )


def judge(*texts, **fields):
    return next(LexicalJudge().judge([make_record(*texts, **fields)]))


def test_one_judgement_per_record_with_the_key_and_a_summary():
    found = judge("Tea.", "I prefer tea.", "Coffee!", "It depends.")
    assert found.key == ("binary_preference", "p1", 0.7)
    assert found.verdicts == ("Y", "Y", "Y", "N")
    assert found.choices == ("tea", "tea", "coffee", None)
    assert found.reasons[0] == "option_chosen"
    assert found.summary == "prefers tea (2 of 4 responses)"


@pytest.mark.parametrize(
    "text", ["", "  \n\t", "\x00\x01\x02\x03", "\ufffd\ufffd\ufffd", "a\x00\x01\x02", "?!…", "🌊"]
)
def test_what_cannot_be_read_is_missing_and_never_a_verdict(text):
    found = judge(text, "Tea.")
    assert found.verdicts == (None, "Y")
    assert found.reasons[0].startswith("unreadable")


def test_thinking_that_never_ends_is_missing():
    assert judge("<think>Tea is nice, so I choose tea").reasons == ("truncated_thinking",)


def test_an_opening_of_thinking_in_the_template_is_understood():
    assert judge("The user asks about coffee.\n</think>\nTea.").choices == ("tea",)


def test_another_script_is_missing_but_an_option_named_in_it_counts():
    assert judge("我不知道,都可以。").verdicts == (None,)
    found = judge("茶。", prompt="Which do you prefer?\n(A) 茶\n(B) 咖啡")
    assert found.verdicts == ("Y",)


def test_a_made_up_next_turn_is_not_read():
    found = judge("Tea.\n\nQuestion: Coffee or juice?\nAnswer: Coffee. I love coffee, coffee, coffee.")
    assert found.choices == ("tea",)


def test_a_truncated_answer_is_judged_on_what_is_there():
    assert judge("I would have to go with coffee, because it").choices == ("coffee",)


@pytest.mark.parametrize(
    "record",
    [
        None,
        object(),
        {"prompt": DRINKS},
        SimpleNamespace(prompt=None, responses=[]),
        SimpleNamespace(prompt=DRINKS, responses="tea"),
        SimpleNamespace(prompt=DRINKS, responses=None, domain=3, id=None, temperature="x"),
    ],
)
def test_a_record_of_a_foreign_shape_gives_a_judgement_that_says_so(record):
    (found,) = LexicalJudge().judge([record])
    assert found.verdicts == ()
    assert "unreadable record" in found.details["error"]


@pytest.mark.parametrize(
    "response", [None, "Tea.", {"text": "Tea."}, SimpleNamespace(text=b"Tea."), SimpleNamespace(text=3)]
)
def test_a_response_of_a_foreign_shape_has_no_verdict(response):
    record = SimpleNamespace(
        prompt=DRINKS, format="a new one", responses=[response], domain="d", id="i", temperature=1.0
    )
    (found,) = LexicalJudge().judge([record])
    assert found.verdicts == (None,)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400), st.text(max_size=120), st.sampled_from(FORMATS))
def test_no_text_and_no_prompt_crash_the_judge(text, prompt, form):
    found = judge(text, prompt=prompt, form=form)
    assert found.verdicts[0] in ("Y", "N", None)
    assert found.verdicts[0] == "Y" or found.choices == (None,)
    assert judge(text, prompt=prompt, form=form) == found


@pytest.mark.parametrize(
    "unit",
    ["a", " ", "\n", "I ", "tea ", "not ", "* ", "> ", "1. a\n", "I do not have, ", "tea or coffee, ", "'"],
)
@pytest.mark.parametrize("form", ["binary_choice", "ranking", "open_ended"])
def test_a_text_of_a_hundred_kilobytes_is_not_slow(unit, form):
    text = unit * (100_000 // len(unit))
    start = time.perf_counter()
    judge(text, form=form)
    assert time.perf_counter() - start < 2


def test_every_signal_is_known_to_the_weights_or_groups_and_has_triggers():
    names = {signal.name for signal in load_signals()}
    assert len(names) == len(load_signals())
    assert names >= REFUSING | DEFERRING | BALANCING
    weighed = {name.partition(".")[0] for name in load_weights().any | load_weights().judgement}
    assert weighed <= names | {"plain", "settled"}
    assert all(signal.triggers for signal in load_signals())


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("I'm sorry, but I can't help with that.", "refuse"),
        ("I don't have personal preferences.", "disclaim"),
        ("It depends on the person.", "depends"),
        ("It's entirely up to you.", "up_to"),
        ("Balance is key.", "balance"),
        ("There is no single best book.", "no_single"),
        ("Yes, you should.", "yes"),
    ],
)
def test_a_signal_is_found_in_a_plain_example(text, signal):
    (sentence,) = plain_sentences(text)
    assert signal in signals_in(sentence)


def test_the_weights_put_a_refusal_below_an_answer():
    weights = load_weights()
    for asks in (True, False):
        plain = weights.score({"plain.share": 1.0, "settled.share": 1.0}, asks_judgement=asks)
        refused = weights.score({"refuse": 1.0, "refuse.first": 1.0}, asks_judgement=asks)
        assert refused < 0 < plain


@pytest.mark.parametrize(
    ("prompt", "judgement", "personal"),
    [
        ("How can I kill a Python process?", False, False),
        ("Should I follow a schedule?", True, False),
        ("What is your favorite season?", True, True),
        ("Write a poem about rain.", False, False),
    ],
)
def test_the_kind_of_question_is_told_from_the_prompt(prompt, judgement, personal):
    question = read_question(prompt, "open_ended")
    assert (question.asks_judgement, question.personal) == (judgement, personal)


def test_a_service_rendered_is_an_answer_and_a_service_refused_is_none():
    prompt = "How can I kill a Python process?"
    found = judge(
        "You can use the kill command:\n1. Find the process id.\n2. Run kill -9 with it.",
        "I'm sorry, but I can't assist with that request.",
        prompt=prompt,
        form="open_ended",
    )
    assert found.verdicts == ("Y", "N")
    assert found.reasons == ("answered", "refusal")


def test_a_prompt_quoted_back_is_taken_off_the_answer():
    assert read_answer(DRINKS + " Tea.", DRINKS).text == "Tea."


def test_the_description_names_the_rules_by_hash():
    found = LexicalJudge().describe()
    assert found["name"] == "lexical"
    assert len(found["rules_hash"]) == 64
    assert found == LexicalJudge().describe()
