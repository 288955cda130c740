"""All pairs of sets whose Jaccard similarity reaches a threshold, without comparing every pair."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence


def similar_pairs(sets: Sequence[frozenset[str]], threshold: float) -> Iterator[tuple[int, int, float]]:
    """Yield (i, j, similarity) with i < j for all pairs of non-empty sets at or above the threshold.

    Exact. Two sets of Jaccard similarity t share an element among the rarest |s| - ceil(t |s|) + 1 of
    each, so only those are indexed (prefix filtering: Bayardo, Ma and Srikant 2007, "Scaling up all
    pairs similarity search"). `threshold` is in (0, 1].
    """
    frequency = Counter(element for members in sets for element in members)
    holders: defaultdict[str, list[int]] = defaultdict(list)
    for later, members in enumerate(sets):
        rarest = sorted(members, key=lambda element: (frequency[element], element))
        prefix = rarest[: len(rarest) - math.ceil(threshold * len(rarest) - 1e-9) + 1]
        candidates = {earlier for element in prefix for earlier in holders[element]}
        for earlier in sorted(candidates):
            similarity = _jaccard(sets[earlier], members)
            if similarity >= threshold:
                yield earlier, later, similarity
        for element in prefix:
            holders[element].append(later)


def _jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared)
