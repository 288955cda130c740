"""The work on one record: which calls it needs, what their answers say, and what becomes of the record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from prefbench.backends import Completion, Usage
from prefbench.judges.base import Judgement
from prefbench.judges.llm.answer import Answer, AnswerFault, read_answer
from prefbench.judges.llm.prompt import match_choice, name_fault, read_options, read_response, render, shorten
from prefbench.options import normalise_choice
from prefbench.records import ResponseRecord, Verdict

SHORTEST_TEXT = 400
"""Characters to which a single response that is too long for the model may be cut, before it is given up."""
LONGEST_RAW = 4_000
"""Characters of an unreadable answer that are kept."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one call is about: some responses of a record, by their places."""

    places: tuple[int, ...]
    fault: str | None = None
    """What was wrong with the first answer, where this is the second attempt."""
    most: int | None = None
    """Characters to which each response is cut, where it did not fit."""
    roomier: bool = False
    """Whether the answer may be longer, since the first one was cut off."""

    @property
    def tag(self) -> str:
        """What tells the piece from the others of its record."""
        places = "-".join(str(place) for place in self.places)
        return f"{places}{'' if self.most is None else f'<{self.most}'}{'' if self.fault is None else '!'}"


@dataclass(slots=True)
class RecordWork:
    """One record on its way to a judgement."""

    record: ResponseRecord
    texts: list[str] = field(init=False)
    options: tuple[str, ...] = field(init=False)
    _verdicts: list[Verdict | None] = field(init=False)
    _choices: list[str | None] = field(init=False)
    _reasons: list[str] = field(init=False)
    _open: set[int] = field(init=False)
    _summaries: list[str | None] = field(default_factory=list)
    _raw: list[dict[str, Any]] = field(default_factory=list)
    _notes: list[str] = field(default_factory=list)
    _usage: Usage = field(default_factory=Usage)
    _calls: int = 0
    error: str | None = None

    def __post_init__(self) -> None:
        read = [read_response(response.text) for response in self.record.responses]
        self.texts = [text for text, _ in read]
        self.options = read_options(self.record)
        self._verdicts = [None] * len(read)
        self._choices = [None] * len(read)
        self._reasons = [problem or "" for _, problem in read]
        self._open = {place for place, (_, problem) in enumerate(read) if problem is None}

    @property
    def finished(self) -> bool:
        """Whether every response has its verdict, or the reason why it has none."""
        return not self._open or self.error is not None

    def pieces(self, *, per_response: bool) -> list[Piece]:
        """Return the calls that the record needs to begin with; none if there is nothing to judge."""
        places = tuple(sorted(self._open))
        if per_response:
            return [Piece((place,)) for place in places]
        return [Piece(places)] if places else []

    def message(self, piece: Piece) -> str:
        """Return what a piece's call says."""
        texts = [self.texts[place] for place in piece.places]
        if piece.most is not None:
            texts = [shorten(text, piece.most) for text in texts]
        text = render(self.record, self.options, texts)
        return text if piece.fault is None else name_fault(text, piece.fault)

    def take(self, piece: Piece, completion: Completion) -> list[Piece]:
        """Take a call's outcome in, and return the calls that it makes necessary."""
        self._usage += completion.usage or Usage()
        if completion.error is not None:
            return self._take_error(piece, completion)
        self._calls += 1
        output = completion.outputs[0]
        try:
            answer = read_answer(output.text, len(piece.places))
        except AnswerFault as fault:
            return self._take_fault(piece, str(fault), output.text, cut_off=output.finish_reason == "length")
        self._take_answer(piece, answer)
        return []

    def judgement(self) -> Judgement:
        """Return the judgement of a finished record."""
        details: dict[str, Any] = {"calls": self._calls}
        if self._usage != Usage():
            details["usage"] = {
                "input_tokens": self._usage.input_tokens,
                "cached_tokens": self._usage.cached_tokens,
                "cache_write_tokens": self._usage.cache_write_tokens,
                "output_tokens": self._usage.output_tokens,
            }
        details |= {"notes": self._notes} if self._notes else {}
        details |= {"unreadable_answers": self._raw} if self._raw else {}
        return Judgement(
            key=self.record.key,
            verdicts=tuple(self._verdicts),
            choices=tuple(self._choices),
            reasons=tuple(self._reasons),
            summary=self._summaries[0] if len(self._summaries) == 1 else self._summarise(),
            details=details,
            error=self.error,
        )

    def _take_answer(self, piece: Piece, answer: Answer) -> None:
        for place, verdict, choice in zip(piece.places, answer.verdicts, answer.choices, strict=True):
            self._verdicts[place] = verdict
            self._choices[place] = match_choice(choice, self.options)
            self._reasons[place] = "judged"
        self._summaries.append(answer.summary)
        self._open -= set(piece.places)

    def _take_fault(self, piece: Piece, fault: str, text: str, *, cut_off: bool) -> list[Piece]:
        """Ask once more, with the fault named; the second unreadable answer leaves its verdicts missing."""
        said = f"{fault}, and it was cut off: keep every choice short" if cut_off else fault
        responses = [place + 1 for place in piece.places]
        self._raw.append({"responses": responses, "fault": said, "text": text[:LONGEST_RAW]})
        if piece.fault is None:
            return [Piece(piece.places, fault=said, most=piece.most, roomier=cut_off)]
        self._give_up(piece, f"unreadable answer: {said}")
        return []

    def _take_error(self, piece: Piece, completion: Completion) -> list[Piece]:
        if completion.fault != "overflow":
            self.error = completion.error
            return []
        if len(piece.places) > 1:
            half = len(piece.places) // 2
            self._notes.append(f"too long for one call, split after response {piece.places[half - 1] + 1}")
            return [Piece(piece.places[:half]), Piece(piece.places[half:])]
        most = (piece.most or len(self.texts[piece.places[0]])) // 2
        if most >= SHORTEST_TEXT:
            self._notes.append(f"response {piece.places[0] + 1} was too long; read in {most} characters")
            return [Piece(piece.places, most=most)]
        self._give_up(piece, f"too long for the judge's context: {completion.error}")
        return []

    def _give_up(self, piece: Piece, reason: str) -> None:
        for place in piece.places:
            self._reasons[place] = reason
        self._open -= set(piece.places)

    def _summarise(self) -> str | None:
        """Return the choice named most often, for a record that several calls have read."""
        return summarise_choices(
            [choice for choice, verdict in zip(self._choices, self._verdicts, strict=True) if verdict == "Y"]
        )


def summarise_choices(choices: Sequence[str | None]) -> str | None:
    """Return "prefers X (k of n choices)" for the choice named most often, None where none was named."""
    named = [choice for choice in choices if choice]
    if not named:
        return None
    counts = Counter(normalise_choice(choice) for choice in named)
    winner, count = counts.most_common(1)[0]
    words = next(choice for choice in named if normalise_choice(choice) == winner)
    return f"prefers {words} ({count} of {len(named)} choices)"
