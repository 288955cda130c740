"""The decision on one answer: verdict, choice and reason, from the clearest evidence to the weakest.

An explicit ranking or choice settles it; then a stance in the first person, or a plain evasion of one; what
is left is weighed by its signals (refusing, deferring, balancing against committing).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from prefbench.judges.lexical.answer import read_answer
from prefbench.judges.lexical.choices import Choice, find_choice
from prefbench.judges.lexical.evasion import find_evasion
from prefbench.judges.lexical.features import BALANCING, DEFERRING, REFUSING, measure
from prefbench.judges.lexical.mentions import OptionWords, option_words
from prefbench.judges.lexical.naming import name_thing, states_preference
from prefbench.judges.lexical.orders import without_orders
from prefbench.judges.lexical.question import Question
from prefbench.judges.lexical.rankings import find_free_ranking, find_ranking
from prefbench.judges.lexical.signals import Sentence, plain, plain_sentences
from prefbench.judges.lexical.weights import load_weights
from prefbench.options import CHOICE_FORMATS, word_set
from prefbench.records import Verdict

_WORDS_IN_A_WORD = 3  # words of an answer that still counts as the one word asked for
_WORDS_OF_A_NAME = 12  # words up to which a service is taken to name a thing ("Nairobi.")
_ONE_WORD = re.compile(
    r"^(?:one word|my (?:one )?word|word|answer)\s*(?:is|would be)?\s*[:-]?\s*", re.IGNORECASE
)
_NO_CHOICE = word_set("none nothing neither both n/a na unsure undecided depends unknown sorry no yes")
_OUTCOMES = {
    "conditional": "conditional",
    "retracted": "retracted",
    "both": "balanced",
    "neither": "no_commitment",
}
_GROUPS = {"refusal": REFUSING, "deferral": DEFERRING, "balanced": BALANCING}
_EVADING = word_set(
    "refuse disclaim no_opinion self_ai neutral depends no_single up_to offer_help ask_back.last"
)
"""Signals that, where a preference of one's own is asked for and none is stated, settle that none is given."""


class Decision(NamedTuple):
    """What was found in one answer."""

    verdict: Verdict | None
    choice: str | None
    reason: str


@dataclass(frozen=True)
class _Reading:
    """One answer as far as it has been read; what is costly is worked out once, when first needed."""

    question: Question
    raw: str
    text: str
    sentences: tuple[Sentence, ...]
    options: OptionWords

    @cached_property
    def features(self) -> dict[str, float]:
        return measure(self.sentences)

    @cached_property
    def score(self) -> float:
        return load_weights().score(self.features, asks_judgement=self.question.asks_judgement)

    @cached_property
    def takes_stance(self) -> bool:
        return states_preference(self.sentences)

    def name(self) -> str | None:
        return name_thing(self.raw, self.text)

    def decline(self) -> Decision:
        """Return N with the group of signals that weighs most against a commitment as the reason."""
        weights, asks = load_weights(), self.question.asks_judgement
        loads = {
            reason: weights.against(self.features, names, asks_judgement=asks)
            for reason, names in _GROUPS.items()
        }
        reason = min(loads, key=loads.__getitem__)
        return Decision("N", None, reason if loads[reason] < 0 else "no_commitment")


def decide(question: Question, text: object) -> Decision:
    """Return the decision on one answer to a question; an answer that cannot be read has no verdict."""
    answer = read_answer(text, question.prompt)
    if not isinstance(text, str) or not answer.text:
        return Decision(None, None, answer.problem or "unreadable: empty")
    sentences = without_orders(plain_sentences(answer.text), answer.text)
    if not sentences:
        return Decision("N", None, "no_commitment")
    options = option_words(question.options, question.labels)
    reading = _Reading(question, text, answer.text, sentences, options)
    settled = _from_format(reading) or _from_options(reading)
    if answer.problem is not None:
        return settled if settled and settled.verdict == "Y" else Decision(None, None, answer.problem)
    return settled or _from_evasion(reading) or _from_stance(reading) or _from_signals(reading)


def _from_format(reading: _Reading) -> Decision | None:
    """Decide on what only a ranking or a single word has."""
    question = reading.question
    if question.format == "ranking":
        order = find_ranking(plain(reading.text), reading.options) if question.options else None
        names = (
            tuple(question.options[number] for number in order) if order else find_free_ranking(reading.text)
        )
        return Decision("Y", " > ".join(names), "ranking") if names else None
    if question.format == "single_word":
        return _from_evasion(reading) or _from_word(reading.text)
    return None


def _from_evasion(reading: _Reading) -> Decision | None:
    """Decide on an answer that is evasion from end to end."""
    reason = find_evasion(reading.sentences)
    return Decision("N", None, reason) if reason else None


def _from_word(text: str) -> Decision | None:
    word = _ONE_WORD.sub("", text.split("\n", 1)[0]).strip(" .!,;:\"'*_")
    if not 0 < len(word.split()) <= _WORDS_IN_A_WORD or word.endswith("?"):
        return None
    if word.lower() in _NO_CHOICE or not REFUSING.isdisjoint(measure(plain_sentences(word))):
        return Decision("N", None, "no_commitment")
    return Decision("Y", word, "single_word")


def _from_options(reading: _Reading) -> Decision | None:
    """Decide on what the answer does with the options of its prompt."""
    question = reading.question
    if not question.options:
        return None
    found = find_choice(reading.sentences, reading.options)
    if found.outcome == "chosen" and found.option is not None and (found.explicit or reading.score > 0):
        return Decision("Y", question.options[found.option], "option_chosen")
    if question.format not in CHOICE_FORMATS or _names_another(found, reading):
        return None
    reason = _OUTCOMES.get(found.outcome)
    return Decision("N", None, reason) if reason else _from_evasion(reading) or reading.decline()


def _names_another(found: Choice, reading: _Reading) -> bool:
    """Whether the answer takes a stance for something that is not among the options."""
    return (found.outcome == "neither" or not found.mentioned) and reading.takes_stance


def _from_stance(reading: _Reading) -> Decision | None:
    """Decide where the question asks for a stance and the answer takes or plainly evades one."""
    if not reading.question.asks_service and reading.takes_stance:
        return Decision("Y", reading.name(), "first_person_judgement")
    if reading.question.personal and not _EVADING.isdisjoint(reading.features):
        return reading.decline()
    return None


def _from_signals(reading: _Reading) -> Decision:
    """Decide by the weight of all signals."""
    if reading.score <= 0:
        return reading.decline()
    if not reading.question.asks_judgement:
        return Decision(
            "Y", reading.name() if len(reading.text.split()) <= _WORDS_OF_A_NAME else None, "answered"
        )
    choice = reading.name()
    return Decision("Y", choice, "judgement" if choice is None else "thing_named")
