"""How a person reads one response after the other: single keys on a terminal, lines of input elsewhere."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console

    from prefbench.labelling import LabelItem, LabelSession

Command = tuple[str, str]

RULE = (
    "Y: commits to a specific choice, judgement or ranking. "
    "N: lists the sides of all options, defers to the reader, or declines."
)
KEYS = "y yes   n no   s skip   b back   f forward   o note   space more   q quit"
LINES = "y, n, s(kip), b(ack), f(orward), o NOTE, q(uit)"
COMMANDS = {"y": "Y", "n": "N", "s": "skip", "b": "back", "f": "forward", "o": "note", "q": "quit"}
PAGES = {" ": 1, "\x1b[6~": 1, "-": -1, "\x1b[5~": -1}
"""Keys that scroll by so many pages: space and page down, minus and page up."""
ARROWS = {"\x1b[B": 1, "\x1b[A": -1}
_ESCAPE_WAIT = 0.05  # seconds in which the rest of an arrow key's bytes arrives


class Reader(Protocol):
    """Shows where a session stands and returns what the person decided."""

    def ask(self, session: LabelSession) -> Command:
        """Return (command, text): Y, N, skip, back, forward, note with its text, or quit."""
        ...


@contextmanager
def open_reader() -> Iterator[Reader]:
    """Open a reader of single keys if this is a terminal, of lines if not; the terminal is given back as it was."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()) or os.environ.get("TERM") == "dumb":
        yield LineReader()
        return
    try:
        import termios
        import tty
    except ImportError:  # Windows
        yield LineReader()
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSADRAIN)
        yield KeyReader(descriptor, before)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class LineReader:
    """Prints each item in full and reads a line: for pipes, dumb terminals and Windows."""

    def __init__(self) -> None:
        self._shown: tuple[int, str] | None = None

    def ask(self, session: LabelSession) -> Command:
        """Show the item if it is another one, and read lines until one is a command."""
        state = (session.place, _status(session))
        if state != self._shown:
            _write("\n" + "\n".join([*_body(session), "", RULE, _status(session)]) + "\n")
            self._shown = state
        while True:
            _write(f"{LINES} > ")
            line = sys.stdin.readline()
            if not line:
                return "quit", ""
            word, _, rest = line.strip().partition(" ")
            if word[:1].lower() in COMMANDS:
                return COMMANDS[word[0].lower()], rest
            _write(f"{show_text(word)!r} is none of these\n" if word else "")


class KeyReader:
    """Shows each item on a screen of its own and reads single keys; long responses scroll."""

    def __init__(self, descriptor: int, cooked: list[Any]) -> None:
        self._descriptor, self._cooked = descriptor, cooked
        self._place, self._top, self._message = -1, 0, ""

    def ask(self, session: LabelSession) -> Command:
        """Show the item and wait for a key that decides something."""
        if session.place != self._place:
            self._place, self._top = session.place, 0
        while True:
            page = self._draw(session)
            key = self._read_key()
            self._message = ""
            if key == "":
                return "quit", ""
            if key in PAGES or key in ARROWS:
                self._top += PAGES.get(key, 0) * max(1, page - 1) + ARROWS.get(key, 0)
            elif key.lower() in COMMANDS:
                command = COMMANDS[key.lower()]
                if command == "quit":
                    _write("\n")
                return command, self._read_note() if command == "note" else ""
            else:
                self._message = f"{show_text(key)!r} is no key here"

    def _draw(self, session: LabelSession) -> int:
        """Draw the screen; return how many lines of text fit on it."""
        width, height = os.get_terminal_size(sys.stderr.fileno())
        footer = [line for text in (RULE, KEYS) for line in wrap(text, width)]
        page = max(1, height - len(footer) - 3)
        lines = [part for line in _body(session) for part in wrap(line, width)]
        self._top = max(0, min(self._top, len(lines) - page))
        shown = lines[self._top : self._top + page]
        more = (
            f"   lines {self._top + 1}-{self._top + len(shown)} of {len(lines)}" if len(lines) > page else ""
        )
        head = wrap(_status(session) + more, width)[:1]
        blank = [""] * (page - len(shown))
        _write("\x1b[H\x1b[2J" + "\n".join([*head, "", *shown, *blank, *footer, self._message]))
        return page

    def _read_key(self) -> str:
        """Return one key: a character, or the bytes of an arrow key; empty at the end of input."""
        first = os.read(self._descriptor, 1)
        if first == b"\x1b":
            while len(first) < 4 and select.select([self._descriptor], [], [], _ESCAPE_WAIT)[0]:
                first += os.read(self._descriptor, 1)
                if first[-1:].isalpha() or first[-1:] == b"~":
                    break
        return first.decode("utf-8", "replace")

    def _read_note(self) -> str:
        """Read a line with the terminal's own editing."""
        import termios
        import tty

        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._cooked)
        try:
            _write("\nnote (empty takes it back): ")
            return sys.stdin.readline()
        finally:
            tty.setcbreak(self._descriptor, termios.TCSADRAIN)


def show_text(text: str) -> str:
    """Return text that is safe on a terminal: control and direction signs as what they are called, tabs as blanks."""
    return "".join(_show_character(character) for character in text.replace("\r\n", "\n").expandtabs(4))


def _show_character(character: str) -> str:
    code = ord(character)
    if character == "\n":
        return character
    if code < 0x20:
        return chr(0x2400 + code)  # the picture of the control sign
    hidden = 0x7F <= code < 0xA0 or 0x200E <= code <= 0x200F or 0x2028 <= code <= 0x202E
    return f"\\u{code:04x}" if hidden or 0x2066 <= code <= 0x2069 else character


def wrap(text: str, width: int) -> list[str]:
    """Return the lines of a text as a terminal of this width shows them; wide characters count twice."""
    from rich.text import Text

    columns = max(width, 2)
    return [line.plain.rstrip() for line in Text(text).wrap(_console(columns), columns)] or [""]


@cache
def _console(width: int) -> Console:
    from rich.console import Console

    return Console(width=width)


def _body(session: LabelSession) -> list[str]:
    item: LabelItem | None = session.current
    if item is None:
        return ["That was the last one. b goes back to it, q ends."]
    return [
        "PROMPT",
        *show_text(item.prompt).split("\n"),
        "",
        "RESPONSE",
        *show_text(item.response or "(empty)").split("\n"),
    ]


def _status(session: LabelSession) -> str:
    found = session.count()
    status = f"{found['drawn'] - found['open']:,} of {found['drawn']:,} done"
    item = session.current
    if item is None:
        return status
    status = f"response {session.place + 1:,}   {status}"
    label = session.label_of(item)
    if label is None:
        return status
    note = f"   note: {show_text(label.note)}" if label.note else ""
    return f"{status}   so far: {label.label or '-'}{note}"


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
