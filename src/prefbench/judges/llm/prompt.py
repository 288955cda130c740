"""The message that a judge reads: one record's question, options and responses, in blocks that no text can close."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from prefbench.options import normalise_choice, parse_options
from prefbench.records import ResponseRecord

KEY_LENGTH = 6
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_THINKING_END = re.compile(r"</(?:think|thinking|thought|reasoning|scratchpad)>", re.IGNORECASE)
_THINKING_START = re.compile(r"\s*<(?:think|thinking|thought|reasoning|scratchpad)>", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_LETTER = re.compile(r"\(?(?:option )?([A-Za-z])[).:]?", re.IGNORECASE)


def read_response(text: str) -> tuple[str, str | None]:
    """Return (the text to be judged, None), or ("", why there is nothing to judge).

    Thinking between tags is left out: it is not the answer. Control characters become U+FFFD.
    """
    ends = list(_THINKING_END.finditer(text))
    said = text[ends[-1].end() :] if ends else text
    if _THINKING_START.match(said):
        return "", "truncated_thinking"
    said = _CONTROL.sub("\ufffd", said.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not said:
        return "", "empty"
    if not said.replace("\ufffd", "").strip():
        return "", "unreadable: control or undecodable characters"
    return said, None


def shorten(text: str, most: int) -> str:
    """Return at most about `most` characters of a text: its start and its end, where a commitment stands."""
    if len(text) <= most:
        return text
    half = max(1, most // 2)
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


def read_options(record: ResponseRecord) -> tuple[str, ...]:
    """Return the options of a record's prompt, in the order shown; none for formats without options."""
    options = parse_options(record.prompt, record.format) or ()
    return options if len(options) <= len(LETTERS) else ()


def render(record: ResponseRecord, options: Sequence[str], texts: Sequence[str]) -> str:
    """Return the message for some of a record's responses, numbered from 1."""
    question = _CONTROL.sub("\ufffd", record.prompt).strip()
    key = _draw_key([question, *options, *texts])
    parts = [f"<<{key} question>>\n{question}"]
    if options:
        listed = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
        parts.append(f"<<{key} options>>\n{listed}")
    parts += [f"<<{key} {number}>>\n{text}" for number, text in enumerate(texts, start=1)]
    many = f"s 1 to {len(texts)}" if len(texts) > 1 else " 1"
    return "\n".join([*parts, f"<<{key} end>>\nGive your verdict on response{many}."])


def name_fault(message: str, fault: str) -> str:
    """Return the message again with what was wrong with the first answer to it."""
    return f"{message}\nA first answer to this could not be used: {fault}. Answer again, with the JSON object only."


def match_choice(choice: str | None, options: Sequence[str]) -> str | None:
    """Return the option that a judge's choice means, in the prompt's words; other words as they are; None if blank."""
    words = " ".join((choice or "").split())
    if not words or words.casefold() in ("null", "none", "n/a", "-"):
        return None
    if not options:
        return words
    said = normalise_choice(words)
    plain = [normalise_choice(option) for option in options]
    if said in plain:
        return options[plain.index(said)]
    if (letter := _LETTER.fullmatch(words)) and (place := LETTERS.find(letter[1].upper())) < len(options):
        return options[place]
    labelled = re.match(r"\(?([A-Z])[).:] ", words)
    if labelled and LETTERS.find(labelled[1]) < len(options):
        return options[LETTERS.find(labelled[1])]
    held = [option for option, text in zip(options, plain, strict=True) if text and _holds(said, text)]
    return held[0] if len(held) == 1 else words


def _holds(said: str, option: str) -> bool:
    """Whether one of the two texts stands in the other as whole words."""
    return f" {option} " in f" {said} " or f" {said} " in f" {option} "


def _draw_key(texts: Sequence[str]) -> str:
    """Return a key that stands in none of the texts: the same for the same texts, so that requests can be repeated."""
    whole = "\0".join(texts)
    lowered = whole.casefold()
    number = 0
    while True:
        digest = hashlib.blake2b(f"{number}\0{whole}".encode("utf-8", "replace"), digest_size=8).hexdigest()
        key = digest[:KEY_LENGTH]
        if key not in lowered:
            return key
        number += 1
