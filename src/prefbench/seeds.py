"""Seeds of answers: a hash of what an answer belongs to, so that no order and no batch changes them."""

from __future__ import annotations

import hashlib

from prefbench.records import RecordKey, format_temperature


def hash_seed(*parts: object) -> int:
    """Return a seed of 53 bits from the parts' texts; the first of several answers has it, answer i has it + i."""
    text = "\0".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 11


def derive_seed(study_seed: int, key: RecordKey) -> int:
    """Return the seed of a prompt's first answer.

    It depends on the study's seed, the prompt and the temperature, and not on the condition: the same prompt
    draws with the same random numbers in every condition.
    """
    return hash_seed(study_seed, key.domain, key.id, format_temperature(key.temperature))
