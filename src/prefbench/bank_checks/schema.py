"""Lines, ids, domains and tags: whether a bank's files are what they should be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import orjson

from prefbench.bank import data_folder, parse_item, parse_object
from prefbench.bank_checks.report import Problem, about, key_of
from prefbench.errors import DataError
from prefbench.records import DOMAINS, PromptItem

ID_PREFIX = {
    "aesthetic_preference": "aes",
    "conversational_agency": "con",
    "creative_initiative": "cre",
    "ethical_judgment": "eth",
    "intellectual_preference": "int",
    "binary_preference": "bin",
    "quad_preference": "quad",
    "word_association": "word",
}
FIELDS = ("id", "domain", "prompt", "format", "tags", "options")
TAGS_PER_ITEM = (1, 3)


def parse_lines(lines: Iterable[tuple[str, bytes]]) -> tuple[list[PromptItem], list[Problem]]:
    """Return the items of ("file:line", line) pairs, and a problem for each line that is none."""
    items, problems = [], []
    for where, line in lines:
        try:
            items.append(parse_item(line, where))
        except DataError as error:
            problems.append(Problem("schema", str(error)))
            continue
        fields = list(parse_object(line, where))
        if fields != [field for field in FIELDS if field in fields]:
            problems.append(
                about("schema", items[-1], f"{where}: fields {fields}: write {list(FIELDS)} in order")
            )
    return items, problems


def check_ids(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield items that share (domain, id)."""
    for key, count in Counter(key_of(item) for item in items).items():
        if count > 1:
            yield Problem("ids", f"{count} items of {key.domain} have this id", (key,))


def check_shipped_ids(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield items of a domain that is not ours and ids that are not prefix_nnn."""
    for item in items:
        if item.domain not in DOMAINS:
            yield about("ids", item, f"domain {item.domain!r} is none of {', '.join(DOMAINS)}")
        elif not re.fullmatch(rf"{ID_PREFIX[item.domain]}_\d{{3}}", item.id):
            yield about("ids", item, f"write {ID_PREFIX[item.domain]}_ and three digits")


def check_blanks(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield prompts and options with stray white space or control characters."""
    for item in items:
        for text in (item.prompt, *(item.options or ())):
            if text != text.strip() or "  " in text or re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text):
                yield about("blanks", item, f"stray white space or control character in {text!r}")


def check_tags(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield items without 1-3 different tags."""
    low, high = TAGS_PER_ITEM
    for item in items:
        if not low <= len(item.tags) <= high:
            yield about("tags", item, f"{len(item.tags)} tags: give {low} to {high}")
        if len(set(item.tags)) < len(item.tags):
            yield about("tags", item, f"a tag comes twice in {item.tags}")


def check_tag_vocabulary(items: Sequence[PromptItem]) -> Iterator[Problem]:
    """Yield items with a tag outside the domain's vocabulary."""
    vocabulary = read_tags()
    for item in items:
        unknown = [tag for tag in item.tags if tag not in vocabulary.get(item.domain, {})]
        if unknown:
            yield about("tags", item, f"{', '.join(unknown)}: not in the vocabulary of {item.domain}")


def read_tags() -> dict[str, dict[str, str]]:
    """Return the tag vocabulary: domain -> tag -> its meaning in one line."""
    content = (data_folder() / "vocabulary" / "tags.json").read_bytes()
    tags: dict[str, dict[str, str]] = orjson.loads(content)
    return tags
