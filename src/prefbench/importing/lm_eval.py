"""An lm-eval file of samples (`samples_TASK_DATE.jsonl`) in, with its results file where there is one; answers out.

Read from the files themselves (lm-eval 0.4): the package is not needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefbench.errors import DataError
from prefbench.importing.records import Source, SourceRow

NAME = re.compile(r"^samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d.\-]+)\.jsonl$")
FROM_DOC = ("id", "domain", "format", "tags")
"""Our fields that are taken from a document's field of the same name."""
SETTINGS = {"max_gen_toks": "max_tokens", "top_p": "top_p", "top_k": "top_k", "until": "stop"}
"""What a manifest keeps of the generation arguments, by the names of ours."""
OURS = frozenset(
    [
        "doc_id",
        "doc",
        "target",
        "arguments",
        "resps",
        "filtered_resps",
        "filter",
        "metrics",
        "doc_hash",
        "prompt_hash",
        "target_hash",
    ]
)
NO_ANSWER = "None"
"""lm-eval writes every answer as a text, and one that was not there as this one."""
AGAIN = "run lm_eval again with --log_samples"

Json = dict[str, Any]


@dataclass(slots=True)
class _Document:
    """What the lines of one document say: one line a filter."""

    place: str
    fields: Json
    answers: list[str]
    arguments: Json
    filters: set[str] = field(default_factory=set)
    scores: dict[str, Any] = field(default_factory=dict)
    """By `metric,filter`; where there is one filter, by `metric` too."""


def is_lm_eval(path: Path) -> bool:
    """Whether the first line of a .jsonl file has the fields of an lm-eval sample."""
    if path.suffix != ".jsonl":
        return False
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline())
    except (OSError, ValueError):  # the reader of tables says what is wrong with it
        return False
    return isinstance(first, dict) and {"doc_id", "doc", "arguments", "resps"} <= first.keys()


def open_lm_eval(path: Path, *, partial: bool = False) -> Source:
    """Return the answers of an lm-eval file, document by document, every repeat of each.

    Raises DataError for a file without texts (log-likelihood tasks), for lines that contradict each other, and for
    fewer documents than the results file counts (unless `partial`).
    """
    documents = _read_documents(path)
    task, results = _find_results(path)
    _check_whole(path, task, results, len(documents), partial=partial)
    arguments = [document.arguments for document in documents]
    settings = {
        "origin": "lm_eval",
        "model": results.get("model_name") or (results.get("config") or {}).get("model"),
        "system_prompt": results.get("system_instruction"),
        "chat_template": results.get("chat_template_sha"),
        **{name: _shared([each.get(theirs) for each in arguments]) for theirs, name in SETTINGS.items()},
    }
    facts = {"task": task, "lm_eval": results.get("lm_eval_version"), "fewshot": _fewshot(results, task)}
    return Source(path, list(_rows(documents)), settings, facts)


def _read_documents(path: Path) -> list[_Document]:
    found: dict[str, _Document] = {}
    filters: set[str] = set()
    for place, line in _read_lines(path):
        if missing := sorted({"doc_id", "doc", "arguments", "resps"} - line.keys()):
            raise DataError(f"{place}: no {missing[0]}, so that it is no sample of lm-eval; {AGAIN}")
        name, kept = str(line.get("filter", "none")), str(line["doc_id"])
        filters.add(name)
        document = _document(place, line)
        first = found.setdefault(kept, document)
        if first.answers != document.answers or name in first.filters:
            raise DataError(
                f"{place}: document {kept} stands already at {first.place}; the file holds several runs: {AGAIN}, "
                "into another folder"
            )
        metrics = line.get("metrics") or [key for key in line if key not in OURS]
        first.filters.add(name)
        first.scores |= {f"{metric},{name}": line[metric] for metric in metrics if metric in line}
    if not found:
        raise DataError(f"{path}: no sample in it; {AGAIN}")
    if len(filters) == 1:
        for document in found.values():
            document.scores |= {name.rpartition(",")[0]: value for name, value in document.scores.items()}
    return list(found.values())


def _read_lines(path: Path) -> Iterator[tuple[str, Json]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}:{number}", _parse(f"{path}:{number}", line)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def _parse(place: str, text: bytes) -> Json:
    # the standard library's parser: lm-eval writes NaN for a metric that could not be had
    try:
        value = json.loads(text)
    except ValueError as error:
        raise DataError(f"{place}: not whole JSON ({error}); copy the file anew, or {AGAIN}") from error
    if not isinstance(value, dict):
        raise DataError(f"{place}: not a JSON object; copy the file anew, or {AGAIN}")
    return value


def _document(place: str, line: Json) -> _Document:
    requests = _requests(line["arguments"])
    if len(requests) != 1 or len(requests[0]) < 2 or not isinstance(requests[0][1], dict):
        raise DataError(
            f"{place}: a log-likelihood request, which has no answer in words: import the samples of a task with "
            "output_type generate_until"
        )
    responses = line["resps"]
    answers = responses[0] if isinstance(responses, list) and len(responses) == 1 else None
    if not isinstance(answers, list) or not all(isinstance(each, str) for each in answers):
        raise DataError(f"{place}: resps is not a list of one list of texts; {AGAIN} and lm-eval 0.4")
    context, arguments = requests[0][0], requests[0][1]
    doc = line["doc"] if isinstance(line["doc"], dict) else {}
    fields: Json = {name: doc[name] for name in FROM_DOC if doc.get(name) is not None}
    fields.setdefault("id", str(line["doc_id"]))
    if (prompt := _prompt(context)) is not None:  # without one, an error asks for --map prompt
        fields["prompt"] = prompt
    if (temperature := _temperature(arguments)) is not None:
        fields["temperature"] = temperature
    fields |= {f"doc.{key}": value for key, value in doc.items()}
    return _Document(place, fields, answers, arguments)


def _requests(arguments: Any) -> list[list[Any]]:
    """Return each request's arguments: lists in the program, `gen_args_0: {arg_0, arg_1}` in newer files."""
    if isinstance(arguments, dict):
        arguments = [
            [value for _, value in sorted(each.items(), key=_place)] if isinstance(each, dict) else each
            for _, each in sorted(arguments.items(), key=_place)
        ]
    return [each for each in arguments if isinstance(each, list)] if isinstance(arguments, list) else []


def _place(item: tuple[str, Any]) -> int:
    digits = item[0].rpartition("_")[2]
    return int(digits) if digits.isdigit() else 0


def _prompt(context: Any) -> str | None:
    """Return the text that was asked; None for a conversation of several messages."""
    if isinstance(context, str):
        return context
    try:  # a chat, as the models behind a server get it: one text of JSON
        messages = json.loads(context[0])
        asked = [each["content"] for each in messages if each["role"] != "system"]
    except (ValueError, TypeError, LookupError):
        return None
    return asked[0] if len(asked) == 1 and isinstance(asked[0], str) else None


def _temperature(arguments: Mapping[str, Any]) -> Any:
    """Return the temperature of a request; None where its arguments leave it to the model, or contradict each other."""
    given, sampled = arguments.get("temperature"), arguments.get("do_sample")
    if sampled is False:
        return 0.0 if not given else None
    return given


def _find_results(path: Path) -> tuple[str | None, Json]:
    """Return the task and the content of the results file of the same run; an empty one if it is not there."""
    name = NAME.match(path.name)
    if name is None:
        return None, {}
    results = path.with_name(f"results_{name['date']}.json")
    if not results.exists():
        return name["task"], {}
    try:
        return name["task"], _parse(str(results), results.read_bytes())
    except OSError as error:
        raise DataError(f"{results}: cannot be read ({error.strerror}); check its permissions") from error


def _check_whole(path: Path, task: str | None, results: Json, count: int, *, partial: bool) -> None:
    expected = ((results.get("n-samples") or {}).get(task) or {}).get("effective")
    if isinstance(expected, int) and count < expected and not partial:
        raise DataError(
            f"{path}: {count} of {expected} documents are in it: copy it anew, or import what is there with --partial"
        )


def _fewshot(results: Json, task: str | None) -> Any:
    return (results.get("n-shot") or {}).get(task)


def _shared(values: Sequence[Any]) -> Any:
    """Return the one value that all have, or how many different ones there are."""
    different = {json.dumps(value, sort_keys=True) for value in values}
    return values[0] if len(different) == 1 else f"{len(different)} different ones"


def _rows(documents: Sequence[_Document]) -> Iterator[SourceRow]:
    for document in documents:
        answers = [answer for answer in document.answers if answer != NO_ANSWER]
        scores = document.scores
        if len(answers) != len(document.answers):
            scores = {name: [] for name in scores}  # which answer a score belongs to is not said
        fields = document.fields | {"response": answers}
        for _ in range(len(document.answers) - len(answers)):
            reason = f"lm-eval wrote {NO_ANSWER!r}, as it does for an answer that was not there"
            yield SourceRow(document.place, fields | {"response": None}, {}, reason, rows=int(not answers))
        if answers:
            yield SourceRow(document.place, fields, scores)
