"""The store keeps every finished record once, whatever happens to the process or the disk."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefbench.errors import BackendError, DataError
from prefbench.records import PromptItem
from prefbench.store import Appender, iter_lines, locked, read_json, read_models, write_json

LINES = [{"id": f"aes_{index:03}", "text": "schön \n" * index} for index in range(5)]


def write(path: Path, records) -> None:
    with Appender(path) as appender:
        appender.append(records)


def read(path: Path) -> list[dict]:
    return [orjson.loads(line) for _, line in iter_lines(path)]


def test_what_is_appended_is_read_back(tmp_path):
    path = tmp_path / "deep" / "file.jsonl"
    write(path, LINES[:2])
    write(path, LINES[2:])
    assert read(path) == LINES


@given(cut=st.integers(min_value=1, max_value=400))
def test_a_file_cut_anywhere_keeps_every_whole_record(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("cut") / "file.jsonl"
    write(path, LINES)
    whole = path.read_bytes()
    torn = whole[: max(0, len(whole) - cut)]
    path.write_bytes(torn)
    finished = [line for line in whole.splitlines() if line in torn.split(b"\n")]
    assert [line for _, line in iter_lines(path)] == finished
    write(path, [{"id": "next"}])
    assert read(path) == [orjson.loads(line) for line in finished] + [{"id": "next"}]


def test_repair_says_how_much_it_cut_off(tmp_path):
    path = tmp_path / "file.jsonl"
    path.write_bytes(b'{"id": 1}\n{"id": 2, "te')
    told = []
    with Appender(path, on_repair=lambda where, cut: told.append((where, cut))):
        pass
    assert told == [(path, len(b'{"id": 2, "te'))]
    assert path.read_bytes() == b'{"id": 1}\n'


def test_a_whole_record_without_its_newline_is_kept(tmp_path):
    path = tmp_path / "file.jsonl"
    path.write_bytes(b'{"id": 1}\n{"id": 2}')
    write(path, [{"id": 3}])
    assert [each["id"] for each in read(path)] == [1, 2, 3]


def test_zeros_after_a_power_cut_are_a_torn_line(tmp_path):
    path = tmp_path / "file.jsonl"
    path.write_bytes(b'{"id": 1}\n' + bytes(5000))
    write(path, [{"id": 2}])
    assert [each["id"] for each in read(path)] == [1, 2]


def test_a_torn_line_longer_than_a_block_is_cut_off_whole(tmp_path):
    path = tmp_path / "file.jsonl"
    path.write_bytes(b'{"id": 1}\n{"text": "' + b"x" * 200_000)
    write(path, [{"id": 2}])
    assert [each["id"] for each in read(path)] == [1, 2]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"{nonsense", "not JSON"),
        (b"[1, 2]", "not a PromptItem"),
        (b'{"id": "a", "domain": "d", "prompt": "p", "format": "essay"}', "format"),
        (b'{"id": 7, "domain": "d", "prompt": "p", "format": "ranking"}', "id"),
        (b'\xff\xfe{"id": 7}', "not JSON"),
    ],
)
def test_a_bad_line_is_named_with_its_place(tmp_path, line, complaint):
    path = tmp_path / "file.jsonl"
    good = b'{"id": "a", "domain": "d", "prompt": "p", "format": "ranking"}'
    path.write_bytes(good + b"\n\n" + line + b"\n")
    with pytest.raises(DataError, match=f"file.jsonl:3: .*{complaint}"):
        list(read_models(path, PromptItem))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no-such\.jsonl"):
        list(iter_lines(tmp_path / "no-such.jsonl"))


def test_a_second_writer_is_refused_until_the_first_has_gone(tmp_path):
    with locked(tmp_path, "sample"):
        with pytest.raises(DataError, match="another prefbench sample"), locked(tmp_path, "sample"):
            pass
        with locked(tmp_path, "judge"):  # another kind of work has a lock of its own
            pass
    with locked(tmp_path, "sample"):
        pass


def test_json_is_replaced_whole(tmp_path):
    path = tmp_path / "manifest.json"
    write_json(path, {"a": 1})
    write_json(path, {"a": 2})
    assert read_json(path) == {"a": 2}
    assert [each.name for each in tmp_path.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize("content", [b"", b"[1]", b"{"])
def test_a_broken_json_file_is_named(tmp_path, content):
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"manifest\.json"):
        read_json(path)


def fail_after(done: object) -> None:
    assert done
    raise BackendError("no such model")


def test_folders_made_for_nothing_are_taken_away_and_others_are_left(tmp_path):
    deep = tmp_path / "study" / "condition_1_base"
    with pytest.raises(BackendError), locked(deep, "sample"):
        fail_after(deep.is_dir())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BackendError), locked(deep, "sample"):
        fail_after((deep / "manifest.json").write_text("{}"))
    assert (deep / "manifest.json").exists()
    with locked(deep.parent / "condition_2_dpo", "sample"):
        pass
    assert [path.name for path in deep.parent.iterdir()] == ["condition_1_base"]
    (tmp_path / "empty").mkdir()
    with locked(tmp_path / "empty", "sample"):
        pass
    assert (tmp_path / "empty").is_dir()  # it was there before


def test_a_full_disk_leaves_whole_records_only(tmp_path):
    path = tmp_path / "file.jsonl"
    write(path, [{"id": 1}])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        # a limit on the size of files fails a write half-way, as a full disk does
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        with pytest.raises(DataError, match="cannot be written"), Appender(path) as appender:
            appender.append([{"text": "x" * 5000}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    assert path.read_bytes() == b'{"id":1}\n'
    write(path, [{"id": 2}])
    assert [each["id"] for each in read(path)] == [1, 2]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("a file where a folder should be")
    with pytest.raises(DataError, match="cannot be written"):
        Appender(blocked / "responses.jsonl")


WRITER = """
import sys
from pathlib import Path
from prefbench.store import Appender, iter_lines
path = Path(sys.argv[1])
with Appender(path) as appender:
    done = sum(1 for _ in iter_lines(path))
    for number in range(done, 100_000):
        appender.append([{"number": number, "text": "x" * 3000}])
"""


def test_killed_writers_lose_and_double_nothing(tmp_path):
    path = tmp_path / "file.jsonl"
    generator = random.Random(1)
    for _ in range(8):
        before = path.stat().st_size if path.exists() else 0
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
        deadline = time.monotonic() + 60
        while (path.stat().st_size if path.exists() else 0) <= before and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(generator.uniform(0, 0.05))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert path.stat().st_size > before
    with Appender(path):
        pass
    numbers = [each["number"] for each in read(path)]
    assert numbers == list(range(len(numbers)))
