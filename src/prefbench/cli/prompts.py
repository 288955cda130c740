"""`prefbench prompts`: look at the prompt bank, check one, or take one out of a published release."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prefbench.cli.options import JsonOption, split_commas
from prefbench.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from prefbench.records import PromptItem

BankOption = Annotated[
    str, typer.Option("--prompts", "-p", help="`builtin`, or a JSONL file or a folder of them.")
]
DomainsOption = Annotated[str | None, typer.Option(help="Only these domains, with commas between.")]
FormatOption = Annotated[str | None, typer.Option("--format", help="Only this format.")]
TagOption = Annotated[str | None, typer.Option(help="Only prompts with this tag.")]

prompts_app = typer.Typer(
    name="prompts",
    help="Look at the prompt bank, check your own, or take one out of a published release.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(prompts_app, rich_help_panel="Set up")


@prompts_app.command("list")
def list_prompts(
    *,
    prompts: BankOption = "builtin",
    domains: DomainsOption = None,
    format: FormatOption = None,
    tag: TagOption = None,
    limit: Annotated[int | None, typer.Option(help="Only the first so many of each domain.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List prompts, one a line.

    Example:  prefbench prompts list --domains ethical_judgment --format ranking
    """
    from prefbench.bank import item_fields
    from prefbench.cli.output import print_json

    items = _select(prompts, domains, format, tag, limit)
    if as_json:
        print_json([item_fields(item) for item in items])
        return
    width = max(len(item.id) for item in items)
    for item in items:
        typer.echo(f"{item.id:<{width}}  {item.format:<13}  {' '.join(item.prompt.split())}")


@prompts_app.command()
def show(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="The prompt's id, e.g. aes_001.")],
    *,
    prompts: BankOption = "builtin",
    as_json: JsonOption = False,
) -> None:
    """Show one prompt with its domain, format, tags and options.

    Example:  prefbench prompts show aes_001
    """
    from prefbench.bank import item_fields, load_bank
    from prefbench.cli.output import print_json

    items = load_bank(prompts)
    found = [item for item in items if item.id == identifier]
    if not found:
        raise unknown_name("prompt", identifier, _near(identifier, items))
    if as_json:
        print_json([item_fields(item) for item in found])
        return
    for item in found:
        typer.echo(f"{item.id}  {item.domain}  {item.format}  {', '.join(item.tags)}\n{item.prompt}")
        for number, option in enumerate(item.options or (), start=1):
            typer.echo(f"  {number}. {option}")


@prompts_app.command()
def stats(
    *, prompts: BankOption = "builtin", domains: DomainsOption = None, as_json: JsonOption = False
) -> None:
    """Count the prompts by domain, format and tag.

    Example:  prefbench prompts stats
    """
    from prefbench.bank import bank_hash
    from prefbench.cli.output import note, print_json, print_table
    from prefbench.records import FORMATS

    items = _select(prompts, domains, None, None, None)
    counts = {domain: _count([item for item in items if item.domain == domain]) for domain in _domains(items)}
    if as_json:
        print_json({"prompts": len(items), "sha256": bank_hash(items), "domains": counts})
        return
    columns = ["<domain", "prompts", *FORMATS, "median words", "tags"]
    rows = [
        [
            domain,
            str(count["prompts"]),
            *(str(count["formats"].get(each, 0)) for each in FORMATS),
            f"{count['median_words']:.0f}",
            str(len(count["tags"])),
        ]
        for domain, count in counts.items()
    ]
    print_table(f"{len(items):,} prompts", columns, rows)
    for domain, count in counts.items():
        tags = ", ".join(f"{tag} {number}" for tag, number in count["tags"].items())
        typer.echo(f"{domain}: {tags or 'no tags'}")
    note(f"sha256 {bank_hash(items)}")


@prompts_app.command()
def check(
    source: Annotated[str, typer.Argument(help="A JSONL file, a folder of them, or `builtin`.")] = "builtin",
    *,
    as_json: JsonOption = False,
) -> None:
    """Check a prompt bank: form, repeats, wording, balance, spelling. Exit code 1 if anything is found.

    Example:  prefbench prompts check my-prompts.jsonl
    """
    from prefbench.bank_checks import check_source, describe_report
    from prefbench.cli.output import print_json

    report = check_source(source)
    if as_json:
        problems = [
            {"check": each.check, "items": [key._asdict() for key in each.items], "message": each.message}
            for each in report.problems
        ]
        print_json({"prompts": report.n_items, "problems": problems, "not_checked": list(report.skipped)})
    else:
        typer.echo(describe_report(report), nl=False)
    if not report.passed:
        raise typer.Exit(1)


@prompts_app.command("from-release")
def from_release(
    folder: Annotated[Path, typer.Argument(help="The release: a folder with responses/ or data/responses/.")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="The JSONL file to write.")] = Path(
        "release-prompts.jsonl"
    ),
    as_json: JsonOption = False,
) -> None:
    """Write the prompts of a published release to a file that `prefbench sample --prompts FILE` takes.

    Example:  prefbench prompts from-release preference-expression-qwen3-8b --out original.jsonl
    """
    from prefbench.bank import bank_from_release, bank_hash, write_bank
    from prefbench.cli.output import note, print_json
    from prefbench.store import writing

    if out.exists():
        raise ConfigError(f"{out}: is there already; give --out another file")
    items, conflicts = bank_from_release(folder)
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_bank(out, items)
    for conflict in conflicts:
        note(f"conflict: {conflict}")
    if as_json:
        print_json(
            {"file": str(out), "prompts": len(items), "sha256": bank_hash(items), "conflicts": conflicts}
        )
        return
    domains = Counter(item.domain for item in items)
    listed = ", ".join(f"{domain} {number}" for domain, number in domains.items())
    typer.echo(f"{out}: {len(items):,} prompts ({listed}), {len(conflicts)} conflicts")


def _select(
    prompts: str, domains: str | None, format: str | None, tag: str | None, limit: int | None
) -> list[PromptItem]:
    from prefbench.bank import load_bank
    from prefbench.records import FORMATS

    if format is not None and format not in FORMATS:
        raise unknown_name("format", format, FORMATS)
    items = load_bank(prompts, domains=split_commas(domains), limit=limit)
    known_tags = {each for item in items for each in item.tags}
    if tag is not None and tag not in known_tags:
        raise unknown_name("tag", tag, known_tags)
    chosen = [item for item in items if format in (None, item.format) and (tag is None or tag in item.tags)]
    if not chosen:
        raise ConfigError("no prompt is of this domain, format and tag together: leave one of them out")
    return chosen


def _domains(items: list[PromptItem]) -> list[str]:
    return list(dict.fromkeys(item.domain for item in items))


def _count(items: list[PromptItem]) -> dict[str, Any]:
    from statistics import median

    return {
        "prompts": len(items),
        "formats": dict(Counter(item.format for item in items).most_common()),
        "tags": dict(Counter(tag for item in items for tag in item.tags).most_common()),
        "median_words": median(len(item.prompt.split()) for item in items),
    }


def _near(identifier: str, items: list[PromptItem]) -> list[str]:
    """Return the ids of the same domain, so that an error does not list thousands."""
    prefix = identifier.split("_", maxsplit=1)[0]
    same = [item.id for item in items if item.id.startswith(prefix)]
    first = {item.domain: item.id for item in reversed(items)}
    return [*same[:5], *same[-1:]] if same else list(first.values())
