"""A log of inspect_ai (.eval or .json) in; its answers, its sampling parameters and its scores out.

Read from the files themselves, which are zip and JSON (log format version 2, inspect_ai 0.3): the package is not
needed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefbench.errors import DataError
from prefbench.importing.records import Source, SourceRow
from prefbench.importing.zip_members import ZipMembers

VERSIONS = (1, 2)
CURE = "copy it anew, or repair it with `inspect log recover`"
CONVERT = "write it out with `inspect log convert FILE --to json --output-dir DIR` and import that"
ATTACHMENT = "attachment://"
FROM_METADATA = ("domain", "format", "tags")
"""Our fields that are taken from a sample's metadata of the same name."""
SETTINGS = {
    "max_tokens": "max_tokens",
    "top_p": "top_p",
    "top_k": "top_k",
    "stop_seqs": "stop",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "reasoning_effort": "reasoning_effort",
    "reasoning_tokens": "reasoning_tokens",
}
"""What a manifest keeps of a log's configuration, by the names of ours; never headers or a model's arguments."""
FINISH_REASONS = {"stop": "stop", "max_tokens": "length", "model_length": "length", "unknown": None}

Json = dict[str, Any]


def is_inspect_log(path: Path) -> bool:
    """Whether the name is that of a log of inspect_ai: no table ends so."""
    return path.suffix in (".eval", ".json")


def open_inspect_log(path: Path, *, partial: bool = False) -> Source:
    """Return the answers of a log: sample by sample, epoch by epoch.

    Raises DataError for a file that is no such log, and for one of a run that did not end well or that lacks samples
    (unless `partial`): the message says how to mend it.
    """
    header, samples = _read_zip(path) if path.suffix == ".eval" else _read_json(path)
    _check_header(path, header, partial=partial)
    if not samples:
        raise DataError(f"{path}: holds no samples; run the evaluation again with --log-samples")
    _check_whole(path, header, samples, partial=partial)
    config = _config(header)
    common: Json = (
        {} if (temperature := _temperature(header, config)) is None else {"temperature": temperature}
    )
    spec = header["eval"]
    prompts = {text for sample in samples if (text := sample["system_prompt"]) is not None}
    settings = {
        "origin": "inspect_ai",
        "model": spec.get("model"),
        "system_prompt": (next(iter(prompts)) if len(prompts) == 1 else f"{len(prompts)} different ones")
        if prompts
        else None,
        **{name: config.get(theirs) for theirs, name in SETTINGS.items()},
    }
    facts = {
        "task": spec.get("task"),
        "eval_id": spec.get("eval_id"),
        "status": header["status"],
        "packages": spec.get("packages"),
    }
    return Source(path, [_row(path, sample, common) for sample in samples], settings, facts)


def _read_zip(path: Path) -> tuple[Json, list[Json]]:
    with ZipMembers(path, cure=CURE) as members:
        names = [name for name in members.names if name.startswith("samples/")]
        if pieces := [name for name in names if name.count("/") > 1]:
            raise DataError(f"{path}: {pieces[0]}: its samples are stored in pieces; {CONVERT}")
        if "header.json" in members.names:
            header = _parse(path, "header.json", members.read("header.json"))
        elif "_journal/start.json" in members.names:  # still running, or killed
            header = _parse(path, "start.json", members.read("_journal/start.json")) | {"status": "started"}
        else:
            raise DataError(f"{path}: a zip file without header.json, so no log of inspect_ai")
        found = [_reduce(path, _parse(path, name, members.read(name))) for name in names]
    return header, _sorted(header, found)


def _read_json(path: Path) -> tuple[Json, list[Json]]:
    try:
        content = _parse(path, "the file", path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if "eval" not in content and "results" in content:
        raise DataError(f"{path}: these are results without answers; import the samples_*.jsonl beside it")
    samples = content.pop("samples", None) or []
    return content, _sorted(content, [_reduce(path, sample) for sample in samples])


def _parse(path: Path, name: str, content: bytes) -> Json:
    # the standard library's parser: inspect_ai writes NaN for a score that could not be had
    try:
        value = json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {name} is not whole JSON ({error}); {CURE}") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: {name} holds a {type(value).__name__}, so that it is no log of inspect_ai")
    return value


def _check_header(path: Path, header: Json, *, partial: bool) -> None:
    if not (isinstance(header.get("eval"), dict) and isinstance(header.get("status"), str)):
        raise DataError(f"{path}: no log of inspect_ai: it has no eval and no status")
    if header.get("version") not in VERSIONS:
        raise DataError(
            f"{path}: log format {header.get('version')!r}, and known are {VERSIONS}; {CONVERT} with an inspect_ai "
            "of that format, or map its answers from a table"
        )
    if header["eval"].get("shards"):
        raise DataError(f"{path}: one log of several shards; {CONVERT}")
    if header["status"] != "success" and not partial:
        why = ((header.get("error") or {}).get("message") or "").split("\n")[0][:120]
        raise DataError(
            f"{path}: its run ended with status {header['status']!r}{f' ({why})' if why else ''}: finish it with "
            "`inspect eval-retry`, or import what is there with --partial"
        )


def _check_whole(path: Path, header: Json, samples: list[Json], *, partial: bool) -> None:
    seen: set[tuple[str, int]] = set()
    for sample in samples:
        if (key := (str(sample["id"]), sample["epoch"])) in seen:
            raise DataError(f"{path}: sample {key[0]}, epoch {key[1]} stands in it twice; {CONVERT}")
        seen.add(key)
    total = (header.get("results") or {}).get("total_samples")
    if isinstance(total, int) and len(samples) < total and not partial:
        raise DataError(
            f"{path}: {len(samples)} of {total} samples are in it: finish it with `inspect eval-retry`, or import what "
            "is there with --partial"
        )


def _sorted(header: Json, samples: list[Json]) -> list[Json]:
    """Return the samples in the order of the data set, epoch by epoch: a zip has them in the order of finishing."""
    dataset = (header.get("eval") or {}).get("dataset") or {}
    order = {str(name): place for place, name in enumerate(dataset.get("sample_ids") or ())}
    return sorted(
        samples, key=lambda each: (order.get(str(each["id"]), len(order)), str(each["id"]), each["epoch"])
    )


def _config(header: Json) -> Json:
    """Return the generation parameters in force: the model's own, under those of the run."""
    own = header["eval"].get("model_generate_config") or {}
    run = (header.get("plan") or {}).get("config") or {}
    return {**own, **{name: value for name, value in run.items() if value is not None}}


def _temperature(header: Json, config: Json) -> Any:
    """Return the temperature of all answers; None where the log does not fix one."""
    steps = (header.get("plan") or {}).get("steps") or []
    by_solver = {
        value for step in steps if (value := (step.get("params") or {}).get("temperature")) is not None
    }
    changed = any(
        change.get("name") == "temperature"
        for update in header.get("config_updates") or ()
        for change in update.get("changes") or ()
    )
    if changed or len(by_solver) > 1:
        return None
    return next(iter(by_solver)) if by_solver else config.get("temperature")


def _reduce(path: Path, sample: Json) -> Json:
    """Return what is needed of a sample; its transcript, which is most of it, can then be forgotten."""
    name, epoch = sample.get("id"), sample.get("epoch")
    if not isinstance(name, str | int) or not isinstance(epoch, int):
        raise DataError(f"{path}: a sample without id and epoch, so that it is no log of inspect_ai")
    texts = _Texts(sample.get("attachments") or {})
    output = sample.get("output") or {}
    return {
        "id": name,
        "epoch": epoch,
        "prompt": texts.prompt(sample.get("input")),
        "system_prompt": texts.system_prompt(sample.get("messages") or sample.get("input")),
        "choices": [
            (texts.content((choice.get("message") or {}).get("content")), choice.get("stop_reason"))
            for choice in output.get("choices") or ()
        ],
        "tokens": (output.get("usage") or {}).get("output_tokens"),
        "scores": {key: (score or {}).get("value") for key, score in (sample.get("scores") or {}).items()},
        "metadata": sample.get("metadata") or {},
        "error": _error(sample, output),
    }


def _error(sample: Json, output: Json) -> str | None:
    """Return why a sample has no answer that counts; None if it has one."""
    if error := sample.get("error"):
        return str(error.get("message")).split("\n")[0][:200]
    if sample.get("invalidation"):
        return "it was declared invalid in inspect_ai"
    if not output.get("choices"):
        limit = (sample.get("limit") or {}).get("type")
        why = output.get("error") or (
            f"the {limit} limit was reached" if limit else "the model gave no output"
        )
        return str(why).split("\n")[0][:200]
    return None


def _row(path: Path, sample: Json, common: Json) -> SourceRow:
    place = f"{path}: sample {sample['id']}, epoch {sample['epoch']}"
    metadata: Mapping[str, Any] = sample["metadata"]
    fields = {name: metadata[name] for name in FROM_METADATA if metadata.get(name) is not None}
    if sample["prompt"] is not None:  # without one, an error asks for --map prompt
        fields["prompt"] = sample["prompt"]
    texts = [text for text, _ in sample["choices"]]
    fields |= {
        **common,
        "id": sample["id"],
        "response": texts if len(texts) > 1 else (texts or [None])[0],
        "finish_reason": [FINISH_REASONS.get(reason, reason) for _, reason in sample["choices"]],
        "tokens": sample["tokens"] if len(texts) == 1 else None,
        **{f"metadata.{key}": value for key, value in metadata.items()},
    }
    if len(texts) == 1:
        fields["finish_reason"] = fields["finish_reason"][0]
    return SourceRow(place, fields, sample["scores"], sample["error"])


class _Texts:
    """Texts of one sample, with what it keeps apart as attachments put back."""

    def __init__(self, attachments: Mapping[str, str]) -> None:
        self._attachments = attachments

    def content(self, content: Any) -> Any:
        """Return the text of a message: of several parts those that are text (not reasoning), joined."""
        if isinstance(content, list):
            texts = [part.get("text") for part in content if part.get("type") == "text"]
            return self._resolve("".join(text for text in texts if isinstance(text, str)))
        return self._resolve(content)

    def prompt(self, given: Any) -> Any:
        """Return the text that was asked: the input, or the only message of a user in it; None without one."""
        if isinstance(given, str):
            return self._resolve(given)
        asked = [each for each in given or () if each.get("role") != "system"]
        if len(asked) != 1:
            return None
        content = asked[0].get("content")
        if isinstance(content, list) and any(part.get("type") != "text" for part in content):
            return None  # an image is part of what was asked
        return self.content(content)

    def system_prompt(self, messages: Any) -> str | None:
        """Return what the system messages say; None without one."""
        given = messages if isinstance(messages, list) else []
        found = [self.content(each.get("content")) for each in given if each.get("role") == "system"]
        return "\n\n".join(str(text) for text in found) or None

    def _resolve(self, text: Any) -> Any:
        if isinstance(text, str) and text.startswith(ATTACHMENT):
            return self._attachments.get(text.removeprefix(ATTACHMENT), text)
        return text
