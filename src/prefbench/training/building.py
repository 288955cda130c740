"""Make preference pairs from a study: its responses, and a judge's scores or two conditions, in; JSONL files out."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, cast

from prefbench.backends import Treatment
from prefbench.backends.hf.prompts import render_prompt
from prefbench.bank import write_bank
from prefbench.errors import ConfigError, DataError, unknown_name
from prefbench.folders import ConditionFolder, find_conditions, match_condition
from prefbench.manifest import Manifest, read_manifest
from prefbench.records import PromptItem, PromptStyle, parse_temperature
from prefbench.store import locked
from prefbench.study import DEFAULT_STUDY
from prefbench.training.answers import Answers, choose_judge, collect_answers
from prefbench.training.pairs import (
    HELD_OUT_FILE,
    HELD_OUT_PROMPTS_FILE,
    TRAIN_FILE,
    Message,
    Pair,
    describe_pairs,
    write_pairs,
)

STYLES = ("chat", "qa", "completion")
Key = tuple[str, str]
"""Domain and id of a prompt."""


@dataclass(slots=True)
class PairsReport:
    """What building pairs came to."""

    folder: Path
    chosen: str
    rejected: str
    judge: str | None
    prompt_style: str
    pairs: int = 0
    held_out_pairs: int = 0
    prompts: int = 0
    held_out_prompts: int = 0
    without_chosen: int = 0
    """Prompts that have no answer to choose."""
    without_rejected: int = 0
    """Prompts that have no answer to reject."""
    cut_off: int = 0
    """Answers that ended at max_tokens: what has no end cannot teach one, so they are left out."""
    unscored: int = 0
    """Answers without a readable verdict, left out."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report ready for JSON."""
        return {**asdict(self), "folder": str(self.folder)}


@dataclass(frozen=True, slots=True)
class _Plan:
    """What was asked for, checked."""

    chosen: ConditionFolder
    rejected: ConditionFolder
    judge: str | None
    style: PromptStyle
    enable_thinking: bool
    system_prompt: str | None
    settings: dict[str, Any] = field(default_factory=dict)


def build_pairs(  # noqa: PLR0913 - the words of `prefbench train pairs`
    study: str | Path = DEFAULT_STUDY,
    *,
    out: str | Path = "pairs",
    chosen: str | None = None,
    rejected: str | None = None,
    judge: str | None = None,
    temps: Sequence[float] | None = None,
    domains: Sequence[str] | None = None,
    per_prompt: int = 1,
    held_out: float = 0.2,
    prompt_style: str | None = None,
    seed: int = 0,
) -> PairsReport:
    """Write pairs of answers to the same prompt into the folder `out`, and return what was done.

    The rejected answers are the model's own default: those of the condition `rejected` (the study's first). The
    chosen ones are those of the condition `chosen`, e.g. one with a system prompt; or, if it is the same one, the
    answers that commit. With a judge's scores, chosen answers commit (Y) and rejected ones do not (N). The prompt
    is put as the rejected condition put it, without the chosen one's system prompt.

    `held_out` of each domain's prompts are kept out of training, with all of their answers: their pairs are in
    held_out.jsonl, and they are a prompt bank for evaluation in held_out_prompts.jsonl. The same seed makes the
    same files.

    Raises ConfigError for what cannot be asked for, DataError for a study that cannot be read or has no pairs.
    """
    _check_numbers(per_prompt, held_out)
    plan = _make_plan(Path(study), chosen, rejected, judge=judge, prompt_style=prompt_style)
    temperatures = None if temps is None else sorted({parse_temperature(temp) for temp in temps})
    answers = collect_answers(
        plan.chosen, plan.rejected, judge=plan.judge, temps=temperatures, domains=domains
    )
    held = _hold_out(answers.items, held_out, seed)
    pairs = {key: list(_pair_up(plan, answers, key, per_prompt, seed)) for key in sorted(answers.items)}
    settings = {
        **plan.settings,
        "temps": temperatures,
        "domains": None if domains is None else sorted(domains),
        "per_prompt": per_prompt,
        "held_out": held_out,
        "seed": seed,
        "answers_sha256": answers.digest,
    }
    report = _make_report(Path(out), plan, answers, pairs=pairs, held=held)
    if not report.pairs:
        raise DataError(_explain_no_pairs(report))
    _write(report, settings, answers, pairs=pairs, held=held)
    return report


def _make_plan(
    study: Path, chosen: str | None, rejected: str | None, *, judge: str | None, prompt_style: str | None
) -> _Plan:
    folders = {folder.name: folder for folder in find_conditions(study)}
    names = list(folders)
    default = folders[names[0] if rejected is None else match_condition(rejected, names)]
    preferred = default if chosen is None else folders[match_condition(chosen, names)]
    if judge is not None or preferred is default:
        judge = choose_judge([preferred, default], judge)
    manifest = read_manifest(default.manifest)["settings"] if default.manifest.is_file() else {}
    style = prompt_style or manifest.get("prompt_style")
    if style is None:
        raise ConfigError(
            f"{default.path}: no manifest says how its prompts were put; give --prompt-style chat, qa or completion"
        )
    if style not in STYLES:
        raise unknown_name("prompt style", style, STYLES)
    settings = {
        "origin": "train_pairs",
        "chosen": preferred.name,
        "rejected": default.name,
        "judge": judge,
        "prompt_style": style,
        "system_prompt": manifest.get("system_prompt"),
        "model": manifest.get("model"),
        "weights": manifest.get("weights"),
    }
    return _Plan(
        preferred,
        default,
        judge,
        cast("PromptStyle", style),
        bool(manifest.get("enable_thinking")),
        manifest.get("system_prompt"),
        settings,
    )


def _hold_out(items: dict[Key, PromptItem], share: float, seed: int) -> frozenset[Key]:
    """Return the prompts kept out of training: the same share of every domain, drawn by their hash."""
    domains: dict[str, list[Key]] = defaultdict(list)
    for key in items:
        domains[key[0]].append(key)
    held: set[Key] = set()
    for keys in domains.values():
        ranked = sorted(keys, key=lambda key: _hash(seed, "held out", *key))
        held.update(ranked[: round(share * len(ranked))])
    return frozenset(held)


def _pair_up(plan: _Plan, answers: Answers, key: Key, per_prompt: int, seed: int) -> list[Pair]:
    """Return up to `per_prompt` pairs; no answer is in two, and a text that is on both sides is in none."""
    chosen, rejected = answers.chosen[key], answers.rejected[key]
    both = chosen & rejected
    pools = []
    for side, texts in (("chosen", chosen), ("rejected", rejected)):
        pool = sorted(texts - both)
        random.Random(_hash(seed, side, *key)).shuffle(pool)
        pools.append(pool[:per_prompt])
    return [
        _make_pair(plan, answers.items[key], good, bad) for good, bad in zip(pools[0], pools[1], strict=False)
    ]


def _make_pair(plan: _Plan, item: PromptItem, chosen: str, rejected: str) -> Pair:
    named: dict[str, Any] = {
        "domain": item.domain,
        "id": item.id,
        "chosen": _as_sent(chosen, plan.style),
        "rejected": _as_sent(rejected, plan.style),
    }
    if plan.style != "chat":
        prompt = render_prompt(item.prompt, Treatment("", system_prompt=plan.system_prompt), plan.style)
        return Pair(prompt=prompt, **named)
    messages = [Message(role="user", content=item.prompt)]
    if plan.system_prompt:
        messages.insert(0, Message(role="system", content=plan.system_prompt))
    return Pair(prompt=messages, chat_template_kwargs={"enable_thinking": plan.enable_thinking}, **named)


def _as_sent(text: str, style: PromptStyle) -> str:
    """Return an answer as it follows the prompt: `Answer:` is followed by a space, and the end is the end."""
    text = text.rstrip()
    return f" {text}" if style == "qa" and not text[:1].isspace() else text


def _make_report(
    out: Path, plan: _Plan, answers: Answers, *, pairs: dict[Key, list[Pair]], held: frozenset[Key]
) -> PairsReport:
    return PairsReport(
        folder=out,
        chosen=plan.chosen.name,
        rejected=plan.rejected.name,
        judge=plan.judge,
        prompt_style=plan.style,
        pairs=sum(len(found) for key, found in pairs.items() if key not in held),
        held_out_pairs=sum(len(found) for key, found in pairs.items() if key in held),
        prompts=len(answers.items),
        held_out_prompts=len(held),
        without_chosen=sum(not answers.chosen[key] for key in answers.items),
        without_rejected=sum(not answers.rejected[key] for key in answers.items),
        cut_off=answers.cut_off,
        unscored=answers.unscored,
    )


def _write(
    report: PairsReport,
    settings: dict[str, Any],
    answers: Answers,
    *,
    pairs: dict[Key, list[Pair]],
    held: frozenset[Key],
) -> None:
    train = [pair for key, found in pairs.items() if key not in held for pair in found]
    kept_out = [pair for key, found in pairs.items() if key in held for pair in found]
    random.Random(_hash(settings["seed"], "order")).shuffle(train)
    with locked(report.folder, "pairs"):
        manifest = Manifest(
            report.folder / "manifest.json", settings, cure="give the same settings, or another --out"
        )
        manifest.start_run(train=describe_pairs(train), held_out=describe_pairs(kept_out))
        write_pairs(report.folder / TRAIN_FILE, train)
        if held:
            write_pairs(report.folder / HELD_OUT_FILE, kept_out)
            items = [answers.items[key].model_copy(update={"options": None}) for key in sorted(held)]
            write_bank(report.folder / HELD_OUT_PROMPTS_FILE, items)
        manifest.finish_run(**{name: value for name, value in report.to_dict().items() if name != "folder"})


def _explain_no_pairs(report: PairsReport) -> str:
    verdicts = f", {report.unscored} without a readable verdict" if report.judge else ""
    return (
        f"no pairs to train on: of {report.prompts} prompts {report.without_chosen} have no answer to choose "
        f"({report.chosen}) and {report.without_rejected} none to reject ({report.rejected}); {report.cut_off} answers "
        f"were cut off at max_tokens{verdicts}; sample or judge more, or choose other conditions"
    )


def _check_numbers(per_prompt: int, held_out: float) -> None:
    if per_prompt < 1:
        raise ConfigError(f"per_prompt {per_prompt} must be 1 or more")
    if not 0 <= held_out < 1:
        raise ConfigError(
            f"held_out {held_out} is the share of prompts kept out of training: 0 or more, below 1"
        )


def _hash(seed: int, *parts: str) -> int:
    text = "\0".join((str(seed), *parts))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
