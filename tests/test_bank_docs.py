"""docs/prompt-bank.md says what the bank and its checks are."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from prefbench.bank import load_bank
from prefbench.bank_checks import check_bank
from prefbench.bank_checks.schema import read_tags
from prefbench.records import DOMAINS

PAGE = Path(__file__).parent.parent / "docs" / "prompt-bank.md"
FORMATS = ("open_ended", "binary_choice", "ranking", "quad_choice", "single_word")


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text(encoding="utf-8")


def test_the_counts_by_format_are_those_of_the_bank(page):
    items = load_bank()
    for domain in DOMAINS:
        found = Counter(item.format for item in items if item.domain == domain)
        row = [str(found[name]) for name in FORMATS] + [str(found.total())]
        assert f"| `{domain}` | {' | '.join(row)} |" in page, f"{domain}: {row}"


def test_the_prompts_shown_are_in_the_bank(page):
    prompts = {(item.domain, " ".join(item.prompt.split())) for item in load_bank()}
    for domain in DOMAINS:
        example = re.search(rf"^\| `{domain}` \|[^|]+\| ([^|]+\D) \|$", page, re.MULTILINE)
        assert example, f"no example of {domain}"
        assert (domain, example[1]) in prompts, f"{domain}: {example[1]!r} is not in the bank"


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_tags_are_those_of_the_vocabulary(page, domain):
    tags = read_tags()
    section = page.split(f"\n### {domain}\n")[1].split("\n### ")[0]
    if domain == "quad_preference":
        assert section.strip() == "The tags of `binary_preference`."
        assert tags[domain] == tags["binary_preference"]
    else:
        assert re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE) == list(tags[domain].items())


def test_every_check_that_can_fire_is_in_the_table(page):
    sources = (Path(check_bank.__code__.co_filename).parent).glob("*.py")
    code = "".join(source.read_text(encoding="utf-8") for source in sources)
    names = set(re.findall(r'(?:Problem|about|_pair|_check_phrases)\(\s*"(\w+)"', code))
    assert len(names) > 15
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
