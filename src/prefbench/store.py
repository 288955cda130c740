"""JSONL files on disk: read lines with their place, append whole lines, repair a torn last one, lock a folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

import orjson
from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError

from prefbench.errors import DataError
from prefbench.records import RecordKey, explain_validation

RecordType = TypeVar("RecordType", bound=BaseModel)


class _Keyed(Protocol):
    @property
    def key(self) -> RecordKey: ...


KeyedType = TypeVar("KeyedType", bound=_Keyed)


def iter_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, line without its newline) of every finished line that is not blank.

    A last line without a newline is yielded only if it is a whole JSON value: otherwise a writer was cut
    off in it (or is writing it now), and the record is not there yet.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                finished = line.endswith(b"\n") or _is_whole(line)
                if finished and line.strip():
                    yield number, line.rstrip(b"\r\n")
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from error


def read_models(path: Path, model: type[RecordType]) -> Iterator[tuple[int, RecordType]]:
    """Yield (line number, record) for each line. Raises DataError naming file:line for a line that is not one."""
    for number, line in iter_lines(path):
        yield number, parse_line(line, model, place=f"{path}:{number}")


def parse_line(line: bytes, model: type[RecordType], *, place: str) -> RecordType:
    """Return the record on one line. Raises DataError("file:line: what; how to mend it")."""
    try:
        return model.model_validate(orjson.loads(line))
    except orjson.JSONDecodeError as error:
        raise DataError(f"{place}: not JSON ({error}); restore or delete the line, then rerun") from error
    except ValidationError as error:
        raise DataError(
            f"{place}: not a {model.__name__}: {explain_validation(error)}; correct or delete the line, then rerun"
        ) from error


def read_line(line: bytes, *, place: str) -> dict[str, Any]:
    """Return the JSON object on one line. Raises DataError("file:line: what; how to mend it")."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise DataError(f"{place}: not JSON ({error}); restore or delete the line, then rerun") from error
    if not isinstance(value, dict):
        raise DataError(
            f"{place}: holds a {type(value).__name__}, not a JSON object; delete the line, then rerun"
        )
    return value


def unique_by_key(
    path: Path, records: Iterator[tuple[int, KeyedType]], seen: dict[RecordKey, str] | None = None
) -> Iterator[KeyedType]:
    """Yield the records; raise DataError if two of them have one key.

    `seen` (key -> place) is shared by the files of a folder, in which a key must be one of a kind too.
    """
    seen = {} if seen is None else seen
    for number, record in records:
        place = f"{path}:{number}"
        first = seen.setdefault(record.key, place)
        if first != place:
            raise DataError(
                f"{place}: {describe_key(record.key)} stands already at {first}; delete one of the two, then rerun"
            )
        yield record


def describe_key(key: RecordKey) -> str:
    """Return a key as an error message names it."""
    return f"{key.domain}/{key.id} at temperature {key.temperature}"


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file. Raises DataError."""
    try:
        value = orjson.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except orjson.JSONDecodeError as error:
        raise DataError(f"{path}: not JSON ({error}); restore it from a copy, or move it away") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: holds a {type(value).__name__}, not a JSON object; restore it from a copy")
    return value


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file so that a reader sees the old content or the new, never a part."""
    temporary = path.with_name(f".{path.name}.new")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def move_tail(path: Path, start: int, target: Path) -> int:
    """Move the lines of a file from byte `start` on to the end of another file; return how many they are.

    A file of which nothing is left is deleted. Raises DataError if either cannot be written.
    """
    with writing(target):
        tail = path.read_bytes()[start:]
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("ab") as file:
            file.write(tail)
            file.flush()
            os.fsync(file.fileno())
    with writing(path):
        os.truncate(path, start)
        if not start:
            path.unlink()
    return tail.count(b"\n")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an operating-system fault while writing `path` into one line that says how to mend it."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror}); make room or give write permission, then run the same "
            "command again: finished records are kept"
        ) from error


def require_writable(path: Path) -> None:
    """Raise DataError if no file can be put at `path`: before the work that it is to hold. Nothing is made."""
    with writing(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        folder = next(each for each in path.absolute().parents if each.exists())
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{folder} is no folder")
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, f"{folder} may not be written to")


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Hold the only writer's place in a folder; a second writer is refused with DataError.

    The operating system frees the lock when the process ends, however it ends. Folders that were made for it and
    in which nothing was written are taken away again.
    """
    with writing(folder):
        made = _missing_folders(folder)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f".{what}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise DataError(
                f"{folder}: another prefbench {what} is writing here; wait until it ends, or stop it"
            ) from None
    try:
        yield
    finally:
        with suppress(OSError):  # where an open file cannot be removed, it stays
            if made and [path.name for path in folder.iterdir()] == [f".{what}.lock"]:
                (folder / f".{what}.lock").unlink()
        lock.release()
        with suppress(OSError):  # a folder in which something lies stays
            for path in made:
                path.rmdir()


def _missing_folders(folder: Path) -> list[Path]:
    """Return the folders that must be made for a folder to be there, innermost first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


class Appender:
    """Appends whole lines to one JSONL file; a line that could not be written whole leaves no trace.

    Opening repairs a torn last line: what a killed writer left of an unfinished record is cut off, a finished
    record that only lacks its newline gets it. `on_repair` is told the number of bytes cut off.
    """

    def __init__(self, path: Path, *, on_repair: Callable[[Path, int], None] | None = None) -> None:
        self.path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # O_APPEND without buffering: each record reaches the file in one write, or is rolled back
            self._file = path.open("ab", buffering=0)
            cut = _repair_tail(path)
        if cut and on_repair:
            on_repair(path, cut)

    def append(self, records: Sequence[BaseModel | dict[str, Any]]) -> None:
        """Write the records, one line each, in one write. Raises DataError if the disk is full."""
        lines = b"".join(_dump(record) + b"\n" for record in records)
        with writing(self.path):
            end = os.fstat(self._file.fileno()).st_size
            try:
                self._write_all(lines)
            except OSError:
                self._file.truncate(end)
                raise

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def __enter__(self) -> Appender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Bring the file to the disk and close it."""
        try:
            with writing(self.path):
                os.fsync(self._file.fileno())
        finally:
            self._file.close()


def _dump(record: BaseModel | dict[str, Any]) -> bytes:
    return orjson.dumps(record.model_dump() if isinstance(record, BaseModel) else record)


def _is_whole(line: bytes) -> bool:
    """Whether an unterminated line is a whole JSON object: a torn prefix of an object never parses."""
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _repair_tail(path: Path) -> int:
    """Cut off or finish a last line without newline; return the number of bytes cut off."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        start = _last_line_start(file, size)
        file.seek(start)
        tail = file.read()
        if not tail:
            return 0
        if _is_whole(tail):
            file.write(b"\n")
            return 0
        file.truncate(start)
        return len(tail)


def _last_line_start(file: Any, size: int, block: int = 65536) -> int:
    """Return the offset just behind the last newline of the file, 0 if there is none."""
    position = size
    while position > 0:
        step = min(block, position)
        file.seek(position - step)
        found = file.read(step).rfind(b"\n")
        if found >= 0:
            return int(position - step + found + 1)
        position -= step
    return 0
