"""The options of a prompt: its text and format in, the options in the order shown out.

What the choice formats share is a coordination ("A or B", "a, b, c, and d") or a list (lettered, numbered,
bulleted, one a line). Each finder below knows one of these shapes; the first that yields as many options
as the format asks for wins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple


def word_set(text: str) -> frozenset[str]:
    """Return the words of a list that is written as one text."""
    return frozenset(text.split())


CHOICE_FORMATS = ("binary_choice", "quad_choice", "ranking")
_LONGEST_OPTION = 300  # characters; what is longer is a passage that happened to split, not an option
_LONGEST_PROMPT = 4_000  # characters
_MOST_JOINTS = 8  # "or"s of one sentence that are tried as the one between the options
_MOST_WORDS = 60  # words before an "or" among which the first option is looked for

_STRAIGHT = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "\u00a0": " ", "–": "-", "—": "-"})
_MARKDOWN = re.compile(r"\*\*|__|`|^#{1,6} ", re.MULTILINE)
_MARKER = re.compile(
    r"(?:(?<=\s)|(?<=[,;:?])|^)(?:\*\*)?(?:[Oo]ption )?(?:\(([A-Za-z]|\d)\)|([A-Za-z]|\d)(?:[):]"
    r"|\.(?=\s)))(?:\*\*)?\s*",
    re.MULTILINE,
)
_BULLET = re.compile(r"^\s*[-*•]\s+(.+)$", re.MULTILINE)
_OR = re.compile(
    r",?\s+(?:or|vs\.?|versus)\s+(?:else\s+)?(?:would you (?:rather|prefer(?: to)?)\s+|do you"
    r" (?:prefer|like)\s+)?",
    re.IGNORECASE,
)
_COMMA = re.compile(r"\s*[,;]\s+(?:(?:and|or)\s+)?", re.IGNORECASE)
_JOIN = re.compile(r"\s+(?:and|or)\s+", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[?!])\s+|(?<=[a-z\d)\"'])\.\s+(?=[A-Z])|\n+")
_EDGES = " \t\n,;:.?!\"'-"
_SLASH = re.compile(r"\s+/\s+|(?<=\w)/(?=\w)")
_BETWEEN = re.compile(r"\b(?:between|out of)\s+(.+?)(?:[?,:;]|$)", re.IGNORECASE)
_RANK = re.compile(
    r"^.*?\b(?:rank|order|sort|arrange|list|prioriti[sz]e|rate)\s+(?:the following(?: \w+)?|these(?:"
    r" \w+)?)?\s*",
    re.IGNORECASE,
)
_RANK_TAIL = re.compile(
    r"\s+(?:from (?:most|least|best|worst|highest|lowest|favou?rite|first|greatest|strongest)\b|in"
    r" (?:order|terms)\b|in your\b|by\b|"
    r"according to\b|starting with\b|with the (?:most|best)\b).*$",
    re.IGNORECASE,
)
_HEAD = re.compile(
    r"""^(?:.*[,:]\s+)?(?:so,?\s+)?(?:and\s+)?
    (?:
      (?:would|do|did|could|can|will|should|must|might|are|were|is|was)\s+(?:you|one|we|people|someone|a\ person|i)
        (?:\s+(?:personally|generally|usually|ever|typically|honestly|tend\ to|have\ to|get\ to|like\ to|want\ to
          |say(?:\ that)?))*
        \s+(?:rather|sooner|prefer|choose|pick|select|favou?r|like|love|enjoy|value|want|take|trust|admire
          |side\ with|go\ (?:with|for)|lean\ (?:more\ )?towards?|(?:more\ )?drawn\ (?:more\ )?(?:to|towards?)
          |more\ of|opt\ for|vote\ for|find|think|believe|consider
          |(?:more\ )?(?:inclined|likely|willing)\ (?:to|towards?))
        (?:\s+(?:having|to\ have|more))?(?=\s)
      | (?:would|will)\s+it\s+be\s+(?:\w+\s+){1,4}?(?=to\s)
      | (?:is|was|are)\s+(?:it|there)\s+(?:\w+\s+){1,5}?(?=to\s|in\s|for\s|when\s)
      | (?:which|what|who|whom|whose)\b[^,?]*,
      | (?:choose|pick|select|favou?r|prefer)(?:\s+(?:one|either|between))?
    )\s*""",
    re.IGNORECASE | re.VERBOSE,
)
_BARE_VERB = re.compile(
    r"^(?:.*,\s+)?(?:is|are|was|were|does|do|has|have|should|would|can|could|will)\s+(?:(?:you|it|we"
    r"|one|they)\s+)?",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"(?:,\s+(?:and|if|when|in|for|all|given|going|on|assuming|but|as|or|to)\b.*|\s+[-(]\s*.*"
    r"|\s+(?:when|if|whenever|where|while|because|given|assuming|overall|in general|and why|on balance)\b.*"
    r"|\s+(?:the\s+)?(?:more|most|better|less|best)\b.*)$",
    re.IGNORECASE,
)
_SHARED_TAIL = re.compile(r"\s(?:when|if|whenever|where|while|because)\s[^,]*$", re.IGNORECASE)
_AT_LEAD = 1.0  # how much the end of a known lead-in ("would you rather") speaks for a start there
_AT_BARE_VERB = 0.4  # after "would you", a verb may still come before the options
_WORD_CLASSES = {
    "determiner": word_set(
        "a an the one two three four five six seven eight nine ten your my its their his her our this"
        " that these those many few some several twenty hundred dozen both each every no any much more"
        " less fewer"
    ),
    "preposition": word_set(
        "in on at by for with without from of to as into over under through between among about after"
        " before during until beside behind near across inside outside above below along against around"
        " past toward towards within off up down alone"
    ),
    "clause": frozenset(("that", "who", "which", "when", "where", "what", "how", "why", "whether")),
}
_FILLER = re.compile(
    r"^(?:either|whether|simply|to(?!\s+(?:the|a|an|your|my|its|their|one|some)\b))\s+", re.IGNORECASE
)
_ASKED = re.compile(
    r"^(?:would|do|does|should|could|will|is|are)\s+(?:you|it|they|we|one|things|the\b)", re.IGNORECASE
)
_THIRD_PERSON = re.compile(r"(?:^|[,:.]\s+)(?:do|does|is|are)\s+(?!you\b)[^,:]*$", re.IGNORECASE)
_THIRD_PERSON_TAIL = re.compile(
    r"\s+(?:\w+\s+you\b|(?:\w+\s+)?your\s+(?:favou?rite|vote|choice|pick|heart)\b|(?:make|seem|look"
    r"|sound|appeal)\s).*$",
    re.IGNORECASE,
)
_CAPITALISED = re.compile(r"(?!I\b)[A-Z](?:[a-z]|\s)")
_ARTICLE = re.compile(r"^(?:the|a|an|to|my|your|some)\s+")
_WORDS = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


class LabelledOption(NamedTuple):
    """An option that the prompt gave a letter or number: "(B) the mountains"."""

    label: str
    option: str


def parse_options(prompt: str, format: str) -> tuple[str, ...] | None:
    """Return the options that a prompt offers, in the order shown and in its own words.

    Two for `binary_choice`, four for `quad_choice`, three or more for `ranking`; None for the formats
    without options and where no reading of the prompt gives that many.
    """
    if format not in CHOICE_FORMATS or len(prompt) > _LONGEST_PROMPT:
        return None
    text = _MARKDOWN.sub("", prompt.translate(_STRAIGHT)).strip()
    for find in _FINDERS:
        options = _tidy(find(text, format))
        if _plausible(options, format):
            return options
    return None


def parse_labels(prompt: str) -> tuple[LabelledOption, ...] | None:
    """Return the lettered or numbered options of a prompt with their labels, or None where it has none."""
    text = prompt.translate(_STRAIGHT)
    if len(text) > _LONGEST_PROMPT:
        return None
    found = [LabelledOption(label, _trim(body)) for label, body in _labelled_parts(text)]
    return tuple(found) if len(found) >= 2 and all(item.option for item in found) else None


def normalise_choice(choice: str) -> str:
    """Return the form in which two namings of one choice are equal: case, articles and signs removed."""
    words = _WORDS.findall(choice.translate(_STRAIGHT).casefold())
    text = " ".join(words)
    return _ARTICLE.sub("", text) or text


def _labelled_parts(text: str) -> list[tuple[str, str]]:
    """Return (label, body) of the first run of markers that counts a, b, c … or 1, 2, 3 …"""
    run: list[tuple[str, int, int]] = []
    for match in _MARKER.finditer(text):
        label = (match[1] or match[2]).upper()
        expected = chr(ord(run[-1][0]) + 1) if run else None
        if label == expected:
            run.append((label, match.start(), match.end()))
        elif label in "A1" and len(run) < 2:
            run = [(label, match.start(), match.end())]
    ends = [start for _, start, _ in run[1:]] + [len(text)] * bool(run)
    return [(label, _first_line(text[end:stop])) for (label, _, end), stop in zip(run, ends, strict=True)]


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0]


def _find_labelled(text: str, format: str) -> Sequence[str]:
    parts = [body for _, body in _labelled_parts(text)]
    if parts:
        parts[-1] = _SENTENCE_END.split(parts[-1])[0]
    return parts


def _find_bullets(text: str, format: str) -> Sequence[str]:
    return _BULLET.findall(text)


def _find_lines(text: str, format: str) -> Sequence[str]:
    """Read the lines under a line that ends in a colon or a question mark."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) >= 3 and lines[0][-1] in ":?.":
        wanted = {"binary_choice": 2, "quad_choice": 4}.get(format, len(lines) - 1)
        return lines[1 : 1 + wanted]
    return []


def _find_colon(text: str, format: str) -> Sequence[str]:
    """Read "Which is nicer: A or B?" and "A or B: which is nicer?"."""
    for sentence in _SENTENCE_END.split(text):
        before, colon, after = sentence.rpartition(": ")
        if not colon:
            continue
        if format == "binary_choice" and _ASKED.match(after):
            return _split_pair(after)
        for side in (after, before):
            options = _split_list(side, format)
            if _plausible(_tidy(options), format):
                return options
    return []


def _find_slashes(text: str, format: str) -> Sequence[str]:
    _, colon, after = text.partition(":")
    return _SLASH.split(after) if colon else []


def _find_between(text: str, format: str) -> Sequence[str]:
    match = _BETWEEN.search(text)
    if match is None or format == "ranking":
        return []
    rest = text[match.start(1) :].partition("?")[0]
    if format == "binary_choice":
        return _JOIN.split(match[1], maxsplit=1)
    return _split_list(rest, format)[:4]


def _find_ranked(text: str, format: str) -> Sequence[str]:
    if format != "ranking":
        return []
    for sentence in _SENTENCE_END.split(text):
        if _RANK.match(sentence):
            return _split_list(_RANK_TAIL.sub("", _RANK.sub("", sentence)), format)
    return []


def _find_inline(text: str, format: str) -> Sequence[str]:
    """Read "Would you rather A or B?": the coordination in the sentence, less what leads into it."""
    sentences = [part for part in _SENTENCE_END.split(text) if _OR.search(part)]
    for sentence in sorted(sentences, key=lambda part: not part.rstrip().endswith("?")):
        if format == "binary_choice":
            options: Sequence[str] = _split_pair(sentence)
        else:
            listed = _split_list(sentence, format)
            options = [_cut_lead(listed[0], listed[-1]), *listed[1:]] if listed else []
            options = _cut_last_tail(options)
        if _plausible(_tidy(options), format):
            return options
    return []


def _split_pair(sentence: str) -> Sequence[str]:
    """Return the two sides of the "or" that joins the options, without lead-in and tail."""
    joints = list(_OR.finditer(sentence))[:_MOST_JOINTS]
    pairs = [
        (_cut_lead(sentence[: at.start()], right), right)
        for at in joints
        if (right := _cut_tail(sentence, at))
    ]
    if not pairs:
        return []
    return max(pairs, key=lambda pair: _alignment(pair[0].split(), pair[1].split()))


def _cut_tail(sentence: str, joint: re.Match[str]) -> str:
    """Return what follows the "or", less "… when they conflict" and "… more beautiful" unless both sides have one."""
    right = sentence[joint.end() :].rstrip("?.! ")
    if _THIRD_PERSON.search(sentence[: joint.start()]):
        right = _THIRD_PERSON_TAIL.sub("", right)
    return right if _SHARED_TAIL.search(sentence[: joint.start()]) else _TAIL.sub("", right)


def _cut_lead(left: str, right: str) -> str:
    """Return the first option: of all that the left side could be cut down to, what best matches the second."""
    known = _HEAD.match(left)
    lead = known or _BARE_VERB.match(left)
    bonus = _AT_LEAD if known else _AT_BARE_VERB
    words = left.split()
    floor = len(left[: lead.end()].split()) if lead else 0
    starts = range(max(min(floor, len(words) - 1), len(words) - _MOST_WORDS, 0), len(words))
    wanted = right.split()
    best = max(
        starts,
        key=lambda start: (_alignment(words[start:], wanted) + (start == floor) * bonus, -start),
        default=0,
    )
    return " ".join(words[best:])


def _alignment(left: Sequence[str], right: Sequence[str]) -> float:
    """Return how parallel two options are: the same or a like opening word, shared words, like length."""
    if not left or not right:
        return -10.0
    first, second = left[0].lower(), right[0].lower()
    opening = 2.0 if first == second else 1.5 if _word_class(first) == _word_class(second) else 0.0
    shared = len({word.lower() for word in left} & {word.lower() for word in right})
    return opening + 0.5 * shared - 0.45 * abs(len(left) - len(right))


def _word_class(word: str) -> str:
    for name, words in _WORD_CLASSES.items():
        if word in words:
            return name
    if word.endswith("ing") and len(word) > 4:
        return "gerund"
    return "number" if word.isdigit() else "open"


def _cut_last_tail(options: Sequence[str]) -> Sequence[str]:
    """Cut "… when they conflict" and "… more beautiful" off the last option unless the first has one too."""
    if len(options) < 2 or _TAIL.search(options[0]):
        return options
    return [*options[:-1], _TAIL.sub("", options[-1])]


def _split_list(text: str, format: str) -> Sequence[str]:
    """Split a coordination; the last comma may be missing before its "and" or "or"."""
    text = text.strip().rstrip("?.! ")
    if format == "binary_choice":
        joint = _OR.search(text) or (_JOIN.search(text) if "," not in text else None)
        return [text[: joint.start()], text[joint.end() :]] if joint else _COMMA.split(text)
    parts = re.split(r"\s*;\s+(?:(?:and|or)\s+)?", text) if ";" in text else _COMMA.split(text)
    wanted = {"quad_choice": 4}.get(format)
    if wanted is None or len(parts) < wanted:
        last = _JOIN.split(parts[-1])
        if len(last) == 2 and (wanted is not None or not re.search(r",\s+(?:and|or)\s", text, re.IGNORECASE)):
            parts = [*parts[:-1], *last]
    if wanted is not None and len(parts) != wanted:
        by_or = _OR.split(text)
        parts = by_or if len(by_or) == wanted else parts
    return parts


def _trim(option: str) -> str:
    trimmed = re.sub(r"[,;]?\s+(?:or|and)$", "", option.strip().rstrip(",;")).strip(_EDGES)
    return _FILLER.sub("", trimmed)


def _tidy(options: Sequence[str]) -> tuple[str, ...]:
    """Trim options; a first one that only opens the sentence ("Tea or coffee: …") loses its capital."""
    trimmed = [_trim(option) for option in options]
    if trimmed and all(option[:1].islower() for option in trimmed[1:]) and _CAPITALISED.match(trimmed[0]):
        trimmed[0] = trimmed[0][0].lower() + trimmed[0][1:]
    return tuple(trimmed)


def _plausible(options: Sequence[str], format: str) -> bool:
    fits = {"binary_choice": len(options) == 2, "quad_choice": len(options) == 4}.get(
        format, len(options) >= 3
    )
    distinct = len({normalise_choice(option) for option in options}) == len(options)
    return fits and distinct and all(0 < len(option) <= _LONGEST_OPTION for option in options)


_FINDERS: tuple[Callable[[str, str], Sequence[str]], ...] = (
    _find_labelled,
    _find_bullets,
    _find_lines,
    _find_colon,
    _find_slashes,
    _find_between,
    _find_ranked,
    _find_inline,
)
