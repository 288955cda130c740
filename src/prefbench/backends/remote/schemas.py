"""JSON schemas as providers take them: what one does not support is left out, and checked afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def without_keywords(schema: Mapping[str, Any], keywords: frozenset[str]) -> dict[str, Any]:
    """Return a copy of a schema without these keywords, at every depth; property names are no keywords."""
    kept: dict[str, Any] = {}
    for name, value in schema.items():
        if name in keywords:
            continue
        if name == "properties":
            kept[name] = {each: without_keywords(inner, keywords) for each, inner in value.items()}
        elif isinstance(value, Mapping):
            kept[name] = without_keywords(value, keywords)
        elif isinstance(value, list):
            kept[name] = [
                without_keywords(each, keywords) if isinstance(each, Mapping) else each for each in value
            ]
        else:
            kept[name] = value
    return kept
