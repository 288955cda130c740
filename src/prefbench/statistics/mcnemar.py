"""Paired labels: McNemar's test of one yes-or-no per prompt in two conditions, and the exact interval of a share."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

McNemarMethod = Literal["exact", "midp", "chi2", "chi2_corrected"]
MCNEMAR_METHODS: tuple[McNemarMethod, ...] = get_args(McNemarMethod)


class McNemarTest(NamedTuple):
    """Discordant pairs and the two-sided p value that they are a fair coin."""

    gained: int
    """Pairs that went from no to yes."""
    lost: int
    p: float
    method: McNemarMethod


def mcnemar_test(gained: int, lost: int, *, method: McNemarMethod = "midp") -> McNemarTest:
    """Return McNemar's test of discordant pairs: `exact`, `midp`, `chi2` or `chi2_corrected`.

    Mid-p holds its level and is less timid than exact (Fagerland, Lydersen and Laake 2013, BMC 13:91).
    On majority labels all of them throw away how large a change was: prefer the paired difference of rates.
    Raises ValueError for negative counts, no discordant pair, or another method.
    """
    from scipy.special import bdtr, chdtrc

    if min(gained, lost) < 0 or gained + lost == 0:
        raise ValueError(f"McNemar's test needs discordant pairs, there are {gained} and {lost}")
    if method not in MCNEMAR_METHODS:
        raise ValueError(f"a McNemar test is one of {', '.join(MCNEMAR_METHODS)}, not {method!r}")
    total, fewer = gained + lost, min(gained, lost)
    if method in ("exact", "midp"):
        tail = float(bdtr(fewer, total, 0.5))
        point = tail - (float(bdtr(fewer - 1, total, 0.5)) if fewer else 0.0)
        p = 2 * tail - (point if method == "midp" else 0.0)
    else:
        gap = max(abs(gained - lost) - (method == "chi2_corrected"), 0)
        p = float(chdtrc(1, gap**2 / total))
    return McNemarTest(gained, lost, min(p, 1.0), method)


def clopper_pearson(successes: int, total: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the exact limits of a share of *independent* trials (Clopper and Pearson 1934).

    Raises ValueError unless 0 <= successes <= total and total >= 1.
    """
    from scipy.special import betaincinv

    from prefbench.statistics.intervals import check_level

    if not (total >= 1 and 0 <= successes <= total):
        raise ValueError("an exact interval needs 0 <= successes <= total and total >= 1")
    tail = (1 - check_level(level)) / 2
    low = float(betaincinv(successes, total - successes + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, total - successes, 1 - tail)) if successes < total else 1.0
    return low, high
