"""Read the rows of a .jsonl, .csv or .parquet file, each with its number."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from prefbench.errors import ConfigError, DataError

Row = dict[str, Any]


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Yield (row number as an editor counts lines, row) of a .jsonl, .csv or .parquet file; .gz is unpacked.

    Raises ConfigError for another kind of file, DataError for one that cannot be read.
    """
    readers: dict[str, Callable[[Path], Iterator[tuple[int, Row]]]] = {
        ".jsonl": _read_jsonl,
        ".csv": _read_csv,
        ".parquet": _read_parquet,
    }
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix in ("", *readers) and not path.exists():
        raise DataError(f"{path}: no such file; check the path")
    if suffix not in readers:
        raise ConfigError(
            f"{path}: {suffix or 'no'} suffix: importing reads .jsonl, .csv (also .gz), .parquet, and the .eval and "
            ".json logs of inspect_ai"
        )
    try:
        yield from readers[suffix](path)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); check the path and the file") from error


def _open(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _read_jsonl(path: Path) -> Iterator[tuple[int, Row]]:
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: not JSON ({error}); correct or delete the line") from error
            if not isinstance(row, dict):
                raise DataError(f"{path}:{number}: not a JSON object; correct or delete the line")
            yield number, row


def _read_csv(path: Path) -> Iterator[tuple[int, Row]]:
    with _open(path) as binary:
        lines = (line.decode("utf-8-sig" if index == 0 else "utf-8") for index, line in enumerate(binary))
        reader = csv.DictReader(lines)
        for row in reader:
            if None in row or None in row.values():
                raise DataError(
                    f"{path}:{reader.line_num}: not as many fields as the header has; correct the row"
                )
            # an empty cell says nothing, so it is missing rather than an empty answer
            yield reader.line_num, {name: value if value != "" else None for name, value in row.items()}


def _read_parquet(path: Path) -> Iterator[tuple[int, Row]]:
    import polars

    try:
        frame = polars.read_parquet(path)
    except polars.exceptions.PolarsError as error:
        raise DataError(f"{path}: not a Parquet file ({str(error).splitlines()[0]})") from error
    yield from enumerate(frame.iter_rows(named=True), start=1)
