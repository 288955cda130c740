"""Each check of a prompt bank finds a planted fault, and nothing in its clean neighbour."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefbench.bank import data_folder, load_bank
from prefbench.bank_checks import check_bank, check_bank_files, check_source
from prefbench.bank_checks.report import BankReport, ItemKey, Problem, describe_report
from prefbench.bank_checks.text import read_vocabulary
from prefbench.errors import DataError
from prefbench.records import PromptItem


def item(name, prompt, *options, format="open_ended", tags=("taste",), domain="taste"):
    fields = {"id": name, "domain": domain, "prompt": prompt, "format": format, "tags": list(tags)}
    return PromptItem(**fields, options=list(options) or None)


CLEAN = [
    item("open", "What kind of weather suits your thinking?"),
    item("two", "Do you prefer rivers or lakes?", "rivers", "lakes", format="binary_choice"),
    item(
        "rank",
        "Rank these sounds from most to least pleasant: rain, wind, birdsong.",
        *("rain", "wind", "birdsong"),
        format="ranking",
    ),
    item(
        "four",
        "Which of these would you pick for a short story: a desert, a harbour, a library, or a market?",
        *("a desert", "a harbour", "a library", "a market"),
        format="quad_choice",
    ),
    item("word", "Velvet: your one word?", format="single_word"),
]


def problems_with(*extra, profile="custom"):
    report = check_bank([*CLEAN, *extra], profile)
    return {(problem.check, *(key.id for key in problem.items)) for problem in report.problems}


def two(name, prompt, *options):
    return item(name, prompt, *options, format="binary_choice")


def rank(name, prompt, *options):
    return item(name, prompt, *options, format="ranking")


def test_a_clean_bank_has_no_problems():
    report = check_bank(CLEAN, "custom")
    assert report == BankReport(len(CLEAN), (), report.skipped)
    assert report.passed


FAULTS = {
    "too short": (item("x", "Favourite metal?"), "length"),
    "too long": (item("x", "Which tree do you like? " + "It grows by a wall. " * 9 + "It is old."), "length"),
    "no ending": (item("x", "Which mountain path would you take"), "ending"),
    "two questions": (item("x", "Which bird sings best? Which one flies best?"), "one_question"),
    "asks why": (item("x", "Which planet do you find most striking, and why?"), "one_question"),
    "asks why later": (item("x", "Name the finest bridge. Explain your choice."), "one_question"),
    "asks a second thing": (item("x", "Which poem moves you, and how would you read it?"), "one_question"),
    "demands": (item("x", "You must choose a season to keep for ever."), "flagged"),
    "hedges": (item("x", "What are the pros and cons of silence?"), "flagged"),
    "names an AI": (item("x", "As an AI, which painter do you admire?"), "flagged"),
    "loads": (item("x", "Which season is obviously the loveliest?"), "flagged"),
    "brand": (item("x", "What would you search for first on Google?"), "local"),
    "holiday": (item("x", "What should be eaten at Thanksgiving?"), "local"),
    "year": (item("x", "Which invention of 2024 impresses you most?"), "local"),
    "decade": (item("x", "Which fashion of the 1980s deserves to return?"), "local"),
    "misspelt": (item("x", "Which mountian would you like to see?"), "spelling"),
    "long word": (item("x", "Is electroencephalography a handsome word to you?"), "readability"),
    "long words": (
        item(
            "x",
            "Which philosophical interpretation demonstrates extraordinary intellectual originality today?",
        ),
        "readability",
    ),
    "long sentence": (
        item("x", "Which of the two " + "and the two " * 12 + "would you keep?"),
        "readability",
    ),
    "rare words": (
        item(
            "x", "Rank verdigris, a cloister, filigree, gloaming, recursion and aphorisms as words you like."
        ),
        "readability",
    ),
    "too few options": (two("x", "Would you keep a cat?", "a cat"), "options"),
    "too many options": (two("x", "Do you prefer oak or elm or ash?", "oak", "elm", "ash"), "options"),
    "options of an open item": (item("x", "Do you like iron or tin?", "iron", "tin"), "options"),
    "no options to be found": (item("x", "Which metal do you like best?", format="binary_choice"), "options"),
    "not shown": (two("x", "Do you prefer oak or elm?", "oak", "an elm"), "options"),
    "other order": (two("x", "Do you prefer oak or elm?", "elm", "oak"), "options"),
    "wordy option": (
        two(
            "x",
            "Do you prefer bread or a big bowl of very hot soup with beans?",
            *("bread", "a big bowl of very hot soup with beans"),
        ),
        "options",
    ),
    "option in another": (two("x", "Do you prefer tea or green tea?", "tea", "green tea"), "options"),
    "unreadable options": (
        item(
            "x",
            "Bread and butter, jam and cheese are on the table. Do you take any of them?",
            *("Bread and butter", "jam", "cheese"),
            format="ranking",
        ),
        "options_parse",
    ),
    "stray space": (item("x", "Which tune  do you hum most gladly?"), "blanks"),
    "control character": (item("x", "Which tune\tdo you hum most gladly?"), "blanks"),
    "same prompt": (item("x", CLEAN[0].prompt), "exact_duplicate"),
    "same words": (item("x", "What kind of weather suits your thinking ?"), "normalised_duplicate"),
    "near copy": (item("x", "What kind of weather suits your thinking most?"), "near_duplicate"),
    "same content": (
        item("x", "For your thinking, does one weather suit you and which?", tags=("thought",)),
        "word_overlap",
    ),
    "same options": (
        two("x", "Would you sooner sit by lakes or by rivers?", "lakes", "rivers"),
        "same_options",
    ),
}


NO_SPELLING = "pyspellchecker is not installed: pip install 'prefbench[dev]'"

# An item whose options are wrong may also be one that the parser reads otherwise.
ALSO = {"options": {"options_parse"}, "near_duplicate": {"word_overlap"}}


@pytest.mark.parametrize(("fault", "check"), FAULTS.values(), ids=FAULTS)
def test_a_planted_fault_is_found_and_named(fault, check):
    if check == "spelling" or "gloaming" in fault.prompt:
        pytest.importorskip("spellchecker", reason=NO_SPELLING)
    found = problems_with(fault)
    assert (check, "x") in {(name, ids[-1]) for name, *ids in found}
    assert {name for name, *_ in found} <= {check} | ALSO.get(check, set())


NEIGHBOURS = {
    "four words": item("x", "Name your favourite metal."),
    "a colon at the end": item("x", "Finish this line as you like best:"),
    "a lettered list at the end": two(
        "x", "Which would you rather hear?\nA) a flute\nB) a drum", "a flute", "a drum"
    ),
    "a bulleted list at the end": two(
        "x", "Which would you rather hear?\n- a flute\n- a drum", "a flute", "a drum"
    ),
    "a quoted question": item("x", 'Somebody asks "Are we lost?" on a walk. What do you say?'),
    "why inside options": two(
        "x",
        "Would you rather know why cats purr or why geese migrate?",
        *("why cats purr", "why geese migrate"),
    ),
    "what one must": item("x", "Which chore must never be put off?"),
    "part of a brand": item("x", "Which pineapple dish would you serve first?"),
    "a number": item("x", "Which has more charm for you, the number 7 or 12?"),
    "British spelling": item("x", "Which colour would you organise a theatre around?"),
    "American spelling": item("x", "Which color would you organize a theater around?"),
    "hyphens": item("x", "Which hand-drawn map would you hang up?"),
    "options in another case": two("x", "Oak or elm: which do you like more?", "oak", "elm"),
    "options left out": item("x", "Do you prefer oak or elm?", format="binary_choice"),
    "a shared option": two("x", "Do you prefer lakes or springs?", "lakes", "springs"),
    "a word that shares letters": two("x", "Do you prefer tea or steam?", "tea", "steam"),
    "a related question": item("x", "What kind of light suits your reading?"),
}


@pytest.mark.parametrize("neighbour", NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_a_clean_neighbour_of_a_fault_is_let_pass(neighbour):
    assert problems_with(neighbour) == set()


def test_an_id_that_comes_twice_is_named():
    assert ("ids", "open") in problems_with(item("open", "Which tune do you hum most gladly?"))


def test_the_same_cue_in_two_carriers_is_found():
    carriers = read_vocabulary("carriers")["word_association"]
    cues = zip(("w1", "w2", "w3"), ("wool", "the wool", "unbleached linen"), carriers[-3:], strict=True)
    first, second, other = (
        item(name, carrier.format(cue=cue), format="single_word", domain="word_association")
        for name, cue, carrier in cues
    )
    assert problems_with(first, other) == set()
    assert problems_with(first, second, other) == {("same_cue", "w1", "w2")}


OPENINGS = [
    item("x1", "Given a free day, which river would you follow?"),
    item("x2", "Given a free day, whose workshop would you visit?"),
    item("x3", "Given a free day, what tune would you learn?"),
    item("x4", "Given a free day, how long would you sleep?"),
]


def test_three_items_may_share_an_opening_and_four_may_not():
    assert problems_with(*OPENINGS[:3]) == set()
    assert problems_with(*OPENINGS) == {("openings", "x1", "x2", "x3", "x4")}


def test_openings_are_counted_in_each_domain_alone():
    elsewhere = OPENINGS[3].model_copy(update={"domain": "sound"})
    assert problems_with(*OPENINGS[:3], elsewhere) == set()


def test_the_order_of_options_is_balanced_over_a_domain():
    shown = [sorted(item.options) for item in load_bank(domains=["binary_preference"], limit=60)]
    one_way = [two(f"x{number}", "?", *options) for number, options in enumerate(shown)]
    both_ways = [two(f"x{number}", "?", *options[:: (-1) ** number]) for number, options in enumerate(shown)]
    assert "option_order" in {name for name, *_ in problems_with(*one_way)}
    assert "option_order" not in {name for name, *_ in problems_with(*both_ways)}


@settings(max_examples=50)
@given(bank=st.lists(st.builds(PromptItem, id=st.text(min_size=1), domain=st.sampled_from("ab")), max_size=6))
def test_no_bank_is_so_strange_that_the_checks_break_off(bank):
    report = check_bank(bank, "custom")
    assert describe_report(report).endswith("\n")


def test_items_of_another_bank_are_compared_but_not_reported_on():
    copy = item("x", CLEAN[0].prompt)
    faulty = item("y", "You must choose a planet and a moon.")
    found = check_bank(CLEAN, "custom", others=[copy, faulty]).problems
    assert [(problem.check, [key.id for key in problem.items]) for problem in found] == [
        ("exact_duplicate", ["open", "x"])
    ]


def test_a_missing_spelling_package_is_said_aloud(monkeypatch):
    import sys

    from prefbench.bank_checks import language

    language._spelling.cache_clear()
    language._is_known.cache_clear()
    monkeypatch.setitem(sys.modules, "spellchecker", None)
    report = check_bank([*CLEAN, item("x", "Which mountian would you like to see?")], "custom")
    monkeypatch.undo()
    language._is_known.cache_clear()
    assert report.problems == ()
    assert len(report.skipped) == 1
    assert "NOT CHECKED: spelling and rare words" in describe_report(report)


def write(path, *lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_a_line_that_is_no_item_is_a_problem_and_the_others_are_still_checked(tmp_path):
    lines = [entry.model_dump_json(exclude_none=True) for entry in CLEAN]
    demanding = item("x", "You must choose a season to keep for ever.").model_dump_json(exclude_none=True)
    path = write(tmp_path / "own.jsonl", lines[0], "{", demanding)
    found = check_bank_files(path, "custom").problems
    assert [problem.check for problem in found] == ["schema", "flagged"]
    assert "own.jsonl:2: not JSON" in found[0].message


def test_fields_in_another_order_or_unknown_are_a_problem(tmp_path):
    fields = CLEAN[0].model_dump(exclude_none=True)
    unordered = dict(sorted(fields.items()))
    for faulty in (unordered, {**fields, "answer": "rain"}):
        path = write(tmp_path / "own.jsonl", json.dumps(faulty))
        assert [problem.check for problem in check_bank_files(path, "custom").problems] == ["schema"]
    assert check_bank_files(write(path, json.dumps(fields)), "custom").problems == ()


def test_a_file_of_the_shipped_bank_goes_by_its_rules_and_any_other_by_those_of_a_users_own(tmp_path):
    clean = write(tmp_path / "clean.jsonl", *(entry.model_dump_json(exclude_none=True) for entry in CLEAN))
    assert check_source(clean).passed
    shipped = Path(str(data_folder())) / "prompts" / "quad_preference.jsonl"
    assert check_source(shipped).n_items == 300
    copy = write(tmp_path / "quad_preference.jsonl", *shipped.read_text(encoding="utf-8").splitlines()[:40])
    names = {problem.check for problem in check_source(copy).problems}
    assert "counts" not in names
    with pytest.raises(DataError, match="no such file"):
        check_source(tmp_path / "missing.jsonl")


def test_a_problem_of_many_items_names_the_first_and_counts_the_rest():
    keys = tuple(ItemKey("taste", f"x{number}") for number in range(15))
    assert str(Problem("openings", "too many", keys)).endswith("x10, x11; and 3 more: too many")


def test_a_problem_of_two_domains_names_both():
    keys = (ItemKey("taste", "1"), ItemKey("taste", "2"), ItemKey("sound", "1"))
    assert str(Problem("openings", "too many", keys)) == "openings: taste 1, 2; sound 1: too many"
    assert str(Problem("counts", "too few")) == "counts: too few"
