"""What one clause of an answer does with the options: chooses, prefers, only names, rejects, leaves to others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple

from prefbench.judges.lexical.mentions import Mention, OptionWords, find_mentions, pointed_option, words_of
from prefbench.options import word_set

_ADVERBS = r"(?: \w+){0,4}?"
_JOINT = re.compile(
    r"(?:,|;|:| -+| —)?\s+(?=(?:but|because|since|even if|though|although|while|whereas|yet|however)\b)"
    r"|[;:]\s+|\s+[—–-]+\s+|—"
)
_CONTRASTING = re.compile(r"^(?:while|whereas) ")
_GRANTING = re.compile(
    r"^(?:and )?(?:while|although|though|even though|as much as|despite|whereas|much as|granted)\b"
)
_FIRST_PERSON = re.compile(
    rf"\b(?:i|we|me)\b{_ADVERBS} (?:prefer|choose|chose|choosing|pick|picked|select|go with|go for|opt"
    rf"|favor|lean|leaning|vote|rather"
    r"|love|adore|admire|like|enjoy|want|take|find|found|think|believe|feel|say|argue|side|reach|drawn"
    r"|gravitate|cherish|value"
    r"|crown|settle|rank|call)\b"
    r"|\bmy (?:\w+ )?(?:choice|pick|answer|preference|favorite|vote|heart|money|winner|verdict"
    r"|inclination|ranking|top)\b"
    r"|\b(?:gets|get|has|have|wins) my\b|\b(?:for|to|with) me\b|\bin my (?:opinion|view|book|eyes)\b"
    r"|\bgive me\b|^personally\b"
)
_COMPARISON = re.compile(
    r"\b(?:wins?|winner|hands down|edges? out|outweighs?|prevails?|takes? (?:precedence|priority)"
    r"|comes? first"
    r"|without (?:a )?(?:doubt|question)|(?:matters?|deserves?) (?:\w+ )?more|every time|any day|all the way|no contest"
    r"|the (?:answer|better|best|superior|right|clear) (?:\w+ )?(?:is|choice|option|one|answer)"
    r"|definitely|absolutely|certainly"
    r"|should (?:come|take|be|win|prevail|give|have|choose|prioriti[sz]e)"
    r"|(?:is|are|feels?|seems?|sounds?|strikes?|has|offers?|carr(?:y|ies)) (?:\w+ ){0,2}?"
    r"(?:more|better|best|most|superior|preferable|(?!(?:over|under|other|rather|either|water|winter"
    r"|summer)\b)\w{3,}(?:er|est)))\b"
)
_POSSIBLY = re.compile(r"\b(?:may|might|can|could|sometimes|often)\b")
_REJECTING = word_set("over than not versus vs unlike without never less neither nor besides against")
_NEGATIONS = frozenset(("not", "never"))
_REJECTING_PAIRS = frozenset(
    tuple(pair.split())
    for pair in (
        "instead of",
        "rather than",
        "compared to",
        "compared with",
        "ahead of",
        "opposed to",
        "prefer to",
    )
)
_NEGATED_CHOICE = re.compile(
    r"\b(?:never|not) (?:\w+ ){0,2}?(?:choose|pick|prefer|favor|go (?:with|for)|take|trade|give up)\b"
)
_WORSE = re.compile(
    r"\b(?:not (?:\w+ )?(?:as|so)|less) \w+(?: \w+){0,2}? (?:as|than)\b"
    r"|\b(?:can|does|do|could) not (?:\w+ )?(?:match|compare|rival|beat|compete)\b"
)
_OTHERS = re.compile(
    r"\b(?:some|others|other people|many|people|someone|anyone|those who|they|critics|fans|individuals"
    r"|you|your|(?<!even )if|whether"
    r"|depend(?:s|ing)?|either|both)\b"
)
_CONDITION = re.compile(
    r"\b(?:(?<!even )if|otherwise|when|unless|depending|for (?:those|people|someone)|in (?:a |some"
    r" )?(?:situations?|cases?|contexts?|moods?))\b"
    r"(?! (?:(?:i|we) (?:had|have|were|was|must|could|am)|forced|pressed|pushed|asked|it (?:were|was"
    r"|came))\b)"
)
_IF_PRESSED = re.compile(r"\bif (?:i|we|forced|pressed|pushed|asked|it)\b")
_UNDECIDED = re.compile(
    r"\b(?:can not|could not|unable to|hard to|difficult to|impossible to|do not|would not|not"
    r" (?:going|able) to|refuse to"
    r"|hesitate to) (?:\w+ ){0,2}?(?:choose|pick|decide|rank|say (?:which|that)|select|have (?:\w+"
    r" ){0,2}?(?:preferences?|favorites?)"
    r"|compare|declare)\b|\bno (?:\w+ )?(?:preference|favorite|winner|clear|right answer|single)\b"
)
_BOTH = re.compile(r"\b(?:both|equally|each|all (?:four|three|of them)|either|as much as|tie|two sides)\b")
NEITHER = re.compile(r"\bneither\b|\bnone of (?:them|these|the)\b")
_SPEAKER = frozenset(("i", "we", "me", "my", "personally"))
_NEGATING = word_set("not no less neither none unable hard difficult impossible refuse hesitate")
_BESIDE_A_NAME = word_set(
    "the a an my of at in on for to and with by from it it's is i i'd i'll would say go definitely"
    " absolutely certainly probably easily honestly always personally sure well hmm oh ah um ok okay please no question"
    " hesitation without doubt contest hands down course team option choice answer one first second former latter"
)
"""Words that may stand beside an option in an opening that only names it ("Definitely the tea.")."""


class Strength(IntEnum):
    """How clearly a clause chooses."""

    NAMED = 1
    COMPARED = 2
    """Held above the other in the third person ("tea is better")."""
    CHOSEN = 3
    """In the first person, or as all that the opening says."""


class Event(NamedTuple):
    """One option put forward by one clause."""

    option: int
    strength: Strength
    conditional: bool = False


def split_clauses(text: str) -> list[str]:
    """Split a sentence in plain form at contrasts, colons and dashes; a leading concession is its own clause."""
    clauses: list[str] = []
    for part in _JOINT.split(text):
        clause = part.strip(" ,")
        if clauses:
            clause = _CONTRASTING.sub("", clause)
        if _GRANTING.match(clause) and "," in clause:
            granted, rest = clause.split(",", 1)
            clauses += [granted, rest.strip()]
        elif clause:
            clauses.append(clause)
    return clauses


def read_clause(clause: str, options: OptionWords, *, opening: bool) -> tuple[Event | None, set[int]]:
    """Return the option that a clause puts forward, if any, and all options that it names."""
    words = words_of(clause)
    mentions = find_mentions(words, options)
    pointed = None if mentions else pointed_option(clause, options)
    if not mentions and pointed is None:
        return None, set()
    named = {mention.option for mention in mentions}
    used = frozenset(words)
    first_person = not _SPEAKER.isdisjoint(used) and _FIRST_PERSON.search(clause) is not None
    to_others = _OTHERS.search(clause) is not None and not _IF_PRESSED.search(clause)
    negates = not _NEGATING.isdisjoint(used)
    if mentions and negates and _WORSE.search(clause) and (first_person or not to_others):
        return _better_of(mentions), named
    if _GRANTING.match(clause) or (negates and (_UNDECIDED.search(clause) or NEITHER.search(clause))):
        return None, named
    asserted = _asserted(clause, words, mentions) if pointed is None else [pointed]
    if not asserted:
        return (_other_of_two(mentions, options) if first_person else None), named
    if len(asserted) > 1 and (len(asserted) == options.size or _BOTH.search(clause) or not first_person):
        return None, named
    spoken_of = {position for mention in mentions for position in range(mention.start, mention.end)}
    bare = opening and all(word in _BESIDE_A_NAME or at in spoken_of for at, word in enumerate(words))
    return _weigh(clause, asserted[0], first_person=first_person, to_others=to_others, bare=bare), named


def _weigh(clause: str, option: int, *, first_person: bool, to_others: bool, bare: bool) -> Event | None:
    """Return how clearly a clause that speaks for one option chooses it."""
    conditional = _CONDITION.search(clause) is not None
    if first_person:
        return Event(option, Strength.CHOSEN, conditional)
    if to_others:
        return Event(option, Strength.NAMED, conditional) if conditional else None
    if bare:
        return Event(option, Strength.CHOSEN, conditional)
    compared = _COMPARISON.search(clause) is not None and _POSSIBLY.search(clause) is None
    return Event(option, Strength.COMPARED if compared else Strength.NAMED, conditional)


def _asserted(clause: str, words: Sequence[str], mentions: Sequence[Mention]) -> list[int]:
    """Return the options that a clause speaks for, in order; with "never pick A over B" that is B."""
    negated = _NEGATED_CHOICE.search(clause) is not None
    signs = _REJECTING - _NEGATIONS if negated else _REJECTING
    rejected = [_rejected(words, mention, signs) for mention in mentions]
    if negated:
        if not any(rejected):
            return []
        rejected = [not item for item in rejected]
    kept = [mention.option for mention, out in zip(mentions, rejected, strict=True) if not out]
    if len(mentions) == 2 and len(set(kept)) == 2 and _prefers_to(words, mentions):
        kept = kept[:1]
    return list(dict.fromkeys(kept))


def _prefers_to(words: Sequence[str], mentions: Sequence[Mention]) -> bool:
    """Whether the clause reads "prefer A to B"."""
    between = words[mentions[0].end : mentions[1].start]
    return "prefer" in words[: mentions[0].start] and "to" in between[:2]


def _rejected(words: Sequence[str], mention: Mention, signs: frozenset[str]) -> bool:
    """Whether a mention is what something else is preferred to, or is negated."""
    before = list(words[max(0, mention.start - 4) : mention.start])
    if any(pair in _REJECTING_PAIRS for pair in pairwise(before)):
        return True
    return any(word in signs for word in before[-3:])


def _better_of(mentions: Sequence[Mention]) -> Event | None:
    """Read "tea is not as good as coffee": the last named is the better one."""
    named = list(dict.fromkeys(mention.option for mention in mentions))
    return Event(named[1], Strength.CHOSEN) if len(named) == 2 else None


def _other_of_two(mentions: Sequence[Mention], options: OptionWords) -> Event | None:
    """Read "I'd take it over coffee" and "I would never pick coffee": of two options the other is chosen."""
    named = {mention.option for mention in mentions}
    if options.size == 2 and len(named) == 1:
        return Event(1 - named.pop(), Strength.CHOSEN)
    return None
