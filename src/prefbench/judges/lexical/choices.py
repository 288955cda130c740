"""Which option an answer chooses: clause by clause, what is asserted, rejected, granted or left to others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from prefbench.judges.lexical.mentions import Mention, OptionWords, find_mentions, pointed_option, words_of
from prefbench.judges.lexical.signals import Sentence

Outcome = Literal["chosen", "conditional", "retracted", "both", "neither", "undecided"]

_CLAUSE = re.compile(
    r"(?:,|;|:| -+| —)?\s+(?=(?:but|though|although|while|whereas|yet|however)\b)|[;:]\s+|\s+[—-]+\s+|—"
)
_GRANTING = re.compile(
    r"^(?:and )?(?:while|although|though|even though|as much as|despite|whereas|much as|granted)\b"
)
_FIRST_PERSON = re.compile(
    r"\b(?:i|we|me)\b(?: \w+){0,4}? (?:prefer|choose|chose|picked|pick|select|go with|go for|opt|favor|lean|leaning|vote|rather|love|adore"
    r"|admire|like|enjoy|want|take|find|found|think|believe|feel|say|argue|side|sided|reach|drawn|gravitate|cherish|value|crown|settle)\b"
    r"|\bmy (?:\w+ )?(?:choice|pick|answer|preference|favorite|vote|heart|money|winner|verdict|inclination|ranking|top)\b"
    r"|\b(?:gets|get|has|have|wins) my\b|\b(?:for|to) me\b|\bin my (?:opinion|view|book|eyes)\b|\bgive me\b"
)
_VERDICT = re.compile(
    r"\b(?:wins?|winner|hands down|edges? out|outweighs?|prevails?|takes? (?:precedence|priority|the)|comes? first|without (?:a )?(?:doubt|question)"
    r"|matters? more|the (?:answer|better|best|superior|right|clear) (?:\w+ )?(?:is|choice|option|one|answer)|deserves? (?:\w+ )?more|every time|any day"
    r"|definitely|absolutely|certainly|hold(?:s)? (?:more|a)|should (?:come|take|be|win|prevail|give|have|choose|prioriti[sz]e)"
    r"|(?:is|are|feels?|seems?|sounds?|strikes?|has|offers?|carr(?:y|ies)) (?:\w+ ){0,2}?(?:more|better|best|most|superior|preferable|\w{3,}(?:er|est))(?! than (?:just|a)\b)\b)"
)
_REJECTING = frozenset(
    "over than not versus vs unlike without never less neither nor besides against".split()
)
_REJECTING_PAIRS = (
    ("instead", "of"),
    ("rather", "than"),
    ("compared", "to"),
    ("compared", "with"),
    ("ahead", "of"),
    ("opposed", "to"),
    ("more", "than"),
)
_OTHERS = re.compile(
    r"\b(?:some|others|other people|many|people|someone|anyone|those|they|critics|fans|individuals|you|one|your|if|whether|depend(?:s|ing)?|either|both|when)\b"
)
_CONDITION = re.compile(
    r"\b(?:if|when|unless|depending|for (?:those|people|someone)|in (?:a |some )?(?:situations?|cases?|contexts?|moods?))\b(?! (?:i|we) (?:had|have|were|was|must|could)\b| (?:forced|pressed|pushed|asked|it were|it was))"
)
_UNDECIDED = re.compile(
    r"\b(?:can not|could not|unable to|hard to|difficult to|impossible to|do not|would not|not (?:going|able) to|refuse to|hesitate to|not) (?:\w+ ){0,2}?"
    r"(?:choose|pick|decide|rank|say (?:which|that)|select|have (?:\w+ )?(?:a )?(?:preference|favorite|preferences)|prefer|compare|declare|favor)\b"
    r"|\bno (?:\w+ )?(?:preference|favorite|winner|clear|right answer|single)\b"
)
_RETRACTION = re.compile(
    r"\b(?:on second thought|take (?:that|it) back|changed? my mind|scratch that|never ?mind|i retract|let me (?:reconsider|rephrase)|"
    r"actually,? (?:i (?:can not|do not|am not|could not)|no\b|neither|it depends|both)|"
    r"(?:in the end|ultimately|then again|honestly),? i (?:really |just |still )?(?:can not|could not|do not) (?:\w+ )?(?:choose|decide|pick|say|know|prefer|have))"
)
_BOTH = re.compile(r"\b(?:both|equally|each|all (?:four|three|of them)|either|as much as|tie|two sides)\b")
_NEITHER = re.compile(r"\bneither\b|\bnone of (?:them|these|the)\b")
_FRAGMENT_SLACK = 6  # words beside the option in an answer that only names it


class Choice(NamedTuple):
    """What an answer does with the options of its prompt."""

    outcome: Outcome
    option: int | None = None
    explicit: bool = False
    """Chosen in so many words, rather than by naming it alone."""


class _Event(NamedTuple):
    option: int
    explicit: bool
    conditional: bool


def find_choice(sentences: Sequence[Sentence], options: OptionWords) -> Choice:
    """Return which option the sentences choose, or why none is chosen. The last explicit choice counts."""
    events: list[_Event] = []
    mentioned: set[int] = set()
    retracted_at = -1
    for number, sentence in enumerate(sentences):
        if sentence.text.endswith("?") and number:
            continue
        for clause in _clauses(sentence.text):
            if events and _RETRACTION.search(clause):
                retracted_at = len(events)
            words = words_of(clause)
            mentions = find_mentions(words, options)
            mentioned.update(mention.option for mention in mentions)
            event = _read_clause(clause, words, mentions, options, opening=number == 0)
            if event is not None:
                events.append(event)
    return _settle(events, retracted_at, mentioned, sentences)


def _clauses(text: str) -> list[str]:
    parts = [part.strip(" ,") for part in _CLAUSE.split(text)]
    clauses: list[str] = []
    for part in parts:
        if _GRANTING.match(part) and "," in part:
            granted, rest = part.split(",", 1)
            clauses += [granted, rest.strip()]
        elif part:
            clauses.append(part)
    return clauses


def _read_clause(
    clause: str, words: Sequence[str], mentions: Sequence[Mention], options: OptionWords, *, opening: bool
) -> _Event | None:
    """Return the choice that one clause makes, or None."""
    if _GRANTING.match(clause) or _UNDECIDED.search(clause) or _NEITHER.search(clause):
        return None
    first_person = _FIRST_PERSON.search(clause)
    asserted = list(dict.fromkeys(mention.option for mention in mentions if not _rejected(words, mention)))
    if not asserted:
        pointed = pointed_option(clause, options)
        if pointed is None:
            return _other_of_two(mentions, options, explicit=first_person is not None)
        asserted = [pointed]
    if _BOTH.search(clause) and len(asserted) != 1:
        return None
    explicit = first_person is not None or (
        _VERDICT.search(clause) is not None and not _OTHERS.search(clause)
    )
    if len(asserted) > 1 and not (first_person and len(asserted) < options.count):
        return None
    conditional = _CONDITION.search(clause) is not None and first_person is None
    if not explicit and _OTHERS.search(clause) is not None:
        return _Event(asserted[0], explicit=False, conditional=True) if conditional else None
    bare = opening and len(words) <= sum(m.end - m.start for m in mentions) + _FRAGMENT_SLACK
    return _Event(
        asserted[0],
        explicit=explicit or bare,
        conditional=conditional or _CONDITION.search(clause) is not None,
    )


def _rejected(words: Sequence[str], mention: Mention) -> bool:
    """Whether a mention is what something else is preferred to, or is negated."""
    before = list(words[max(0, mention.start - 3) : mention.start])
    if any((one, two) in _REJECTING_PAIRS for one, two in zip(before, before[1:], strict=False)):
        return True
    return any(word in _REJECTING for word in before[-2:])


def _other_of_two(mentions: Sequence[Mention], options: OptionWords, *, explicit: bool) -> _Event | None:
    """ "Anything but tea" says nothing of coffee; "I'd take it over coffee" chooses the other of two."""
    named = {mention.option for mention in mentions}
    if explicit and options.count == 2 and len(named) == 1:
        return _Event(1 - named.pop(), explicit=True, conditional=False)
    return None


def _settle(
    events: Sequence[_Event], retracted_at: int, mentioned: set[int], sentences: Sequence[Sentence]
) -> Choice:
    standing = events[retracted_at:] if retracted_at >= 0 else events
    explicit = [event for event in standing if event.explicit and not event.conditional]
    if explicit:
        return Choice(
            "chosen", explicit[-1].option if retracted_at >= 0 else _leading(explicit), explicit=True
        )
    if retracted_at >= 0 and any(event.explicit for event in events):
        return Choice("retracted")
    if len({event.option for event in standing if event.conditional}) > 1:
        return Choice("conditional")
    conditional = [event for event in standing if event.explicit]
    if conditional and len({event.option for event in conditional}) == 1:
        return Choice("chosen", conditional[0].option, explicit=True)
    text = " ".join(sentence.text for sentence in sentences[:3])
    if _NEITHER.search(text):
        return Choice("neither")
    if _BOTH.search(text) and len(mentioned) != 1:
        return Choice("both")
    if len(mentioned) == 1 and standing:
        return Choice("chosen", standing[0].option)
    return Choice("undecided")


def _leading(events: Sequence[_Event]) -> int:
    """Of several explicit choices, the one made most often; the first on a tie."""
    options = [event.option for event in events]
    return max(dict.fromkeys(options), key=options.count)
