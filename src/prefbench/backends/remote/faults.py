"""What can go wrong behind a network: an SDK's exception in, a kind and one line without keys out."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, Literal

Kind = Literal["rate", "passing", "unreachable", "fatal", "overflow", "refused"]
"""Slow down; try again later; nothing answers there; hits every call; too long; this item is not taken."""

KEY_VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY")
LONGEST_MESSAGE = 300

_KEY_LIKE = re.compile(r"\b(?:sk|pk|rk|key|sess|xai|gsk)[-_][A-Za-z0-9*._-]{6,}|(?<=[Bb]earer )\S+")
_OVERFLOW = re.compile(
    r"prompt is too long|context[ _-]?(?:length|window)|maximum (?:input|context|model|prompt) length"
    r"|max_model_len|too many (?:input )?tokens|exceeds? the (?:model'?s? )?(?:context|maximum)"
    r"|longer than the maximum|request_too_large",
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(
    r"insufficient[_ ]quota|credit balance|billing|exceeded your current quota|spend[_ ]limit|payment",
    re.IGNORECASE,
)
_PAYLOAD_TOO_LARGE = 413
_PASSING = frozenset({408, 409, 425})


class UnreadableReplyError(Exception):
    """A server's reply was no JSON, or not of the shape that its API promises."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong with one call."""

    kind: Kind
    message: str
    retry_after: float | None = None
    """Seconds that the server asks to wait."""


def redact(text: str) -> str:
    """Return text as one line without the keys of the environment and without what looks like a key."""
    for variable in KEY_VARIABLES:
        key = os.environ.get(variable, "")
        if len(key) >= 4:
            text = text.replace(key, "[key]")
    line = " ".join(_KEY_LIKE.sub("[key]", text).split())
    return line if len(line) <= LONGEST_MESSAGE else f"{line[: LONGEST_MESSAGE - 1]}…"


def classify(error: Exception, *, sdk: Any, server: str, key_variable: str, model: str) -> Trouble:
    """Return what an exception of an SDK means; `sdk` is its module (`openai` and `anthropic` are alike here).

    Any exception that is neither the SDK's nor its transport's is raised again: it is a bug.
    """
    import httpx2

    if isinstance(error, httpx2.TransportError):  # a stream of results that broke off
        return Trouble("passing", f"{server} broke off ({redact(str(error))})")
    if isinstance(error, UnreadableReplyError):
        return Trouble("passing", f"{server} sent a reply that cannot be read: {redact(str(error))}")
    if isinstance(error, sdk.APITimeoutError):
        return Trouble("passing", f"{server} did not answer in time")
    if isinstance(error, sdk.APIConnectionError):
        cause = redact(str(error.__cause__ or error))
        return Trouble("unreachable", f"cannot reach {server} ({cause}); check the network and the base URL")
    if isinstance(error, sdk.APIStatusError):
        return _classify_status(error, server, key_variable, model)
    if isinstance(error, (sdk.APIError, ValueError)):  # a body that is no JSON, or not what the API promises
        return Trouble("passing", f"{server} sent a reply that cannot be read: {redact(str(error))}")
    raise error


def _classify_status(error: Any, server: str, key_variable: str, model: str) -> Trouble:
    status = int(error.status_code)
    said = redact(_message(error))
    if status in (401, 403, 404):
        cause = f"does not know model {model!r}" if status == 404 else "refused the key"
        cure = "give another --model" if status == 404 else f"check {key_variable}"
        return Trouble("fatal", f"{server} {cause} ({said}): {cure}")
    if status == 402 or (status in (400, 429) and _NO_CREDIT.search(f"{_code(error)} {said}")):
        return Trouble(
            "fatal", f"{server}: no credit left ({said}); top the account up, then run the same command"
        )
    if status == _PAYLOAD_TOO_LARGE or (status == 400 and is_overflow(f"{_code(error)} {said}")):
        return Trouble("overflow", said)
    if status == 429:
        return Trouble("rate", said, _retry_after(error))
    if status >= 500 or status in _PASSING:
        return Trouble("passing", f"{server} answered {status} ({said})", _retry_after(error))
    return Trouble("refused", f"{server} answered {status} ({said})")


def is_overflow(text: str) -> bool:
    """Whether a server's words say that a request was too long for the model."""
    return _OVERFLOW.search(text) is not None


def _message(error: Any) -> str:
    body = error.body
    inner = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(inner, dict) and inner.get("message"):
        return str(inner["message"])
    return str(inner or error)


def _code(error: Any) -> str:
    body = error.body
    inner = body.get("error", body) if isinstance(body, dict) else None
    return " ".join(str(inner.get(name, "")) for name in ("code", "type")) if isinstance(inner, dict) else ""


def _retry_after(error: Any) -> float | None:
    """Return the seconds of a Retry-After header: a number, a date, or milliseconds in its variant."""
    headers = error.response.headers
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return max(0.0, float(milliseconds) / 1000)
        if value := headers.get("retry-after"):
            return max(0.0, float(value)) if _is_number(value) else _until(value)
    except ValueError:
        return None
    return None


def _is_number(text: str) -> bool:
    return text.strip().replace(".", "", 1).isdigit()


def _until(date: str) -> float:
    return max(0.0, parsedate_to_datetime(date).timestamp() - time())
