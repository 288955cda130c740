"""What is known of the models behind a network: the defaults, the prices with their date, what they accept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from prefbench.backends.base import Usage
from prefbench.errors import ConfigError

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Tariff:
    """Prices in dollars per million tokens."""

    input: float
    output: float
    cache_write: float
    cache_read: float
    cache_write_hour: float
    """For a cache entry that lives an hour, as those of batches do."""

    def cost(self, usage: Usage, *, hour: bool = False) -> float:
        """Return what the tokens cost in dollars."""
        return (
            usage.input_tokens * self.input
            + usage.cached_tokens * self.cache_read
            + usage.cache_write_tokens * (self.cache_write_hour if hour else self.cache_write)
            + usage.output_tokens * self.output
        ) / MILLION


@dataclass(frozen=True, slots=True)
class Price:
    """What one request costs: a tariff, another one for long prompts, and the share that a batch pays."""

    tariff: Tariff
    long_above: int | None = None
    """Input tokens above which every token of the request is billed at `long`."""
    long: Tariff | None = None
    batch_share: float = 0.5

    def cost(self, usage: Usage, *, batch: bool = False) -> float:
        """Return what one request costs in dollars."""
        is_long = self.long_above is not None and usage.all_input_tokens > self.long_above
        tariff = self.long if is_long and self.long is not None else self.tariff
        return tariff.cost(usage, hour=batch) * (self.batch_share if batch else 1.0)

    def ceiling(self, input_tokens: int, output_tokens: int, *, batch: bool = False) -> float:
        """Return the most that a request can cost: every input token at the dearest of its rates."""
        tariffs = [self.tariff] if self.long is None else [self.tariff, self.long]
        dearest = max(
            input_tokens * max(each.input, each.cache_write, each.cache_write_hour * batch)
            + output_tokens * each.output
            for each in tariffs
        )
        return dearest / MILLION * (self.batch_share if batch else 1.0)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a request to a model may say, and what it costs; the defaults are for a model that we do not know."""

    name: str
    price: Price | None = None
    effort: str | None = None
    """How much thought a judge asks for; None where the model has no such setting."""
    thinks: bool = False
    temperature: bool | None = None
    """Whether the model takes a temperature; None: not known."""
    characters_per_token: float = 4.0
    """Of English text; an assumption, for estimates before anything was measured."""


def default_model(provider: str) -> str:
    """Return the model that a provider's backend uses where none is named."""
    return str(_catalogue()["defaults"][provider])


def prices_checked() -> str:
    """Return the day on which the prices were looked up (ISO 8601)."""
    return str(_catalogue()["checked"])


def find_model(provider: str, name: str) -> ModelFacts:
    """Return what is known of a model; dated names (`claude-sonnet-5-5-20260928`) are those of their family."""
    catalogue = _catalogue()
    shared = catalogue["providers"].get(provider, {})
    per_token = float(shared.get("characters_per_token", 4.0))
    families = [
        family
        for family, entry in catalogue["models"].items()
        if entry["provider"] == provider and _is_of_family(name, family)
    ]
    if not families:
        return ModelFacts(name, characters_per_token=per_token)
    entry = catalogue["models"][max(families, key=len)]
    long = entry.get("long")
    hour = float(shared["cache_write_hour_share"])
    price = Price(
        _tariff(entry, hour),
        long and int(long["above"]),
        long and _tariff(long, hour),
        float(shared["batch_share"]),
    )
    return ModelFacts(name, price, entry["effort"], entry["thinks"], entry["temperature"], per_token)


def parse_price(text: str) -> Price:
    """Return the price that "2/10" means: dollars per million input and output tokens.

    Reading the cache is taken to cost as much as other input, writing it a quarter more.
    Raises ConfigError for anything else.
    """
    parts = str(text).split("/")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) != 2 or not all(0 <= number < float("inf") for number in numbers):
        raise ConfigError(
            f"price {text!r}: write dollars per million input and output tokens as 2/10 (0/0 for a server of your own)"
        )
    dear = 1.25 * numbers[0]
    return Price(Tariff(numbers[0], numbers[1], dear, numbers[0], dear))


def _is_of_family(name: str, family: str) -> bool:
    """Whether a name is the family's or adds only a date to it (-20260928, -2026-09-28, -latest)."""
    rest = name.removeprefix(family) if name.startswith(family) else None
    return rest is not None and (rest in ("", "-latest") or rest.replace("-", "").isdigit())


def _tariff(entry: Mapping[str, Any], hour_share: float) -> Tariff:
    rates = {name: float(entry[name]) for name in ("input", "output", "cache_write", "cache_read")}
    return Tariff(**rates, cache_write_hour=hour_share * rates["input"])


@cache
def _catalogue() -> Mapping[str, Any]:
    content: Mapping[str, Any] = orjson.loads((files("prefbench") / "data" / "models.json").read_bytes())
    return content
