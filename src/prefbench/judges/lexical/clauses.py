"""What one clause of an answer does with the options: chooses, prefers, only names, rejects, leaves to others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from prefbench.judges.lexical.mentions import (
    Mention,
    OptionWords,
    find_mentions,
    holds_any,
    pointed_option,
    words_of,
)
from prefbench.options import word_set

_ADVERBS = r"(?: \w+){0,4}?"
_JOINT = re.compile(
    r" (?<!anything )(?<!nothing )(?=(?:but|because|since|even if|though|although|while|whereas|yet|however)\b)"
    r"|;\s|:\s| [—–-]+ |—"
)
_CONTRASTING = re.compile(r"^(?:while|whereas) |^but (?=(?:rather |instead |only |simply )?\S)")
_GRANTING = re.compile(
    r"^(?:and )?(?:while|although|though|even though|as much as|despite|whereas|much as|granted|sometimes"
    r"|(?:on |there are |in )?(?:some|certain|other) (?:days|moods|times)|at (?:times|first)|once|now and then)\b"
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
    r"|\bgive me\b|^personally\b|\bthe one (?:that |which )?i\b|\bi (?:would |will |do |always |just )*(?:keep"
    r"|come back to|return to|care (?:\w+ )?for|save|reach for|turn to)\b"
    r"|\b(?:wins?|won|draws?|drew|pulls?|moves?|tempts?|charms?|attracts?|grabs?|touches|touched|stirs?"
    r"|delights?|excites?|fascinates?|interests?|intrigues?|convinces?|persuades?|sways?|captivates?|enchants?"
    r"|thrills?|suits?|gets|holds|calls?|pleases?|inspires?|catches) me\b"
)
_LIKING = re.compile(
    r"\bi (?:(?:do|also|really|quite|rather|certainly|still|both|too) )*(?:like|love|enjoy|adore|admire|value|cherish"
    r"|appreciate)\b(?!.*\b(?:more|most|best|better|over|than|above|rather)\b)"
)
_COMPARISON = re.compile(
    r"\b(?:wins?|winner|hands down|edges? out|outweighs?|prevails?|takes? (?:precedence|priority)"
    r"|comes? first|tips? the (?:scales?|balance)|settles it|clinches it|carries the day"
    r"|without (?:a )?(?:doubt|question)|(?:matters?|deserves?) (?:\w+ )?more|every time|any day|all the way|no contest"
    r"|the (?:answer|better|best|superior|right|clear) (?:\w+ )?(?:is|choice|option|one|answer)"
    r"|definitely|absolutely|certainly"
    r"|should (?:come|take|be|win|prevail|give|have|choose|prioriti[sz]e)"
    r"|(?:is|are|feels?|seems?|sounds?|strikes?|has|offers?|carr(?:y|ies)) (?:\w+ ){0,2}?"
    r"(?:more|better|best|most|superior|preferable|(?!(?:over|under|other|rather|either|water|winter"
    r"|summer|matter|letter|answer|order|never|paper|number|power|corner|river|flower|wonder|character|manner"
    r"|together|another|forest|honest|interest|test|quest|guest|rest|west)\b)\w{3,}(?:er|est)))\b"
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
        "anything but",
    )
)
_JOINING = word_set("or and nor the a an any either")
_OUTDOING = word_set("beats trumps tops outshines outdoes outranks surpasses eclipses outclasses")
_PRECEDING = word_set("before above")
_DENYING = word_set("is are was were does do did has have can could will would")
_LIKING_WORDS = word_set("like love enjoy adore admire value cherish appreciate")
_JOINT_WORDS = word_set("but because since though although while whereas yet however even")
_JOINT_SIGNS = (": ", "; ", "—", " –", " -")
_NOT_ONLY = re.compile(r"\bnot (?:only|just|merely|simply|solely)\b.*\bbut\b")
_WON_OVER = word_set("me us you them him her people everyone")
_NOT_DENIED = word_set("only just merely simply bad without")
_AFTER_A_CONTRAST = word_set(
    "by any every for in on at narrowly slightly just barely hands easily always of please"
    " thanks no without if since as"
    " with probably definitely certainly clearly mostly largely i if anytime marginally though even"
)
"""Words that may go on after "tea over coffee" where that is all that is said ("by a hair", not "is a choice")."""
_NEGATED_CHOICE = re.compile(
    r"\b(?:never|not) (?:\w+ ){0,2}?(?:choose|pick|prefer|favor|go (?:with|for)|take|trade|give up)\b"
)
_WORSE = re.compile(
    r"\b(?:not (?:\w+ )?(?:as|so)|less) \w+(?: \w+){0,2}? (?:as|than)\b"
    r"|\b(?:can|does|do|could) not (?:\w+ )?(?:match|compare|rival|beat|compete)\b"
)
_OTHERS = re.compile(
    r"\b(?:some|others|other people|many|people|someone|anyone|those who|they|critics|fans|individuals"
    r"|you|your|(?<!even )if(?! (?:only|just|barely)\b)|whether"
    r"|depend(?:s|ing)?|either|both)\b"
)
_CONDITION = re.compile(
    r"\b(?:(?<!even )if(?! (?:only|just|barely)\b)|otherwise|when|unless|depending|for (?:those"
    r"|people|someone)|in (?:a |some"
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
    r"|compare|declare)\b|\b(?:can|could|would|do|did) not (?:\w+ )?(?:say|tell|know"
    r"|decide)(?: (?:for sure|yet|really))?\W*$"
    r"|\bno (?:\w+ )?(?:preference|favorite|winner|clear|right answer|single)\b"
)
_BOTH = re.compile(r"\b(?:both|equally|each|all (?:four|three|of them)|either|as much as|tie|two sides)\b")
NEITHER = re.compile(r"\bneither\b|\bnone of (?:them|these|the)\b")
_SPEAKER = frozenset(("i", "we", "me", "my", "personally"))
_NEGATING = word_set("not no less neither none unable hard difficult impossible refuse hesitate")
_BESIDE_A_NAME = word_set(
    "the a an my of at in on for to and with by from it it's is i i'd i'll would say go definitely"
    " absolutely certainly probably easily honestly always personally sure well hmm oh ah um ok okay please no question"
    " hesitation without doubt contest hands down course team option choice answer one first second former latter"
    " but rather instead just only simply not so then me my nothing"
)
"""Words that may stand beside an option in an opening that only names it ("Definitely the tea.")."""
_CONTRASTS = word_set(
    "over than instead before above ahead more sooner better less beats trumps tops or and nor anything"
)


class Strength(IntEnum):
    """How clearly a clause chooses."""

    NAMED = 1
    COMPARED = 2
    """Held above the other in the third person ("tea is better")."""
    LIKED = 3
    """Liked in the first person, which a choice of another one outdoes ("I like tea, but I'd take coffee")."""
    CHOSEN = 4
    """In the first person, or as all that the opening says."""


class Event(NamedTuple):
    """One option put forward by one clause."""

    option: int
    strength: Strength
    conditional: bool = False


def split_clauses(text: str) -> list[str]:
    """Split a sentence in plain form at contrasts, colons and dashes; a leading concession is its own clause."""
    joined = not _JOINT_WORDS.isdisjoint(text.split()) or holds_any(text, _JOINT_SIGNS)
    clauses: list[str] = []
    for part in _JOINT.split(text) if joined and not _NOT_ONLY.search(text) else [text]:
        clause = part.strip(" ,;:—–")
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
    pointed = None if mentions else pointed_option(clause, words, options)
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
    asserted = (
        _asserted(clause, words, mentions, options, first_person=first_person)
        if pointed is None
        else [pointed]
    )
    plain = _plain_words(options.own_words)
    if not asserted:
        bare = opening and not to_others and _is_bare(words, mentions, plain | _CONTRASTS)
        return (_other_of_two(mentions, options) if first_person or bare else None), named
    if len(asserted) > 1 and (len(asserted) == options.size or _BOTH.search(clause) or not first_person):
        return None, named
    contrast = len(asserted) < len(named) and not to_others and _is_contrast(words, mentions, options, plain)
    bare = opening and (contrast or _is_bare(words, mentions, plain))
    event = _weigh(clause, asserted[0], first_person=first_person, to_others=to_others, bare=bare)
    if contrast and event and event.strength is Strength.NAMED:
        event = event._replace(strength=Strength.COMPARED)
    if first_person and event and not _LIKING_WORDS.isdisjoint(used) and _LIKING.search(clause):
        event = event._replace(strength=Strength.LIKED)
    return event, named


@lru_cache(maxsize=4096)
def _plain_words(own_words: tuple[frozenset[str], ...]) -> frozenset[str]:
    return _BESIDE_A_NAME.union(*own_words)


def _is_bare(words: Sequence[str], mentions: Sequence[Mention], plain: frozenset[str]) -> bool:
    """Whether a clause only names ("Definitely the tea")."""
    named = {position for mention in mentions for position in range(mention.start, mention.end)}
    return all(word in plain or at in named for at, word in enumerate(words))


def _is_contrast(
    words: Sequence[str], mentions: Sequence[Mention], options: OptionWords, plain: frozenset[str]
) -> bool:
    """Whether a clause only holds one option against another ("Tea over coffee, by a hair","
    " "Rather tea than coffee")."""
    own = options.own_words[mentions[-1].option]
    end = mentions[-1].end
    while end < len(words) and words[end] in own:
        end += 1
    goes_on = end < len(words) and words[end] not in _AFTER_A_CONTRAST
    return not goes_on and _is_bare(words[:end], mentions, plain | _CONTRASTS)


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


def _asserted(
    clause: str,
    words: Sequence[str],
    mentions: Sequence[Mention],
    options: OptionWords,
    *,
    first_person: bool,
) -> list[int]:
    """Return the options that a clause speaks for, in order; with "never pick A over B" that is B."""
    negated = _NEGATED_CHOICE.search(clause) is not None
    rejected = _rejections(words, mentions, options, _REJECTING - _NEGATIONS if negated else _REJECTING)
    if negated:
        if not any(rejected):
            return []
        rejected = [not item for item in rejected]
    elif first_person:
        rejected = [out or _denied(words, mention) for mention, out in zip(mentions, rejected, strict=True)]
    kept = [mention.option for mention, out in zip(mentions, rejected, strict=True) if not out]
    if len(mentions) == 2 and len(set(kept)) == 2 and _holds_first_higher(words, mentions):
        kept = kept[:1]
    return list(dict.fromkeys(kept))


def _holds_first_higher(words: Sequence[str], mentions: Sequence[Mention]) -> bool:
    """Whether the clause reads "prefer A to B", "A beats B" or, with nothing before A, "A before B"."""
    between = words[mentions[0].end : mentions[1].start]
    before = words[: mentions[0].start]
    if not _OUTDOING.isdisjoint(between[:2]):
        return _NEGATING.isdisjoint(words) and "nothing" not in before
    if not _PRECEDING.isdisjoint(between[:1]):
        return all(word in _BESIDE_A_NAME for word in before)
    return "prefer" in before and "to" in between[:2]


def _denied(words: Sequence[str], mention: Mention) -> bool:
    """Whether a mention is the subject of a denial ("Tea is not for me", "Tea never wins me over")."""
    after = list(words[mention.end : mention.end + 4])
    if after[:1] == ["never"]:
        return True
    if not after or after[0] not in _DENYING or "not" not in after[1:3]:
        return False
    return _NOT_DENIED.isdisjoint(after[after.index("not") + 1 :][:1])


def _rejections(
    words: Sequence[str], mentions: Sequence[Mention], options: OptionWords, signs: frozenset[str]
) -> list[bool]:
    """Return of each mention whether it is what something else is preferred to, or is negated.

    A rejection goes on over "or" and "and" ("over rock, folk or jazz").
    """
    found: list[bool] = []
    floor = 0
    for mention in mentions:
        between = list(words[floor : mention.start])
        carried = (
            bool(found)
            and found[-1]
            and not _JOINING.isdisjoint(between)
            and all(word in _JOINING for word in between)
        )
        own = options.own_words[mention.option] - signs
        while between and between[-1] in own:
            between.pop()
        found.append(carried or _rejected(between[-4:], signs))
        floor = mention.end
    return found


def _rejected(before: Sequence[str], signs: frozenset[str]) -> bool:
    """Whether the words before a mention set something else above it, or negate it."""
    if any(pair in _REJECTING_PAIRS for pair in pairwise(before)):
        return True
    near = before[-3:]
    return any(
        word in signs
        and not (word == "over" and at and near[at - 1] in _WON_OVER)
        and not (word == "not" and near[at + 1 : at + 2] and near[at + 1] in _NOT_DENIED)
        for at, word in enumerate(near)
    )


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
