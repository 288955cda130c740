"""How alike the answers of one record are in what they choose and say: texts and choices in, [0, 1] out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from prefbench.options import normalise_choice, word_set

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*|[^\w\s\x00-\x7f]")  # signs outside ASCII (emoji) count as words
_THINKING = re.compile(r"^.*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_LONGEST_TEXT = 4_000  # characters read of each text
_FUNCTION_WORDS = word_set(
    "a an the and or but nor so yet of in on at to for with by from as into over under about between"
    " through during than then that this these those it its is are was were be been being am do does"
    " did have has had having will would can could should may might must shall not no i me my mine we"
    " our us you your yours he him his she her they them their who whom which what when where why how"
    " if because while there here also just very more most such only own same too all any both each"
    " few some other one i'm i'd i've it's that's there's don't can't"
)


def choice_agreement(choices: Sequence[str | None]) -> float | None:
    """Return the share of pairs of responses that name the same choice, among the responses with a choice.

    This is Simpson's index in its unbiased form, sum n_k (n_k - 1) / (n (n - 1)) over the k distinct
    choices after `normalise_choice` (Simpson 1949, Nature 163:688). None with fewer than two choices.
    """
    named = [normalise_choice(choice) for choice in choices if choice is not None and choice.strip()]
    total = len(named)
    if total < 2:
        return None
    return sum(count * (count - 1) for count in Counter(named).values()) / (total * (total - 1))


def content_agreement(texts: Sequence[str | None], choices: Sequence[str | None]) -> float | None:
    """Return how alike the responses of one record are in content: the mean over pairs, in [0, 1].

    A pair in which both name a choice counts by the words that the two choices share (1 where they are the
    same); any other pair by the content words that the two texts share. Both are Jaccard indices, over
    words without function words. Texts without a word (None, empty, blank) are left out; None with fewer
    than two left. Raises ValueError where the lengths differ.
    """
    if len(texts) != len(choices):
        raise ValueError(f"{len(texts)} texts but {len(choices)} choices: there must be one choice a text")
    said = [
        (words, _choice_words(choice))
        for text, choice in zip(texts, choices, strict=True)
        if text is not None and (words := _content_words(text))
    ]
    if len(said) < 2:
        return None
    pairs = [_pair_agreement(one, two) for one, two in combinations(said, 2)]
    return sum(pairs) / len(pairs)


def _pair_agreement(
    one: tuple[frozenset[str], frozenset[str]], two: tuple[frozenset[str], frozenset[str]]
) -> float:
    if one[1] and two[1]:
        return _jaccard(one[1], two[1])
    return _jaccard(one[0], two[0])


def _jaccard(one: frozenset[str], two: frozenset[str]) -> float:
    return len(one & two) / len(one | two)


def _content_words(text: str) -> frozenset[str]:
    """Return the content words of a text, after its thinking; all of its words where it has no others."""
    words = _WORD.findall(_THINKING.sub("", text)[:_LONGEST_TEXT].lower().replace("’", "'"))
    return frozenset(word for word in words if word not in _FUNCTION_WORDS) or frozenset(words)


def _choice_words(choice: str | None) -> frozenset[str]:
    return frozenset() if choice is None else _content_words(choice)
