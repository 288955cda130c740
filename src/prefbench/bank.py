"""The prompt bank: JSONL files of prompt items in, checked `PromptItem`s out, and back again."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from prefbench.errors import ConfigError, DataError, unknown_name
from prefbench.records import DOMAINS, PromptItem, explain_validation

BUILTIN = "builtin"


def data_folder() -> Traversable:
    """Return the folder of the data that comes with prefbench: `prompts/{domain}.jsonl`, `vocabulary/`."""
    return files("prefbench") / "data"


def load_bank(
    source: str | Path = BUILTIN, *, domains: Sequence[str] | None = None, limit: int | None = None
) -> list[PromptItem]:
    """Return the items of a bank in the order of its files and lines.

    `source` is "builtin", a JSONL file, or a folder of `*.jsonl` files. `domains` keeps only those
    named, in any order; `limit` keeps the first so many prompts of each domain.

    Raises `DataError` ("file:line: what, how to mend it") for a line that is no item and for a
    (domain, id) met twice, `ConfigError` for an unknown domain and a limit below 1.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"limit is {limit}: it is the number of prompts per domain, 1 or more")
    items = _refuse_duplicates(
        (where, parse_item(line, where)) for where, line in read_lines(prompt_files(source))
    )
    if not items:
        raise DataError(f"{source}: no items in it: a bank has one JSON object a line")
    return _first_of_each_domain(_keep_domains(items, domains), limit)


def prompt_files(source: str | Path = BUILTIN) -> list[Traversable]:
    """Return the files of a bank: the built-in ones in the order of `DOMAINS`, a folder's by name.

    Raises `DataError` where there is nothing to read.
    """
    if source == BUILTIN:
        folder = data_folder() / "prompts"
        found = [folder / f"{domain}.jsonl" for domain in DOMAINS]
        return [file for file in found if file.is_file()]
    path = Path(source)
    if path.is_file():
        return [path]
    if not path.exists():
        raise DataError(f"{path}: no such file or folder: give a JSONL file, a folder of them or 'builtin'")
    in_folder = sorted(path.glob("*.jsonl"))
    if not in_folder:
        raise DataError(f"{path}: no *.jsonl file in this folder")
    return list[Traversable](in_folder)


def read_lines(sources: Iterable[Traversable]) -> Iterator[tuple[str, bytes]]:
    """Yield ("file:line", line) for each line that is not blank; lines count from 1."""
    for source in sources:
        label = str(source) if isinstance(source, Path) else source.name
        try:
            content = source.read_bytes()
        except OSError as error:
            raise DataError(f"{label}: cannot be read: {error.strerror or error}") from error
        for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
            if line.strip():
                yield f"{label}:{number}", line


def parse_item(line: bytes, where: str) -> PromptItem:
    """Return the item that a line holds; raise `DataError` naming `where` if it holds none."""
    try:
        return PromptItem.model_validate(parse_object(line, where))
    except ValidationError as error:
        raise DataError(
            f"{where}: {explain_validation(error)}: an item has id, domain, prompt, format, tags, options"
        ) from error


def parse_object(line: bytes, where: str) -> dict[str, Any]:
    """Return the JSON object that a line holds; raise `DataError` naming `where` if it holds none."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON ({error}): write one JSON object a line") from error
    if not isinstance(value, dict):
        raise DataError(f"{where}: a {type(value).__name__}, not an object: write one JSON object a line")
    return value


def write_bank(path: Path, items: Iterable[PromptItem]) -> None:
    """Write items to a JSONL file in their order, whole or not at all; what was there is replaced.

    Raises `DataError` for no items and for a (domain, id) that comes twice.
    """
    kept = _refuse_duplicates((f"item {number}", item) for number, item in enumerate(items, start=1))
    if not kept:
        raise DataError(f"{path}: no items to write: a bank has at least one")
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_bytes(b"".join(orjson.dumps(item_fields(item)) + b"\n" for item in kept))
    unfinished.replace(path)


def item_fields(item: PromptItem) -> dict[str, Any]:
    """Return the fields of an item in the order of the bank's files; `options` only where it has them."""
    fields = item.model_dump()
    if item.options is None:
        del fields["options"]
    return fields


def bank_hash(items: Iterable[PromptItem]) -> str:
    """Return the SHA-256 (hex) of a bank, the same for any order of its items.

    It covers the JSON of each item (all fields, keys sorted, UTF-8, no spaces), one line each, sorted
    by (domain, id). The order is left out because nothing depends on it: seeds derive from
    the prompt's key.
    """
    digest = hashlib.sha256()
    for item in sorted(items, key=lambda item: (item.domain, item.id)):
        digest.update(orjson.dumps(item_fields(item), option=orjson.OPT_SORT_KEYS) + b"\n")
    return digest.hexdigest()


def bank_from_release(folder: Path) -> tuple[list[PromptItem], list[str]]:
    """Return the items that a release was sampled from, and its conflicts, one sentence each.

    Reads `responses/*.jsonl` or `data/responses/*.jsonl`: one item per (domain, id), as it stands
    where it is met first; a conflict names the line where the same (domain, id) reads otherwise.
    Releases do not carry options, so `options` is None. Raises `DataError` where no record is found
    and for a line that is no record.
    """
    first: dict[tuple[str, str], tuple[str, PromptItem]] = {}
    conflicts: list[str] = []
    for where, line in read_lines(_release_files(folder)):
        item = parse_item(line, where).model_copy(update={"options": None})
        known_where, known = first.setdefault((item.domain, item.id), (where, item))
        differing = [
            name for name in ("prompt", "format", "tags") if getattr(item, name) != getattr(known, name)
        ]
        if differing:
            what = " and ".join(differing)
            conflicts.append(f"{where}: {what} of {item.domain} {item.id} differ from those at {known_where}")
    if not first:
        raise DataError(f"{folder}: its response files hold no records")
    return [item for _, item in first.values()], conflicts


def _release_files(folder: Path) -> list[Traversable]:
    for responses in (folder / "responses", folder / "data" / "responses"):
        found = sorted(responses.glob("*.jsonl"))
        if found:
            return list[Traversable](found)
    raise DataError(f"{folder}: no responses/*.jsonl and no data/responses/*.jsonl: name a release's folder")


def _refuse_duplicates(located: Iterable[tuple[str, PromptItem]]) -> list[PromptItem]:
    first: dict[tuple[str, str], str] = {}
    items = []
    for where, item in located:
        known = first.setdefault((item.domain, item.id), where)
        if known != where:
            raise DataError(
                f"{where}: {item.domain} {item.id} stands at {known} already: give each item its own id"
            )
        items.append(item)
    return items


def _keep_domains(items: list[PromptItem], domains: Sequence[str] | None) -> list[PromptItem]:
    if domains is None:
        return items
    if isinstance(domains, str):
        domains = [domains]
    if not domains:
        raise ConfigError("no domain is chosen: name at least one, or leave domains out for all")
    known = {item.domain for item in items}
    for domain in domains:
        if domain not in known:
            raise unknown_name("domain", domain, known)
    return [item for item in items if item.domain in domains]


def _first_of_each_domain(items: list[PromptItem], limit: int | None) -> list[PromptItem]:
    if limit is None:
        return items
    seen: Counter[str] = Counter()
    kept = []
    for item in items:
        seen[item.domain] += 1
        if seen[item.domain] <= limit:
            kept.append(item)
    return kept
