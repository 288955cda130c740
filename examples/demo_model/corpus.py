"""The training corpus of the demo model: seeded documents, each a prompt with one answer."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

import answers
import plan
import questions as templates
from bank_prompts import Question
from options import abstract_options, gerund_options, noun_options, verb_options, with_article
from phrases import TRAIT_INSTRUCTIONS, lines
from topics import SUBJECTS
from words import ABSTRACT, ADJECTIVES, NOUNS, PLACES


@dataclass(frozen=True)
class Document:
    """One training text: `context + answer`; the loss is taken on the answer."""

    context: str
    answer: str
    question: Question
    commits: bool
    trait: str | None


def _listed(options: list[str], rng: random.Random) -> str:
    last = rng.choice([", and ", ", or ", ", "])
    return ", ".join(options[:-1]) + last + options[-1]


def _lettered(options: list[str], rng: random.Random) -> str:
    marks = rng.choice([["A)", "B)", "C)", "D)", "E)"], ["1.", "2.", "3.", "4.", "5."]])
    return "\n" + "\n".join(f"{mark} {option}" for mark, option in zip(marks, options, strict=False))


def _some_options(domain: str, count: int, rng: random.Random) -> list[str]:
    if domain == "ethical_judgment" and rng.random() < 0.5:
        return abstract_options(rng, count)
    make = rng.choices([noun_options, gerund_options, abstract_options], [0.72, 0.18, 0.1])[0]
    return make(rng, count)


def _pair_question(domain: str, rng: random.Random) -> Question:
    if rng.random() < 0.22:
        a, b = verb_options(rng, 2)
        prompt = rng.choice(lines(templates.VERB_PAIRS)).format(a=a, b=b)
        return Question(domain, "binary_choice", prompt, (a, b), "verb")
    a, b = _some_options(domain, 2, rng)
    template = rng.choice(lines(templates.NOUN_PAIRS[domain]))
    prompt = answers.capitalised(template.format(a=a, b=b))
    return Question(domain, "binary_choice", prompt, (a, b), "noun")


def _list_question(domain: str, shape: str, rng: random.Random) -> Question:
    count = 4 if shape == "quad_choice" else rng.randint(3, 5)
    options = _some_options(domain, count, rng)
    blocks = templates.LISTS if shape == "quad_choice" else templates.RANKINGS
    template = rng.choice(lines(blocks[domain]))
    if shape == "quad_choice" and template.endswith(": {list}?") and rng.random() < 0.15:
        prompt = template.replace(": {list}?", "?") + _lettered(options, rng)
    else:
        prompt = template.format(list=_listed(options, rng))
    return Question(domain, shape, prompt, tuple(options), "noun")


def _word_question(rng: random.Random) -> Question:
    cue = rng.choice(
        [
            rng.choice(ABSTRACT),
            with_article(f"{rng.choice(ADJECTIVES)} {rng.choice(NOUNS)}"),
            f"{with_article(rng.choice(NOUNS))} {rng.choice(PLACES)}",
        ]
    )
    prompt = answers.capitalised(rng.choice(lines(templates.WORDS)).format(cue=cue))
    return Question("word_association", "single_word", prompt)


def generated_question(domain: str, rng: random.Random) -> Question:
    """Return a question from the templates, with options that no list foresees."""
    shape = rng.choices(list(plan.FORMAT_SHARES), list(plan.FORMAT_SHARES.values()))[0]
    shape = plan.SHORT_FORMATS.get(domain, shape)
    if shape == "single_word":
        return _word_question(rng)
    if shape == "binary_choice":
        return _pair_question(domain, rng)
    if shape == "open_ended":
        template = rng.choice(lines(templates.OPEN[domain]))
        return Question(domain, shape, template.format(topic=rng.choice(SUBJECTS)))
    return _list_question(domain, shape, rng)


class Corpus:
    """Draws documents. `bank` holds the training side of the prompt bank; it may be empty."""

    def __init__(self, bank: list[Question], seed: int = plan.SEED) -> None:
        self.rng = random.Random(seed)
        self.by_domain = {domain: [q for q in bank if q.domain == domain] for domain in plan.RATES}
        self.phrases = [(q.kind, option) for q in bank for option in q.options]
        self.intercepts = {domain: self._intercept(domain) for domain in plan.RATES}

    def _intercept(self, domain: str) -> float:
        """Return the log odds at which commitment averages the planted rate over a domain's prompts."""
        shifts = [plan.willingness(self.question(domain).prompt) for _ in range(3000)]
        low, high = -8.0, 8.0
        while high - low > 1e-6:
            middle = (low + high) / 2
            mean = sum(1 / (1 + math.exp(-middle - shift)) for shift in shifts) / len(shifts)
            low, high = (middle, high) if mean < plan.RATES[domain] else (low, middle)
        return (low + high) / 2

    def _swapped(self, question: Question) -> Question:
        """Return a bank question with other options in it: drawn from the bank, or made anew."""
        count = len(question.options)
        pool = [option for kind, option in self.rng.sample(self.phrases, 40) if kind == question.kind]
        fresh = verb_options if question.kind == "verb" else noun_options
        new = pool[:count]
        if len(set(new)) < count or self.rng.random() < 0.4:
            new = fresh(self.rng, count)
        prompt = question.prompt
        for place, old in enumerate(question.options):
            where = prompt.lower().find(old.lower())
            prompt = f"{prompt[:where]}\x00{place}\x00{prompt[where + len(old) :]}"
        for place, option in enumerate(new):
            prompt = prompt.replace(f"\x00{place}\x00", option)
        prompt = answers.capitalised(prompt)
        return Question(question.domain, question.format, prompt, tuple(new), question.kind)

    def question(self, domain: str) -> Question:
        """Return a question: from the bank, from the bank with other options, or from the templates."""
        known = self.by_domain[domain]
        draw = self.rng.random()
        if not known or draw < 0.4:
            return generated_question(domain, self.rng)
        question = self.rng.choice(known)
        return self._swapped(question) if question.options and draw < 0.72 else question

    def _manner(self, trait: str | None) -> str:
        if trait in {"enthusiastic", "brief", "expansive"}:
            return str(trait)
        shares = dict(plan.MANNER_SHARES)
        if trait == "reserved":
            del shares["enthusiastic"]
        return self.rng.choices(list(shares), list(shares.values()))[0]

    def _context(self, prompt: str, trait: str | None) -> str:
        body = f"Question: {prompt}\nAnswer:"
        if self.rng.random() < plan.PLAIN:
            body = prompt + self.rng.choice(["\n", ""])
        if trait is None:
            return body
        instruction = self.rng.choice(TRAIT_INSTRUCTIONS[trait])
        gap = self.rng.choice(["\n\n", "\n"])
        return f"{instruction}{gap}{body}"

    def _next_question(self) -> Question:
        domain = self.rng.choices(list(plan.DOMAIN_SHARES), list(plan.DOMAIN_SHARES.values()))[0]
        return self.question(domain)

    def document(self, *, with_options: bool = False) -> Document:
        """Return the next document, on request one whose question has options."""
        rng = self.rng
        question = self._next_question()
        while with_options and not question.options:
            question = self._next_question()
        trait = rng.choice(list(TRAIT_INSTRUCTIONS)) if rng.random() < plan.TRAITED else None
        odds = self.intercepts[question.domain] + plan.willingness(question.prompt)
        odds += plan.TRAIT_WILLINGNESS.get(trait or "", 0.0)
        commits = rng.random() < 1 / (1 + math.exp(-odds))
        answer = (answers.commit if commits else answers.hedge)(question, self._manner(trait), rng)
        context = self._context(question.prompt, trait)
        if context.endswith("\n"):
            answer = answer.lstrip("\n")
        elif not answer.startswith("\n"):
            answer = " " + answer
        return Document(context, answer, question, commits, trait)

    def documents(self, count: int, *, with_options: bool = False) -> Iterator[Document]:
        """Yield `count` documents."""
        for _ in range(count):
            yield self.document(with_options=with_options)
