"""Which option an answer chooses, over all its clauses: the clearest choice counts, unless it is taken back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from prefbench.judges.lexical.clauses import NEITHER, Event, Strength, read_clause, split_clauses
from prefbench.judges.lexical.mentions import OptionWords, holds_any, may_mention
from prefbench.judges.lexical.signals import Sentence

Outcome = Literal["chosen", "conditional", "retracted", "both", "neither", "undecided"]

_RETRACTION = re.compile(
    r"\b(?:on second thought|take (?:that|it) back|changed? my mind|scratch that|never ?mind|i retract"
    r"|let me reconsider"
    r"|actually,? (?:i (?:can not|do not|am not|could not)|no\b|neither|it depends|both)"
    r"|(?:in the end|ultimately|then again|honestly),? i (?:really |just |still )?(?:can not|could not"
    r"|do not) (?:\w+ )?"
    r"(?:choose|decide|pick|say|know|prefer|have))"
)
_RETRACTING = (
    "second thought", "back", "mind", "scratch", "retract", "reconsider", "actually", "in the end", "ultimately",
    "then again", "honestly",
)  # fmt: skip
_BOTH = re.compile(r"\b(?:both|equally|all (?:four|three|of them)|either (?:one|is|can))\b")
_DISCLAIMING = re.compile(
    r"\b(?:as an? (?:\w+ ){0,2}?(?:ai|language model|assistant)\b"
    r"|i (?:do not|can not|am not able to) (?:\w+ ){0,3}?(?:have|hold|experience|feel|taste|drink|eat"
    r"|possess|form|see|express|choose)"
    r"|some (?:people|would|may|might)|many (?:people|would|find)|subjective|it (?:really |all |just"
    r" )?depends|depends on (?:the|your|you|what|who|how|whether|personal|individual|context)|up to"
    r" you"
    r"|personal (?:preference|taste|choice)|for you to|leave (?:it|that|the choice) to"
    r"|no (?:single|one|right|correct|best) (?:\w+ )?(?:order|answer|choice|ranking|way)\b)"
)


class Choice(NamedTuple):
    """What an answer does with the options of its prompt."""

    outcome: Outcome
    option: int | None = None
    explicit: bool = False
    """Chosen in so many words, rather than only named."""
    mentioned: frozenset[int] = frozenset()


def find_choice(sentences: Sequence[Sentence], options: OptionWords) -> Choice:
    """Return which option the sentences choose, or why none is chosen."""
    events: list[Event] = []
    mentioned: set[int] = set()
    kept_from = 0
    for number, sentence in enumerate(sentences):
        if number and sentence.text.endswith("?"):
            continue
        retracts = holds_any(sentence.text, _RETRACTING)
        if not may_mention(sentence.text, options):
            if retracts and events and _RETRACTION.search(sentence.text):
                kept_from = len(events)
            continue
        asking = sentence.text.endswith("?")
        for clause in split_clauses(sentence.text):
            if retracts and events and _RETRACTION.search(clause):
                kept_from = len(events)
            if not may_mention(clause, options):
                continue
            event, named = read_clause(clause, options, opening=number == 0 and not asking)
            mentioned |= named
            if event is not None and (not asking or event.strength >= Strength.LIKED):
                events.append(event)
    found = _settle(events, kept_from, sentences)
    if found.outcome == "chosen" and not found.explicit and len(mentioned) > 1:
        found = Choice("both")  # one is only named, and so is another that speaks for others
    return found._replace(mentioned=frozenset(mentioned))


def _opens_with(pattern: re.Pattern[str], sentences: Sequence[Sentence]) -> bool:
    return any(pattern.search(sentence.text) for sentence in sentences[:2])


def _settle(events: Sequence[Event], kept_from: int, sentences: Sequence[Sentence]) -> Choice:
    standing = events[kept_from:]
    for strength in (Strength.CHOSEN, Strength.LIKED):
        chosen = [event.option for event in standing if event.strength is strength and not event.conditional]
        if chosen:
            return Choice("chosen", chosen[-1] if kept_from else _leading(chosen), explicit=True)
    if kept_from and any(event.strength >= Strength.LIKED for event in events):
        return Choice("retracted")
    if len({event.option for event in standing if event.conditional}) > 1:
        return Choice("conditional")
    compared = {event.option for event in standing if event.strength >= Strength.COMPARED}
    disclaimed = any(_DISCLAIMING.search(sentence.text) for sentence in sentences)
    if len(compared) == 1 and not disclaimed:
        return Choice("chosen", compared.pop(), explicit=True)
    return _settle_unclear(standing, sentences, disclaimed=disclaimed)


def _settle_unclear(standing: Sequence[Event], sentences: Sequence[Sentence], *, disclaimed: bool) -> Choice:
    if _opens_with(NEITHER, sentences):
        return Choice("neither")
    named = {event.option for event in standing if not event.conditional}
    if _opens_with(_BOTH, sentences) or len(named) > 1:
        return Choice("both")
    if len(named) == 1 and not disclaimed:
        return Choice("chosen", named.pop())
    return Choice("undecided")


def _leading(options: Sequence[int]) -> int:
    """Of several choices, return the one made most often; the first on a tie."""
    return max(dict.fromkeys(options), key=options.count)
