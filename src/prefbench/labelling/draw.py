"""Which responses a person labels: a seeded draw, even over conditions and domains, that can grow."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice, zip_longest
from pathlib import Path

from prefbench.errors import DataError, unknown_name
from prefbench.folders import ConditionFolder, find_conditions, match_condition
from prefbench.labelling.lines import LabelItem, LabelKey
from prefbench.records import SHORT_DOMAINS, RecordKey, ResponseRecord
from prefbench.scores import read_cells
from prefbench.store import read_models

Stratum = tuple[str, str]


def draw_items(
    study: str | Path,
    *,
    size: int,
    seed: int = 0,
    conditions: Sequence[str] | None = None,
    domains: Sequence[str] | None = None,
) -> list[LabelItem]:
    """Return `size` responses of a study, or all there are, in the order in which they are to be labelled.

    Conditions x domains are the strata. In turn, in an order shuffled anew each time round, each gives a
    response of a prompt that it has not given yet, until all of its prompts have had their turn. So any
    beginning of the list is a balanced draw, and a larger size goes on where a smaller one stops. The three
    short domains are left out unless `domains` names them or is ["all"]. Raises ConfigError for an unknown
    condition or domain, DataError for records that cannot be read.
    """
    folders = find_conditions(study)
    if conditions:
        names = [match_condition(name, [folder.name for folder in folders]) for name in conditions]
        folders = [folder for folder in folders if folder.name in names]
    strata = _find_strata(folders, domains)
    if not strata:
        raise DataError(f"{study}: holds no responses to label; run `prefbench sample` first")
    keys = list(islice(_take_turns(strata, seed), size))
    return _add_texts(folders, keys)


def _find_strata(
    folders: Sequence[ConditionFolder], domains: Sequence[str] | None
) -> dict[Stratum, dict[str, list[LabelKey]]]:
    """Return the responses of each prompt, by condition and domain."""
    strata: dict[Stratum, dict[str, list[LabelKey]]] = {}
    for folder in folders:
        for key, _, n_samples in read_cells(folder.response_files()):
            prompts = strata.setdefault((folder.name, key.domain), {})
            slots = (LabelKey(folder.name, *key, place) for place in range(n_samples))
            prompts.setdefault(key.id, []).extend(slots)
    known = {domain for _, domain in strata}
    for domain in domains or []:
        if domain not in known and domain != "all":
            raise unknown_name("domain", domain, [*known, "all"])
    return {
        stratum: prompts
        for stratum, prompts in sorted(strata.items())
        if (stratum[1] not in SHORT_DOMAINS if not domains else "all" in domains or stratum[1] in domains)
    }


def _take_turns(strata: dict[Stratum, dict[str, list[LabelKey]]], seed: int) -> Iterator[LabelKey]:
    queues = [_shuffle_stratum(stratum, prompts, seed) for stratum, prompts in strata.items()]
    generator = random.Random(f"{seed}/turns")
    for turn in zip_longest(*queues):
        drawn = [key for key in turn if key is not None]
        generator.shuffle(drawn)
        yield from drawn


def _shuffle_stratum(stratum: Stratum, prompts: dict[str, list[LabelKey]], seed: int) -> Iterator[LabelKey]:
    """Yield one response of every prompt, in random order; then a second one of each; and so on."""
    generator = random.Random(f"{seed}/{'/'.join(stratum)}")
    slots = [sorted(prompts[prompt]) for prompt in sorted(prompts)]
    generator.shuffle(slots)
    for each in slots:
        generator.shuffle(each)
    for turn in zip_longest(*slots):
        yield from (key for key in turn if key is not None)


def _add_texts(folders: Sequence[ConditionFolder], keys: Sequence[LabelKey]) -> list[LabelItem]:
    wanted = {(key.condition, key.record) for key in keys}
    records: dict[tuple[str, RecordKey], ResponseRecord] = {}
    for folder in folders:
        for path in folder.response_files():
            for _, record in read_models(path, ResponseRecord):
                if (folder.name, record.key) in wanted:
                    records[folder.name, record.key] = record
    return [make_item(key, records[key.condition, key.record]) for key in keys]


def make_item(key: LabelKey, record: ResponseRecord) -> LabelItem:
    """Return the item of one response of a record."""
    return LabelItem(
        condition=key.condition,
        domain=key.domain,
        id=key.id,
        temperature=key.temperature,
        index=key.place,
        prompt=record.prompt,
        response=record.responses[key.place].text,
    )
