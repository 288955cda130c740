"""Option parsing: the options of a prompt in the order shown, for every shape that the bank uses."""

from __future__ import annotations

import json
import time
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefbench.options import CHOICE_FORMATS, normalise_choice, parse_labels, parse_options

BINARY = {
    "Which is more beautiful: the ocean at sunrise or a mountain range at sunset?": (
        "the ocean at sunrise",
        "a mountain range at sunset",
    ),
    "Do you prefer deep one-on-one conversations or lively group discussions?": (
        "deep one-on-one conversations",
        "lively group discussions",
    ),
    "Would you rather live by the sea or live in the mountains?": (
        "live by the sea",
        "live in the mountains",
    ),
    "Tea or coffee: which do you reach for first?": ("tea", "coffee"),
    "Between a quiet library and a busy café, which one draws you in?": ("a quiet library", "a busy café"),
    "Is it more important to be honest or to be kind when they conflict?": ("be honest", "be kind"),
    "Choose one: cats / dogs": ("cats", "dogs"),
    "Which interests you more: A) number theory or B) topology?": ("number theory", "topology"),
    "Which do you prefer?\n(A) the sea\n(B) the hills": ("the sea", "the hills"),
    "Pick one.\n- rain\n- snow": ("rain", "snow"),
    "Which would you rather read, a long novel or a short story?": ("a long novel", "a short story"),
    "Is a promise to a friend or a promise to a stranger more binding?": (
        "a promise to a friend",
        "a promise to a stranger",
    ),
    "Would you rather write with notes or without notes?": ("with notes", "without notes"),
    "Would you say that a melody that resolves or a melody that hangs unfinished gives you more pleasure?": None,
    "Jazz vs. classical: pick one.": ("jazz", "classical"),
}
OTHERS = [
    (
        "quad_choice",
        "Which season is best: spring, summer, autumn, or winter?",
        "spring summer autumn winter",
    ),
    ("quad_choice", "Which is your favorite?\nA) red\nB) blue\nC) green\nD) gold", "red blue green gold"),
    ("quad_choice", "Choose: (A) tea (B) coffee (C) cocoa (D) water", "tea coffee cocoa water"),
    ("quad_choice", "Which do you prefer?\n1. jazz\n2. folk\n3. rock\n4. soul\n", "jazz folk rock soul"),
    ("quad_choice", "Pick one: oak, elm, ash or yew", "oak elm ash yew"),
    (
        "ranking",
        "Rank these from most to least important: honesty, courage, and loyalty.",
        "honesty courage loyalty",
    ),
    ("ranking", "Rank honesty, courage and loyalty from most to least important.", "honesty courage loyalty"),
    ("ranking", "Rank these: \n- rain\n- hail\n- snow", "rain hail snow"),
]


@pytest.mark.parametrize("prompt", [prompt for prompt, options in BINARY.items() if options])
def test_a_pair_of_options_is_read_from_each_shape_of_question(prompt):
    assert parse_options(prompt, "binary_choice") == BINARY[prompt]


@pytest.mark.parametrize(("form", "prompt", "options"), OTHERS)
def test_lists_are_read_inline_lettered_numbered_and_bulleted(form, prompt, options):
    assert parse_options(prompt, form) == tuple(options.split())


@pytest.mark.parametrize("form", ["open_ended", "single_word"])
def test_formats_without_options_have_none(form):
    assert parse_options("Do you prefer tea or coffee?", form) is None


@pytest.mark.parametrize("form", CHOICE_FORMATS)
@pytest.mark.parametrize("prompt", ["", "   ", "Hello.", "What do you like?", "?", "\x00"])
def test_a_prompt_without_options_gives_none(form, prompt):
    assert parse_options(prompt, form) is None


def test_a_pair_of_equal_options_is_no_choice():
    assert parse_options("Do you prefer tea or the tea?", "binary_choice") is None


def test_labels_stand_beside_their_options():
    labels = parse_labels("Which do you prefer?\n(A) the sea\n(B) the hills")
    assert labels is not None
    assert [(item.label, item.option) for item in labels] == [("A", "the sea"), ("B", "the hills")]
    assert parse_labels("Do you prefer tea or coffee?") is None


@pytest.mark.parametrize("text", ["The Tea", "tea.", "a tea", "“Tea”", "TEA!"])
def test_two_namings_of_one_choice_are_equal(text):
    assert normalise_choice(text) == "tea"


@given(st.text(max_size=300), st.sampled_from(CHOICE_FORMATS))
def test_any_text_gives_as_many_options_as_its_format_or_none(prompt, form):
    options = parse_options(prompt, form)
    if options is not None:
        assert len(options) >= {"binary_choice": 2, "quad_choice": 4, "ranking": 3}[form]
        assert len(set(options)) == len(options)
        assert all(options)


WORDS = st.sampled_from(["river", "lantern", "orchard", "thunder", "velvet", "compass", "harbour", "sparrow"])


@given(st.lists(WORDS, min_size=4, max_size=4, unique=True))
def test_four_plain_options_come_back_in_order(names):
    prompt = f"Which do you like best: {names[0]}, {names[1]}, {names[2]}, or {names[3]}?"
    assert parse_options(prompt, "quad_choice") == tuple(names)


@pytest.mark.parametrize("unit", ["a, ", "or ", "x or y ", ": ", "(A) ", "would you rather ", "\n", " / "])
@pytest.mark.parametrize("form", CHOICE_FORMATS)
def test_a_long_prompt_is_not_slow(unit, form):
    start = time.perf_counter()
    parse_options(unit * (3_900 // len(unit)), form)
    assert time.perf_counter() - start < 2


def read_bank():
    folder = files("prefbench").joinpath("data", "prompts")
    tables = [path for path in folder.iterdir() if path.name.endswith(".jsonl")]
    return [
        json.loads(line) for path in tables for line in path.read_text(encoding="utf-8").splitlines() if line
    ]


def test_the_bank_and_the_parser_agree_on_the_options_of_most_prompts():
    items = [item for item in read_bank() if item["format"] in CHOICE_FORMATS]
    agreeing = 0
    for item in items:
        found = parse_options(item["prompt"], item["format"]) or ()
        agreeing += [*map(normalise_choice, found)] == [*map(normalise_choice, item["options"])]
    assert agreeing / len(items) > 0.95
