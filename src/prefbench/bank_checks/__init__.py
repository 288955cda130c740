"""The checks of a prompt bank: items in, a report out that names the items at fault."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from prefbench.bank import BUILTIN, data_folder, prompt_files, read_lines
from prefbench.bank_checks import choices, counts, duplicates, language, openings, schema, wording
from prefbench.bank_checks.report import BankReport, ItemKey, Problem, describe_report, key_of
from prefbench.errors import MissingExtraError
from prefbench.records import DOMAINS, PromptItem

__all__ = [
    "BankReport",
    "ItemKey",
    "Problem",
    "check_bank",
    "check_bank_files",
    "check_source",
    "describe_report",
]

Profile = Literal["shipped", "custom"]
Check = Callable[[Sequence[PromptItem]], Iterable[Problem]]

OF_ITEMS: tuple[Check, ...] = (
    schema.check_ids,
    schema.check_blanks,
    wording.check_length,
    wording.check_ending,
    wording.check_one_question,
    wording.check_flagged,
    wording.check_local,
    choices.check_option_lists,
    choices.check_options_shown,
    choices.check_option_wording,
    choices.check_options_parse,
    choices.check_option_order,
    openings.check_openings,
    language.check_readability,
)
OF_SPELLING: tuple[Check, ...] = (language.check_spelling, language.check_rare_words)
OF_SHIPPED_ITEMS: tuple[Check, ...] = (
    schema.check_shipped_ids,
    schema.check_tags,
    schema.check_tag_vocabulary,
    choices.check_options_given,
    openings.check_carriers,
)
ACROSS_BANK: tuple[Check, ...] = (
    duplicates.check_exact,
    duplicates.check_normalised,
    duplicates.check_near,
    duplicates.check_word_overlap,
    duplicates.check_same_options,
    duplicates.check_cues,
)


def check_bank(
    items: Sequence[PromptItem], profile: Profile = "shipped", *, others: Sequence[PromptItem] = ()
) -> BankReport:
    """Run every check over a bank.

    `profile="shipped"` adds what holds of the bank that comes with prefbench: its domains, ids, counts,
    mix of formats, tags, options and carrier phrasings. `others` are further items that `items` must not repeat.
    """
    problems = [problem for check in OF_ITEMS for problem in check(items)]
    spelling, skipped = _check_language(items)
    problems += spelling
    if profile == "shipped":
        problems += [problem for check in OF_SHIPPED_ITEMS for problem in check(items)]
        problems += _check_shipped_counts(items, whole_bank=not others)
    problems += _check_across(items, others)
    return BankReport(len(items), tuple(problems), skipped)


def check_bank_files(
    source: str | Path = BUILTIN, profile: Profile = "shipped", *, others: Sequence[PromptItem] = ()
) -> BankReport:
    """Run every check over the files of a bank; a line that is no item is a problem, not an error."""
    items, problems = schema.parse_lines(read_lines(prompt_files(source)))
    report = check_bank(items, profile, others=others)
    return BankReport(report.n_items, (*problems, *report.problems), report.skipped)


def check_source(source: str | Path) -> BankReport:
    """Check the bank that a name or a path stands for, by the rules that hold of it.

    The built-in bank, and a file of it, go by the shipped rules; one file is compared with the others.
    Anything else is a user's own bank.
    """
    shipped = Path(str(data_folder())) / "prompts"
    path = Path(source)
    if source == BUILTIN or path.resolve() == shipped.resolve():
        return check_bank_files(source, "shipped")
    if path.resolve().parent != shipped.resolve():
        return check_bank_files(source, "custom")
    others = [file for file in prompt_files(BUILTIN) if file.name != path.name]
    return check_bank_files(source, "shipped", others=schema.parse_lines(read_lines(others))[0])


def _check_shipped_counts(items: Sequence[PromptItem], *, whole_bank: bool) -> list[Problem]:
    present = {item.domain for item in items}
    domains = [domain for domain in DOMAINS if whole_bank or domain in present]
    by_domain = (counts.check_counts, counts.check_formats, counts.check_tag_counts)
    return [problem for check in by_domain for problem in check(items, domains)]


def _check_across(items: Sequence[PromptItem], others: Sequence[PromptItem]) -> list[Problem]:
    ours = {key_of(item) for item in items}
    found = [problem for check in ACROSS_BANK for problem in check([*items, *others])]
    return [problem for problem in found if ours.intersection(problem.items)]


def _check_language(items: Sequence[PromptItem]) -> tuple[list[Problem], tuple[str, ...]]:
    try:
        return [problem for check in OF_SPELLING for problem in check(items)], ()
    except MissingExtraError as error:
        return [], (f"spelling and rare words: {error}",)
