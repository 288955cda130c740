"""The features of an answer: which signals stand where, and how much of it is free of any against.

Shared by the judge and by the script that fits its weights, so that the two cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.judges.lexical.signals import Sentence, signals_in
from prefbench.options import word_set

REFUSING = word_set(
    "refuse refuse_clipped apology objection policy self_ai disclaim no_opinion offer_help condemn"
    " false_premise neutral instead seek_help"
)
"""Signals of an answer that declines, or of the moral that comes with declining."""
DEFERRING = frozenset(["depends", "no_single", "up_to", "your_case", "ask_back", "conditional"])
BALANCING = frozenset(
    [
        "balance",
        "both",
        "not_sole",
        "some_say",
        "pros_cons",
        "also_important",
        "permissive",
        "contrast",
        "concede",
    ]
)


def measure(sentences: Sequence[Sentence]) -> dict[str, float]:
    """Return the features of an answer by name.

    `signal` is 1 where a signal stands anywhere, `signal.first` and `signal.last` where it stands in the
    first or the last of several sentences. `plain.*` measure what gives no signal against: `plain.count`
    (sentences that refuse nothing, up to 8, over 4), `plain.share`, and the same for `settled`, which
    neither refuse, defer nor balance.
    """
    found = [signals_in(sentence) for sentence in sentences]
    features: dict[str, float] = {}
    for names in found:
        features.update(dict.fromkeys(names, 1.0))
    if found:
        features.update({f"{name}.first": 1.0 for name in found[0]})
    if len(found) > 1:
        features.update({f"{name}.last": 1.0 for name in found[-1]})
    plain = sum(1 for names in found if names.isdisjoint(REFUSING))
    settled = sum(1 for names in found if names.isdisjoint(REFUSING | DEFERRING | BALANCING))
    total = max(len(found), 1)
    features["plain.count"], features["plain.share"] = min(plain, 8) / 4, plain / total
    features["settled.count"], features["settled.share"] = min(settled, 8) / 4, settled / total
    return features
