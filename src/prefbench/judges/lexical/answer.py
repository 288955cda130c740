"""From a response to the text that is to be judged: what the model said, once, after its thinking."""

from __future__ import annotations

import re
from typing import NamedTuple

OPENING_CHARACTERS = 4_000
"""How much of the start of a long answer is read."""
CLOSING_CHARACTERS = 2_000
"""How much of its end is read. An answer longer than both together has a middle that is not."""

_UNREADABLE_SHARE = 0.05  # of the characters, from which on a text is noise
_THINKING_END = re.compile(r"</(?:think|thinking|thought|reasoning|scratchpad)>", re.IGNORECASE)
_THINKING_START = re.compile(r"<(?:think|thinking|thought|reasoning|scratchpad)>", re.IGNORECASE)
_TURN = re.compile(
    r"\n[ \t]*(?:#{1,4} *|\*\*)?(?:question|q|prompt|user|human|you|instruction|input|assistant|answer"
    r"|a|response)"
    r"(?: *\d+)?(?:\*\*)? *:|<\|[a-z_]+\|>|</s>|\n#{2,4} *(?:instruction|input|response|question)\b"
    r"|\[/?INST\]",
    re.IGNORECASE,
)
_LEAD_IN = re.compile(
    r"\s*(?:#{1,4} *|\*\*)?(?:assistant|answer|a|response|ai|final answer|my answer|my choice"
    r"|choice)(?:\*\*)? *:(?:\*\*)?\s*",
    re.IGNORECASE,
)
_QUESTION_LINE = re.compile(
    r"\s*(?:\*\*)?(?:question|q|prompt|user|human)(?:\*\*)? *:[^\n]*\n+", re.IGNORECASE
)
_STAR_BULLET = re.compile(r"^([ \t]*)\* +", re.MULTILINE)
_LINE_MARK = re.compile(r"^[ \t]*(?:#{1,6}|>) +", re.MULTILINE)
_MARKS = ("**", "*", "`", "__")
_NOISE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ufffd\ufffe\uffff\ud800-\udfff\ue000-\uf8ff]")
_TURN_SIGNS = frozenset("\n<[")
_STRAIGHT = str.maketrans(
    {
        "‘": "'",
        "’": "'",
        "ʼ": "'",
        "“": '"',
        "”": '"',
        "\u00a0": " ",
        "\u2009": " ",
        "\u202f": " ",
        "\r": "\n",
    }
)


class Answer(NamedTuple):
    """An answer made ready to judge; where `problem` is set it cannot be judged and `text` is empty."""

    text: str
    problem: str | None = None


def read_answer(text: object, prompt: str) -> Answer:
    """Return the first answer that a response gives, without thinking, later turns and markup.

    Problems: `unreadable: …` for what is not text, is empty or is mostly control or undecodable
    characters; `truncated_thinking` where the thinking never ends; `other_script` where fewer than half
    of the letters are Latin.
    """
    if not isinstance(text, str):
        return Answer("", f"unreadable: {type(text).__name__} instead of text")
    problem = _noise(text)
    if problem is not None:
        return Answer("", problem)
    ends = list(_THINKING_END.finditer(text))
    said = text[ends[-1].end() :] if ends else text
    start = _THINKING_START.search(said)
    if start is not None:
        said = said[: start.start()]
        if not said.strip():
            return Answer("", "truncated_thinking")
    said = _first_turn(_shorten(_straighten(said)), _straighten(prompt))
    said = _without_markup(said).strip()
    if not any(character.isalnum() for character in said):
        return Answer("", "unreadable: no words")
    return Answer(said, _script(said))


def _without_markup(text: str) -> str:
    """Take out emphasis, code marks, headings and quote marks; "* " at the start of a line becomes "- "."""
    if "* " in text:
        text = _STAR_BULLET.sub(r"\1- ", text)
    if "#" in text or ">" in text:
        text = _LINE_MARK.sub("", text)
    for mark in _MARKS:
        text = text.replace(mark, "")
    return text


def _straighten(text: str) -> str:
    return text if text.isascii() and "\r" not in text else text.translate(_STRAIGHT)


def _noise(text: str) -> str | None:
    if not text.strip():
        return "unreadable: empty"
    sample = text[: OPENING_CHARACTERS + CLOSING_CHARACTERS]
    if len(_NOISE.findall(sample)) > _UNREADABLE_SHARE * len(sample):
        return "unreadable: control or undecodable characters"
    return None


def _script(text: str) -> str | None:
    if text.isascii():
        return None
    letters = [character for character in text[:2_000] if character.isalpha()]
    latin = sum(1 for character in letters if character < "\u0250")
    return "other_script" if letters and latin * 2 < len(letters) else None


def _shorten(text: str) -> str:
    if len(text) <= OPENING_CHARACTERS + CLOSING_CHARACTERS:
        return text
    return text[:OPENING_CHARACTERS] + "\n" + text[-CLOSING_CHARACTERS:]


def _first_turn(text: str, prompt: str) -> str:
    """Cut a repeated prompt off the start and everything from the next turn of a made-up dialogue on."""
    text = _QUESTION_LINE.sub("", text.lstrip(), count=1) if _QUESTION_LINE.match(text) else text.lstrip()
    if prompt and len(text) > len(prompt) + 1 and text[: len(prompt)].casefold() == prompt.casefold():
        text = text[len(prompt) :].lstrip(' \n"')
    lead = _LEAD_IN.match(text)
    text = text[lead.end() :] if lead and lead.end() < len(text) else text
    turn = _TURN.search(text) if not _TURN_SIGNS.isdisjoint(text) else None
    return text[: turn.start()] if turn and text[: turn.start()].strip() else text
