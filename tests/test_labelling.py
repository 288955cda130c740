"""Labelling by hand: a balanced draw, every key on disk at once, on a real pseudo-terminal, whatever kills it."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections import Counter
from pathlib import Path

import orjson
import pytest
from studies import make_items, write_responses

from prefbench.cli.reading import show_text, wrap
from prefbench.errors import ConfigError, DataError
from prefbench.labelling import draw_items, open_session, read_labels
from prefbench.records import ResponseRecord
from prefbench.store import read_models


def half(item, temperature):
    return ["Y", "N", "Y", "N"]


@pytest.fixture
def study(tmp_path) -> Path:
    for condition in ("condition_1_base", "condition_2_dpo"):
        write_responses(tmp_path / "study" / condition, half, items=make_items(6))
    write_responses(tmp_path / "study" / "condition_1_base", half, items=make_items(2, ["word_association"]))
    return tmp_path / "study"


def strata(items) -> Counter:
    return Counter((item.condition, item.domain) for item in items)


# the draw


def test_a_draw_is_even_over_conditions_and_domains_and_takes_each_prompt_once_before_any_twice(study):
    items = draw_items(study, size=24)
    assert set(strata(items).values()) == {6}
    assert len(strata(items)) == 4
    assert len({(item.condition, item.domain, item.id) for item in items}) == 24
    assert len({item.temperature for item in items}) == 3
    assert len({item.index for item in items}) == 4


def test_any_beginning_of_a_draw_is_balanced_and_a_longer_draw_begins_as_the_shorter(study):
    longer = draw_items(study, size=40)
    assert draw_items(study, size=17) == longer[:17]
    for end in range(1, 41):
        counts = strata(longer[:end])
        assert max(counts.values()) - min(counts[stratum] for stratum in strata(longer)) <= 1


def test_the_seed_decides_the_draw(study):
    assert draw_items(study, size=20, seed=1) == draw_items(study, size=20, seed=1)
    assert draw_items(study, size=20, seed=1) != draw_items(study, size=20, seed=2)


def test_the_order_does_not_give_the_condition_away(study):
    order = [(item.condition, item.domain) for item in draw_items(study, size=40)]
    rounds = [tuple(order[start : start + 4]) for start in range(0, 40, 4)]
    assert len(set(rounds)) > 4


def test_a_draw_of_more_than_there_is_takes_every_response_once(study):
    items = draw_items(study, size=10_000)
    assert len({item.key for item in items}) == len(items) == 2 * 2 * 6 * 3 * 4


def test_every_item_holds_the_text_of_its_response(study):
    texts = {
        (path.parts[-3], record.key): record
        for path in study.glob("*/responses/*.jsonl")
        for _, record in read_models(path, ResponseRecord)
    }
    for item in draw_items(study, size=50, domains=["all"]):
        record = texts[item.condition, item.key.record]
        assert (item.prompt, item.response) == (record.prompt, record.responses[item.index].text)


def test_the_short_domains_are_drawn_on_demand(study):
    assert "word_association" not in {item.domain for item in draw_items(study, size=1_000)}
    assert {item.domain for item in draw_items(study, size=9, domains=["word_association"])} == {
        "word_association"
    }


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"domains": ["ethical_judgement"]}, "did you mean 'ethical_judgment'"),
        ({"conditions": ["condition_1_bass"]}, "did you mean 'condition_1_base'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(study, arguments, named):
    with pytest.raises(ConfigError, match=named):
        draw_items(study, **{"size": 5, **arguments})


# the session


def test_each_decision_is_on_disk_before_the_next_item(study):
    path = study / "labels" / "human.jsonl"
    with open_session(study, size=8) as session:
        for number, mark in enumerate(["Y", "N", "skip", "Y"], start=1):
            item = session.current
            session.give(mark)
            assert len(path.read_bytes().splitlines()) == number
            assert read_labels(path)[item.key].label == mark
        assert session.count() == {"drawn": 8, "Y": 2, "N": 1, "skipped": 1, "open": 4}


def test_a_session_goes_on_at_the_first_item_without_a_label(study):
    with open_session(study, size=8) as session:
        session.give("Y")
        session.forward()
        session.give("N")
        waiting = session.items[1]
    with open_session(study) as session:
        assert session.current == waiting
        session.give("N")
        assert session.place == 2


def test_the_last_word_counts_and_a_note_keeps_the_label(study):
    with open_session(study, size=3) as session:
        item = session.current
        session.annotate("  a close call ")
        assert session.label_of(item).label is None
        session.give("Y")
        session.back()
        session.give("N")
        session.back()
        session.annotate("on second thoughts")
    label = read_labels(session.path)[item.key]
    assert (label.label, label.note, label.labeller) == ("N", "on second thoughts", "human")
    assert len(session.path.read_bytes().splitlines()) == 4
    with open_session(study) as session:
        session.back()
        session.annotate("")
        assert session.label_of(item).note is None


def test_behind_the_last_item_nothing_is_saved(study):
    with open_session(study, size=1) as session:
        session.give("Y")
        assert session.current is None
        session.give("N")
        session.annotate("nothing here")
        session.forward()
        session.back()
        assert session.current == session.items[0]
        session.back()
        assert session.place == 0
    assert [label.label for label in read_labels(session.path).values()] == ["Y"]


def test_a_draw_grows_and_keeps_what_was_labelled_even_if_the_study_has_grown(study):
    with open_session(study, size=6) as session:
        before = session.items
        session.give("Y")
    write_responses(study / "condition_3_steered", half)
    with open_session(study, size=12) as session:
        assert session.items[:6] == before
        assert len({item.key for item in session.items}) == 12
        assert session.place == 1
    with open_session(study, size=4) as session:
        assert len(session.items) == 12


def test_another_draw_under_the_same_name_is_refused(study):
    with open_session(study, size=4, conditions=["1"]) as session:
        assert {item.condition for item in session.items} == {"condition_1_base"}
    with pytest.raises(ConfigError, match="drawn with seed 0, not 3"), open_session(study, seed=3):
        pass
    with open_session(study, labeller="ann", size=4, seed=3) as session:
        assert session.path.name == "ann.jsonl"


def test_two_at_once_under_one_name_are_refused(study):
    with (
        open_session(study, size=4),
        open_session(study, labeller="ann", size=4),
        pytest.raises(DataError, match="another prefbench label-human"),
        open_session(study),
    ):
        pass


@pytest.mark.parametrize("name", ["../ann", "a b", ""])
def test_a_labeller_is_a_file_name(study, name):
    with pytest.raises(ConfigError, match="labeller"), open_session(study, labeller=name):
        pass


def test_broken_files_are_named(study):
    with open_session(study, size=2) as session:
        session.give("Y")
    plan = study / "labels" / "human.plan.json"
    kept = plan.read_bytes()
    plan.write_bytes(b'{"items": [{"id": 3}]}')
    with pytest.raises(DataError, match=r"human\.plan\.json: not a plan"), open_session(study):
        pass
    plan.write_bytes(kept)
    line = orjson.loads(session.path.read_bytes())
    session.path.write_bytes(session.path.read_bytes() + orjson.dumps(line | {"label": "maybe"}) + b"\n")
    with pytest.raises(DataError, match=r"human\.jsonl:2: not a Label: label"), open_session(study):
        pass
    session.path.write_bytes(orjson.dumps(line) + b"\n" + orjson.dumps(line | {"response": "?"}) + b"\n")
    with pytest.raises(DataError, match=r"human\.jsonl:2: .* another text"):
        read_labels(session.path)


# the terminal


class Terminal:
    """A real pseudo-terminal with `prefbench label` on it; keys go in, the screen comes out."""

    def __init__(self, study: Path, *options: str, rows: int = 24, columns: int = 80) -> None:
        self.outside, self.inside = pty.openpty()
        termios.tcsetwinsize(self.outside, (rows, columns))
        self.before = termios.tcgetattr(self.inside)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "prefbench", "label", "--study", str(study), *options],
            stdin=self.inside, stdout=subprocess.PIPE, stderr=self.inside,
            env=os.environ | {"TERM": "xterm-256color"}, start_new_session=True,
        )  # fmt: skip
        self.screen = ""

    def until(self, pattern: str, seconds: float = 20) -> str:
        """Read the screen until a pattern is on it; return what was drawn last."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.outside], [], [], 0.05)[0]:
                self.screen += os.read(self.outside, 65536).decode()
            last = self.screen.rpartition("\x1b[2J")[2]
            if re.search(pattern, last):
                return last
        raise AssertionError(f"{pattern!r} did not come: {self.screen[-500:]!r}")

    def press(self, keys: str) -> None:
        os.write(self.outside, keys.encode())

    def finish(self) -> str:
        """Return what was printed on stdout when the process ended."""
        output = self.process.communicate(timeout=20)[0].decode()
        assert termios.tcgetattr(self.inside) == self.before, "the terminal is not as it was"
        return output

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=20)
        os.close(self.outside)
        os.close(self.inside)


def marks(study: Path) -> list[str | None]:
    """Return the label of each line in the order of the file."""
    path = study / "labels" / "human.jsonl"
    return [orjson.loads(line)["label"] for line in path.read_bytes().splitlines()] if path.exists() else []


def test_keys_on_a_terminal_label_skip_go_back_and_leave_notes(study):
    with Terminal(study, "--size", "6") as terminal:
        screen = terminal.until("response 1 (?s:.*)q quit")
        for text in ("0 of 6 done", "PROMPT", "Which do you prefer", "RESPONSE"):
            assert text in screen
        for key, number in zip("yns", (2, 3, 4), strict=True):
            terminal.press(key)
            terminal.until(f"response {number} ")
        terminal.press("b")
        terminal.until("response 3 .*so far: skip")
        terminal.press("o")
        terminal.until("note .*: ")
        terminal.press("hard to sya\x7f\x7fay\n")
        terminal.until("so far: skip   note: hard to say")
        terminal.press("x")
        terminal.until("'x' is no key here")
        terminal.press("Y")
        terminal.until("response 4 ")
        terminal.press("q")
        assert "3 of 6 labelled (2 Y, 1 N), 0 skipped, 3 open" in terminal.finish()
        assert terminal.process.returncode == 0
    assert marks(study) == ["Y", "N", "skip", "skip", "Y"]
    last = list(read_labels(study / "labels" / "human.jsonl").values())[-1]
    assert (last.label, last.note) == ("Y", "hard to say")


def test_nothing_on_the_screen_says_where_a_response_comes_from(study):
    with Terminal(study, "--size", "4") as terminal:
        terminal.until("response 1 ")
        for number in range(2, 5):
            terminal.press("y")
            terminal.until(f"response {number} ")
        terminal.press("q")
        terminal.finish()
        for word in ("condition", "dpo", "base", "aesthetic", "0.7", "1.5", "lexical"):
            assert word not in terminal.screen


def test_a_killed_terminal_loses_no_key_and_doubles_none(study):
    keys = {"y": "Y", "n": "N", "s": "skip"}
    for number, key in enumerate("ynsy", start=1):
        with Terminal(study, "--size", "8") as terminal:
            terminal.until(f"response {number} ")
            terminal.press(key)
            while len(marks(study)) < number:
                time.sleep(0.005)
    assert marks(study) == [keys[key] for key in "ynsy"]


def test_a_line_that_a_kill_tore_is_labelled_again(study):
    with open_session(study, size=4) as session:
        session.give("Y")
        session.give("N")
    session.path.write_bytes(session.path.read_bytes()[:-20])
    with Terminal(study) as terminal:
        terminal.until("response 2 ")
        terminal.press("n")
        terminal.until("response 3 ")
        terminal.press("q")
        terminal.finish()
    assert marks(study) == ["Y", "N"]


def test_ctrl_c_gives_the_terminal_back_and_keeps_the_labels(study):
    with Terminal(study, "--size", "4") as terminal:
        terminal.until("response 1 ")
        terminal.press("y")
        terminal.until("response 2 ")
        os.kill(terminal.process.pid, signal.SIGINT)
        terminal.finish()
        assert terminal.process.returncode == 130
        terminal.until("interrupted: what is finished is kept")
    assert marks(study) == ["Y"]


def write_one(study: Path, text: str) -> None:
    """Make a study of one response."""
    (item,) = make_items(1, ["aesthetic_preference"])
    (record,) = write_responses(
        study / "condition_1_base", lambda *_: ["Y"], items=[item], temperatures=[1.0]
    )
    (path,) = study.glob("*/responses/*.jsonl")
    content = record.model_dump()
    content["responses"][0]["text"] = text
    path.write_bytes(orjson.dumps(content) + b"\n")


def test_a_long_response_scrolls_by_page_and_by_line(tmp_path):
    write_one(tmp_path, "\n".join(f"line {number} of many" for number in range(1, 101)))
    with Terminal(tmp_path, rows=20) as terminal:
        screen = terminal.until("lines 1-14 of 104")
        assert "line 10 of many" in screen
        assert "line 11 of many" not in screen
        for keys, top in [
            (" ", 14),
            ("\x1b[B", 15),
            ("\x1b[A", 14),
            ("-", 1),
            ("\x1b[6~", 14),
            ("\x1b[5~", 1),
        ]:
            terminal.press(keys)
            screen = terminal.until(f"lines {top}-{top + 13} of 104")
        for _ in range(9):
            terminal.press(" ")
        assert "line 100 of many" in terminal.until("lines 91-104 of 104")
        terminal.press("y")
        terminal.until("That was the last one")
        terminal.press("b")
        terminal.until("so far: Y")
        terminal.press("q")
        assert "1 of 1 labelled" in terminal.finish()


def test_what_a_response_says_to_the_terminal_is_shown_and_not_obeyed(tmp_path):
    write_one(tmp_path, "\x1b]0;owned\x07\x1b[31mred\x9b2J\u202egnp.exe\r\nfine")
    with Terminal(tmp_path) as terminal:
        screen = terminal.until("fine")
        terminal.press("q")
        terminal.finish()
        assert "␛]0;owned␇␛[31mred\\u009b2J\\u202egnp.exe" in screen
        for sign in ("\x07", "\x1b]", "\x1b[31m", "\x9b", "\u202e"):
            assert sign not in terminal.screen


def test_wide_characters_wrap_at_the_edge_of_the_screen():
    assert [len(line) for line in wrap("好" * 50, 40)] == [20, 20, 10]
    assert wrap("", 40) == [""]
    assert show_text("a\tb") == "a   b"


def run_lines(study: Path, keys: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "prefbench", "label", "--study", str(study), *options],
        input=keys, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_without_a_terminal_lines_do(study):
    found = run_lines(study, "y\nno\n\nwhat\no a note\ns\nb\nf\nq\ny\n", "--size", "5", "--json")
    assert found.returncode == 0, found.stderr
    assert orjson.loads(found.stdout) == {
        "file": str(study / "labels" / "human.jsonl"),
        "labeller": "human",
        "drawn": 5,
        "Y": 1,
        "N": 1,
        "skipped": 1,
        "open": 2,
    }
    assert "'what' is none of these" in found.stderr
    assert "\x1b" not in found.stderr
    assert marks(study) == ["Y", "N", None, "skip"]


def test_the_end_of_the_input_ends_the_labelling(study):
    found = run_lines(study, "y\n", "--size", "5")
    assert found.returncode == 0
    assert "1 of 5 labelled" in found.stdout
    assert "4 open; run the same command to go on" in found.stdout
    done = run_lines(study, "n\n" * 9)
    assert f"next: prefbench judge calibrate {study}/labels/human.jsonl" in done.stdout
    assert marks(study) == ["Y", "N", "N", "N", "N"]


@pytest.mark.parametrize(
    ("options", "code", "named"),
    [
        (["--study", "nowhere"], 3, "nowhere: no such folder"),
        (["--size", "0"], 2, "at least one"),
        (["--domains", "ethics"], 2, "unknown domain 'ethics'"),
        (["--labeller", "a/b"], 2, "labeller 'a/b'"),
    ],
)
def test_an_error_is_one_line(study, options, code, named):
    found = run_lines(study, "", *options)
    assert found.returncode == code
    assert len(found.stderr.splitlines()) == 1
    assert named in found.stderr
