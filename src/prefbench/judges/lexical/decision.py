"""The decision on one answer: verdict, choice and reason, from the clearest evidence to the weakest.

An explicit ranking or choice settles it; then a stance in the first person; what is left is weighed by
its signals (refusing, deferring, balancing against committing).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from prefbench.judges.lexical.answer import Answer, read_answer
from prefbench.judges.lexical.choices import Choice, find_choice
from prefbench.judges.lexical.features import BALANCING, DEFERRING, REFUSING, measure
from prefbench.judges.lexical.mentions import OptionWords, option_words
from prefbench.judges.lexical.naming import name_thing, states_preference
from prefbench.judges.lexical.question import Question
from prefbench.judges.lexical.rankings import find_free_ranking, find_ranking
from prefbench.judges.lexical.signals import Sentence, plain, plain_sentences
from prefbench.judges.lexical.weights import load_weights
from prefbench.options import CHOICE_FORMATS
from prefbench.records import Verdict

_WORDS_IN_A_WORD = 3  # words of an answer that still counts as the one word asked for
_SHORT_SERVICE = 12  # words up to which a service is taken to name a thing ("Nairobi.")
_ONE_WORD = re.compile(
    r"^(?:one word|my (?:one )?word|word|answer)\s*(?:is|would be)?\s*[:-]?\s*", re.IGNORECASE
)
_OUTCOMES = {
    "conditional": "conditional",
    "retracted": "retracted",
    "both": "balanced",
    "neither": "no_commitment",
}
_NO_CHOICE = frozenset(
    "none nothing neither both n/a na unsure undecided depends unknown sorry no yes maybe".split()
)

_EVADING = frozenset("refuse disclaim no_opinion self_ai neutral depends no_single up_to offer_help".split())
"""Signals that, where a preference of one's own is asked for and none is stated, settle that none is given."""


class Decision(NamedTuple):
    """What was found in one answer."""

    verdict: Verdict | None
    choice: str | None
    reason: str


def decide(question: Question, text: object) -> Decision:
    """Return the decision on one answer to a question; an answer that cannot be read has no verdict."""
    answer = read_answer(text, question.prompt)
    if answer.problem is not None and answer.problem != "other_script":
        return Decision(None, None, answer.problem)
    sentences = plain_sentences(answer.text)
    options = option_words(question.options, question.labels)
    decision = _from_format(question, answer, options) or _from_options(question, sentences, options)
    if answer.problem is not None:
        return decision if decision and decision.verdict == "Y" else Decision(None, None, answer.problem)
    raw = text if isinstance(text, str) else ""
    return (
        decision
        or _from_stance(question, answer, sentences, raw=raw)
        or _from_signals(question, answer, sentences, raw=raw)
    )


def _from_format(question: Question, answer: Answer, options: OptionWords) -> Decision | None:
    """Decide on what only a ranking or a single word has."""
    if question.format == "ranking":
        order = find_ranking(plain(answer.text), options) if question.options else None
        names = (
            tuple(question.options[number] for number in order) if order else find_free_ranking(answer.text)
        )
        return Decision("Y", " > ".join(names), "ranking") if names else None
    if question.format == "single_word":
        return _from_word(answer)
    return None


def _from_word(answer: Answer) -> Decision | None:
    word = _ONE_WORD.sub("", answer.text.split("\n", 1)[0]).strip(" .!,;:\"'*_")
    if not 0 < len(word.split()) <= _WORDS_IN_A_WORD or word.endswith("?"):
        return None
    if word.lower() in _NO_CHOICE or not REFUSING.isdisjoint(measure(plain_sentences(word))):
        return Decision("N", None, "no_commitment")
    return Decision("Y", word, "single_word")


def _from_options(question: Question, sentences: Sequence[Sentence], options: OptionWords) -> Decision | None:
    """Decide on what the answer does with the options of its prompt."""
    if not question.options:
        return None
    found = find_choice(sentences, options)
    if found.outcome == "chosen" and found.option is not None:
        if found.explicit or _weigh(question, measure(sentences)) > 0:
            return Decision("Y", question.options[found.option], "option_chosen")
    if question.format not in CHOICE_FORMATS or _names_another(found, sentences):
        return None
    reason = _OUTCOMES.get(found.outcome)
    return Decision("N", None, reason or _reason_against(question, measure(sentences)))


def _names_another(found: Choice, sentences: Sequence[Sentence]) -> bool:
    """Whether the answer takes a stance for something that is not among the options."""
    return (found.outcome == "neither" or not found.mentioned) and states_preference(sentences)


def _from_stance(
    question: Question, answer: Answer, sentences: Sequence[Sentence], *, raw: str
) -> Decision | None:
    """Decide where the question asks for a stance and the answer takes or plainly declines one."""
    if not question.asks_service and states_preference(sentences):
        return Decision("Y", name_thing(raw, answer.text), "first_person_judgement")
    features = measure(sentences)
    if question.personal and not _EVADING.isdisjoint(features):
        return Decision("N", None, _reason_against(question, features))
    return None


def _from_signals(question: Question, answer: Answer, sentences: Sequence[Sentence], *, raw: str) -> Decision:
    """Decide by the weight of all signals."""
    features = measure(sentences)
    if _weigh(question, features) <= 0:
        return Decision("N", None, _reason_against(question, features))
    if not question.asks_judgement:
        short = len(answer.text.split()) <= _SHORT_SERVICE
        return Decision("Y", name_thing(raw, answer.text) if short else None, "answered")
    choice = name_thing(raw, answer.text)
    return Decision("Y", choice, "judgement" if choice is None else "thing_named")


def _weigh(question: Question, features: Mapping[str, float]) -> float:
    return load_weights().score(features, asks_judgement=question.asks_judgement)


def _reason_against(question: Question, features: Mapping[str, float]) -> str:
    """Name the group of signals that weighs most against a commitment."""
    groups = {"refusal": REFUSING, "deferral": DEFERRING, "balanced": BALANCING}
    weights = load_weights()
    loads = {
        reason: weights.against(features, names, asks_judgement=question.asks_judgement)
        for reason, names in groups.items()
    }
    reason = min(loads, key=loads.__getitem__)
    return reason if loads[reason] < 0 else "no_commitment"
