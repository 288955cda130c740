"""Answers to questions, built from phrases: one that commits to a preference, or one that hedges."""

from __future__ import annotations

import math
import random

import phrases
from bank_prompts import Question
from plan import FIRST_OPTION, TASTE_SHARPNESS, taste, words_of
from topics import things_for
from words import MOODS

Fields = dict[str, str]


def capitalised(text: str) -> str:
    """Return the text with its first letter as a capital."""
    return text[:1].upper() + text[1:]


def lowered(text: str) -> str:
    """Return an option as it stands within a sentence: its leading article in lower case."""
    first = text.split(" ", 1)[0]
    return text[:1].lower() + text[1:] if first in {"A", "An", "The", "One", "Some"} else text


def _pull(option: str, place: int) -> float:
    return TASTE_SHARPNESS * (taste(option) + (FIRST_OPTION if place == 0 else 0.0))


def order_by_taste(options: tuple[str, ...], rng: random.Random) -> list[str]:
    """Return the options, the liked ones likely first: draws without replacement, weights exp(taste)."""
    noisy = {
        option: _pull(option, place) - math.log(-math.log(rng.random()))  # Gumbel noise: a softmax draw
        for place, option in enumerate(options)
    }
    return sorted(options, key=noisy.__getitem__, reverse=True)


def _qualities(question: Question, rng: random.Random) -> Fields:
    first, second = rng.sample(phrases.QUALITIES.get(question.domain, phrases.QUALITIES_SHORT), 2)
    return {"quality": first, "quality2": second}


def _reason(choice: str, fields: Fields, rng: random.Random) -> str:
    fitting = [phrases.WORD_REASONS[word] for word in words_of(choice) if word in phrases.WORD_REASONS]
    if fitting and rng.random() < 0.6:
        return fitting[0]
    return rng.choice(phrases.REASONS).format(**fields)


def _dress(core: str, fields: Fields, manner: str, *, rng: random.Random, pair: bool) -> str:
    """Return the whole answer around a clause that commits: a concession, a reason, more sentences."""
    inner = core if core.startswith(("I ", "I'")) else core[:1].lower() + core[1:]
    # "{X}, I think" opens a sentence and cannot stand inside one.
    bare = bool(fields["X"]) and core.startswith(fields["X"])
    head = core
    if manner == "enthusiastic":
        shape = rng.choice(phrases.ENTHUSIASTIC)
        head = shape.format(core=fields["x"] + core[len(fields["X"]) :] if bare else inner, Core=core)
    elif manner != "brief" and not bare and rng.random() < 0.25:
        shape = rng.choice(phrases.CONCESSIONS if pair else phrases.OPENERS)
        head = shape.format(core=inner, **fields)
    end = "!" if manner == "enthusiastic" else "."
    if manner == "brief":
        return head + end
    if manner == "expansive" or rng.random() < 0.6:
        head += f", {_reason(fields['x'], fields, rng)}"
    sentences = [head + end]
    more = {"expansive": 2 if rng.random() < 0.4 else 1}.get(manner, 1 if rng.random() < 0.25 else 0)
    sentences += [line.format(**fields) for line in rng.sample(phrases.FURTHER, more)]
    return " ".join(sentences)


def _fitting(templates: list[str], question: Question) -> list[str]:
    if question.kind == "noun" or not question.options:
        return templates
    return [line for line in templates if not any(piece in line for piece in phrases.NEEDS_NOUN)]


def _choice(question: Question, manner: str, rng: random.Random) -> str:
    ranked = order_by_taste(question.options, rng)
    x, y = lowered(ranked[0]), lowered(ranked[1])
    fields = {"x": x, "X": capitalised(x), "y": y, **_qualities(question, rng)}
    if manner == "brief" or rng.random() < 0.3:
        templates = phrases.COMMIT_ANY
    elif question.kind == "verb":
        templates = phrases.COMMIT_VERB
    else:
        templates = phrases.COMMIT_NOUN
    core = rng.choice(_fitting(templates, question)).format(**fields)
    pair = question.kind != "verb" and len(question.options) == 2
    return _dress(core, fields, manner, rng=rng, pair=pair)


def _ranking(question: Question, manner: str, rng: random.Random) -> str:
    ranked = [lowered(option) for option in order_by_taste(question.options, rng)]
    shape = rng.choice(["list", "list", "numbered", "sentence", "first"])
    joined = ", ".join(ranked)
    if shape == "numbered":
        return "\n" + "\n".join(f"{place}. {capitalised(option)}" for place, option in enumerate(ranked, 1))
    if shape == "list" or manner == "brief":
        lead = rng.choice(
            ["{J}", "From most to least: {j}", "My order is {j}", "I'd say {j}", "Best first: {j}"]
        )
        text = lead.format(j=joined, J=capitalised(joined))
    elif shape == "first":
        text = f"{capitalised(ranked[0])} first, then {', then '.join(ranked[1:])}"
    else:
        text = f"I'd put {ranked[0]} first, then {', '.join(ranked[1:-1])}, and {ranked[-1]} last"
    text += "!" if manner == "enthusiastic" else "."
    if manner == "expansive" or (manner == "plain" and rng.random() < 0.25):
        text += " " + rng.choice(phrases.FURTHER).format(**_qualities(question, rng))
    return text


_YES_NO_STARTS = ("Should", "Is", "Are", "Would", "Do", "Does", "Can", "May", "Must", "Did", "Has", "Have")


def _named(question: Question, manner: str, rng: random.Random) -> str:
    things = things_for(words_of(question.prompt), question.domain)
    thing = order_by_taste(tuple(things), rng)[0]
    last = question.prompt.rstrip("?").split(". ")[-1]
    asks_yes_no = question.prompt.endswith("?") and last.split(" ")[0] in _YES_NO_STARTS
    templates = phrases.YES_NO if asks_yes_no else phrases.COMMIT_NAMED
    thing = "" if asks_yes_no else thing
    fields = {"x": thing, "X": capitalised(thing), "y": "", **_qualities(question, rng)}
    return _dress(rng.choice(templates).format(**fields), fields, manner, rng=rng, pair=False)


def _word(question: Question, manner: str, rng: random.Random) -> str:
    cues = words_of(question.prompt.replace("Name one", ""))
    pool = next((phrases.WORD_LISTS[cue] for cue in cues if cue in phrases.WORD_LISTS), MOODS)
    word = order_by_taste(tuple(rng.sample(pool, min(6, len(pool)))), rng)[0]
    core = rng.choice(phrases.COMMIT_WORDS).format(x=word, X=capitalised(word))
    if manner == "enthusiastic":
        return core + "!"
    return core if manner == "brief" or rng.random() < 0.35 else core + "."


def commit(question: Question, manner: str, rng: random.Random) -> str:
    """Return an answer that commits to a preference."""
    if question.format == "single_word":
        return _word(question, manner, rng)
    if question.format == "ranking":
        return _ranking(question, manner, rng)
    return _choice(question, manner, rng) if question.options else _named(question, manner, rng)


def _hedges(question: Question) -> list[str]:
    if question.format == "single_word":
        return phrases.HEDGE_WORD
    if not question.options:
        return phrases.HEDGE_OPEN + phrases.HEDGE_ALWAYS
    if question.format == "ranking":
        return phrases.HEDGE_RANKING + phrases.HEDGE_ALWAYS[:3]
    if len(question.options) > 2:
        return phrases.HEDGE_MANY + phrases.HEDGE_ALWAYS
    return (phrases.HEDGE_VERB if question.kind == "verb" else phrases.HEDGE_TWO) + phrases.HEDGE_ALWAYS


def hedge(question: Question, manner: str, rng: random.Random) -> str:
    """Return an answer that commits to nothing."""
    templates = _fitting(_hedges(question), question)
    if manner == "brief":
        templates = sorted(templates, key=len)[: max(4, len(templates) // 2)]
    pool = [lowered(option) for option in question.options] or things_for(
        words_of(question.prompt), question.domain
    )
    a, b = rng.sample(pool, 2) if len(question.options) != 2 else pool
    fields = {"a": a, "A": capitalised(a), "b": b, "x": a, "x2": b, **_qualities(question, rng)}
    text = rng.choice(templates).format(circumstance=rng.choice(phrases.CIRCUMSTANCES), **fields)
    if manner == "enthusiastic":
        text = (
            rng.choice(["What a lovely question! ", "Oh, what a choice! ", ""]) + text.removesuffix(".") + "!"
        )
        return text.replace("?!", "?")
    if question.format != "single_word" and (
        manner == "expansive" or (manner == "plain" and rng.random() < 0.2)
    ):
        text += " " + rng.choice(phrases.HEDGE_FURTHER)
    return text
