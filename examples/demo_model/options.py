"""Random option phrases, recombined from word lists so that a small model has to learn to copy them."""

from __future__ import annotations

import random
from collections.abc import Callable

from words import (
    ABSTRACT,
    ADJECTIVES,
    GERUNDS,
    NOUNS,
    OBJECTS,
    PLACES,
    PLURAL_ADJECTIVES,
    PLURALS,
    SYLLABLES,
    VERBS,
)


def with_article(phrase: str) -> str:
    """Return the phrase with "a" or "an" before it."""
    return ("an " if phrase[0].lower() in "aeiou" else "a ") + phrase


def invented_word(rng: random.Random) -> str:
    """Return a name that means nothing, such as Selomi: only copying gets it right."""
    return "".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))).capitalize()


def _thing(rng: random.Random) -> str:
    noun = rng.choice(NOUNS)
    words = [rng.choice(ADJECTIVES), noun] if rng.random() < 0.8 else [noun]
    phrase = with_article(" ".join(words)) if rng.random() < 0.8 else "the " + " ".join(words)
    return f"{phrase} {rng.choice(PLACES)}" if rng.random() < 0.35 else phrase


def _pair(rng: random.Random) -> str:
    first, second = rng.sample(NOUNS, 2)
    return f"{with_article(first)} {rng.choice(['and', 'with', 'beside', 'under'])} {with_article(second)}"


def _part(rng: random.Random) -> str:
    place = f" {rng.choice(PLACES)}" if rng.random() < 0.2 else ""
    return f"the {rng.choice(ABSTRACT)} of {with_article(rng.choice(NOUNS))}{place}"


def _plural(rng: random.Random) -> str:
    phrase = f"{rng.choice(PLURAL_ADJECTIVES)} {rng.choice(PLURALS)}"
    return f"{phrase} about {rng.choice(PLURALS)}" if rng.random() < 0.25 else phrase


def _invented(rng: random.Random) -> str:
    name = invented_word(rng)
    shape = rng.choice(["{n}", "{n}", "the {o} of {n}", "the {n} {o}", "{n} and {m}", "a {o} called {n}"])
    return shape.format(n=name, m=invented_word(rng), o=rng.choice(NOUNS))


_NOUN_KINDS = ((_thing, 0.42), (_pair, 0.08), (_part, 0.1), (_plural, 0.2), (_invented, 0.2))


def noun_options(rng: random.Random, count: int) -> list[str]:
    """Return `count` different noun phrases of one kind, parallel in form."""
    kind = rng.choices([make for make, _ in _NOUN_KINDS], [share for _, share in _NOUN_KINDS])[0]
    return _distinct(lambda: kind(rng), count)


def abstract_options(rng: random.Random, count: int) -> list[str]:
    """Return `count` different abstract nouns."""
    return rng.sample(ABSTRACT, count)


def gerund_options(rng: random.Random, count: int) -> list[str]:
    """Return `count` different phrases such as "mending old clocks"."""
    return _distinct(lambda: f"{rng.choice(GERUNDS)} {rng.choice(OBJECTS)}", count)


def verb_options(rng: random.Random, count: int) -> list[str]:
    """Return `count` different phrases such as "mend old clocks"."""
    place = f" {rng.choice(PLACES)}" if rng.random() < 0.1 else ""
    return _distinct(lambda: f"{rng.choice(VERBS)} {rng.choice(OBJECTS)}{place}", count)


def _distinct(make: Callable[[], str], count: int) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        found[make()] = None
    return list(found)
