"""The bank that comes with prefbench, and the checks that hold of it alone."""

from __future__ import annotations

import pytest

from prefbench.bank import load_bank
from prefbench.bank_checks import check_bank, check_bank_files
from prefbench.bank_checks.choices import check_option_order, check_options_given
from prefbench.bank_checks.counts import ITEMS, ONLY_FORMAT, check_counts, check_formats, check_tag_counts
from prefbench.bank_checks.openings import check_carriers
from prefbench.bank_checks.report import describe_report
from prefbench.bank_checks.schema import check_shipped_ids, check_tag_vocabulary, check_tags, read_tags
from prefbench.bank_checks.text import read_vocabulary
from prefbench.records import DOMAINS, PRIMARY_DOMAINS, PromptItem


def test_the_shipped_bank_has_no_problems():
    pytest.importorskip(
        "spellchecker", reason="pyspellchecker is not installed: pip install 'prefbench[dev]'"
    )
    report = check_bank_files("builtin", "shipped")
    assert report.skipped == ()
    assert report.passed, describe_report(report)


def test_the_shipped_bank_has_2800_items():
    assert sum(ITEMS.values()) == 2800
    assert len(load_bank()) == 2800


def test_each_domain_has_8_to_20_tags_with_a_meaning():
    tags = read_tags()
    assert tuple(sorted(tags)) == tuple(sorted(DOMAINS))
    for meanings in tags.values():
        assert 8 <= len(meanings) <= 20
        assert all(meanings.values())


def make(number, domain="quad_preference", **fields):
    fields = {
        "format": ONLY_FORMAT.get(domain, "open_ended"),
        "tags": ["nature"],
        "prompt": f"{number}?",
    } | fields
    return PromptItem(id=f"quad_{number:03}", domain=domain, **fields)


def found(check, items, *arguments):
    return [str(problem) for problem in check(items, *arguments)]


def test_the_shipped_profile_adds_its_checks_to_those_of_any_bank():
    bank = [
        make(1, tags=["loyalty"]),
        make(2, "word_association"),
        make(3, "taste", format="open_ended", tags=[]),
        make(4, PRIMARY_DOMAINS[0]),
    ]
    shipped, custom = check_bank(bank, "shipped").problems, check_bank(bank, "custom").problems
    added = {problem.check for problem in shipped} - {problem.check for problem in custom}
    assert added == {"ids", "tags", "carriers", "counts", "formats"}
    no_options = [problem for problem in shipped if "field options" in problem.message]
    assert [key.id for problem in no_options for key in problem.items] == ["quad_001"]


def test_ids_have_the_prefix_of_their_domain_and_three_digits():
    assert found(check_shipped_ids, [make(1)]) == []
    for wrong in ("quad_1", "quad_0001", "aes_001", "quad-001"):
        assert len(found(check_shipped_ids, [make(1).model_copy(update={"id": wrong})])) == 1
    assert "is none of" in found(check_shipped_ids, [make(1, "taste")])[0]


@pytest.mark.parametrize(("tags", "problems"), [(1, 0), (3, 0), (0, 1), (4, 1)])
def test_an_item_has_one_to_three_tags(tags, problems):
    item = make(1, tags=["nature", "work", "travel", "arts"][:tags])
    assert len(found(check_tags, [item])) == problems


def test_a_tag_stands_once_in_an_item():
    assert "comes twice" in found(check_tags, [make(1, tags=["nature", "nature"])])[0]


def test_tags_are_of_the_vocabulary_of_their_domain():
    assert found(check_tag_vocabulary, [make(1, tags=["nature"])]) == []
    assert found(check_tag_vocabulary, [make(1, tags=["nature", "loyalty"])]) == [
        "tags: quad_preference quad_001: loyalty: not in the vocabulary of quad_preference"
    ]


@pytest.mark.parametrize(("count", "problems"), [(299, 1), (300, 0), (301, 1)])
def test_a_domain_has_its_number_of_items(count, problems):
    items = [make(number) for number in range(count)]
    assert len(found(check_counts, items, ["quad_preference"])) == problems


def test_a_domain_that_is_missing_is_a_problem():
    assert len(found(check_counts, [], DOMAINS)) == len(DOMAINS)


def mixed(open_ended, binary, ranking, quad, domain=PRIMARY_DOMAINS[0]):
    formats = (
        ["open_ended"] * open_ended
        + ["binary_choice"] * binary
        + ["ranking"] * ranking
        + ["quad_choice"] * quad
    )
    return [make(number, domain, format=name) for number, name in enumerate(formats)]


def test_a_primary_domain_has_fifteen_percent_of_each_main_format():
    domain = PRIMARY_DOMAINS[:1]
    assert found(check_formats, mixed(70, 15, 15, 0), domain) == []
    assert ["14 binary_choice" in line for line in found(check_formats, mixed(71, 14, 15, 0), domain)] == [
        True
    ]
    assert ["14 ranking" in line for line in found(check_formats, mixed(70, 15, 14, 1), domain)] == [True]
    assert ["14 open_ended" in line for line in found(check_formats, mixed(14, 40, 40, 6), domain)] == [True]


def test_a_short_domain_has_one_format():
    items = [make(1), make(2, format="open_ended")]
    assert found(check_formats, items[:1], ["quad_preference"]) == []
    assert "1 open_ended items" in found(check_formats, items, ["quad_preference"])[0]


def test_each_tag_has_five_items():
    vocabulary = list(read_tags()["quad_preference"])
    items = [
        make(number, tags=[vocabulary[number % len(vocabulary)]]) for number in range(5 * len(vocabulary))
    ]
    assert found(check_tag_counts, items, ["quad_preference"]) == []
    assert "4 items have" in found(check_tag_counts, items[1:], ["quad_preference"])[0]


def test_options_are_listed_where_the_format_has_them():
    assert found(check_options_given, [make(1, format="open_ended"), make(2, options=list("abcd"))]) == []
    assert len(found(check_options_given, [make(1)])) == 1


def binaries(first, second):
    shown = [["ash", "oak"]] * first + [["oak", "ash"]] * second
    return [make(number, format="binary_choice", options=options) for number, options in enumerate(shown)]


@pytest.mark.parametrize(
    ("first", "second", "problems"), [(20, 20, 0), (55, 45, 0), (45, 55, 0), (57, 43, 1), (0, 39, 0)]
)
def test_the_alphabetically_first_option_is_shown_first_about_half_the_time(first, second, problems):
    assert len(found(check_option_order, binaries(first, second))) == problems


def quads(*counts):
    rest = ["oak", "elm", "fir"]
    shown = [
        [*rest[:place], "ash", *rest[place:]] for place, count in enumerate(counts) for _ in range(count)
    ]
    return [make(number, options=options) for number, options in enumerate(shown)]


@pytest.mark.parametrize(
    ("counts", "problems"),
    [((10, 10, 10, 10), 0), ((35, 15, 25, 25), 0), ((36, 20, 22, 22), 1), ((14, 28, 28, 30), 1)],
)
def test_the_alphabetically_first_of_four_options_is_spread_over_the_places(counts, problems):
    assert len(found(check_option_order, quads(*counts))) == problems


def carried(*uses):
    carriers = read_vocabulary("carriers")["word_association"]
    prompts = [
        carriers[index].format(cue=f"cue {number}") for index, use in enumerate(uses) for number in range(use)
    ]
    return [make(number, "word_association", prompt=prompt) for number, prompt in enumerate(prompts)]


def test_word_associations_use_the_carrier_phrasings_evenly():
    assert found(check_carriers, carried(*[10] * 10)) == []
    assert found(check_carriers, carried(5, 15, *[10] * 8)) == []
    assert ["4 items in" in line for line in found(check_carriers, carried(4, 16, *[10] * 8))] == [True]
    assert ["21 items in" in line for line in found(check_carriers, carried(21, *[9] * 8, 7))] == [True]


def test_word_associations_outside_the_carrier_phrasings_are_named():
    stray = make(1, "word_association", prompt="What comes to mind with wool?")
    assert found(check_carriers, [stray]) == [
        "carriers: word_association quad_001: 1 prompts fit no phrasing of carriers.json"
    ]
