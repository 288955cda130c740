"""Loading, writing and hashing a prompt bank."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefbench.bank import bank_from_release, bank_hash, load_bank, write_bank
from prefbench.errors import ConfigError, DataError
from prefbench.records import DOMAINS, FORMATS, PromptItem

LINE = {
    "id": "a_001",
    "domain": "taste",
    "prompt": "Tea or coffee?",
    "format": "binary_choice",
    "tags": ["drink"],
}

texts = st.text(min_size=1, max_size=40)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
items = st.builds(
    PromptItem,
    id=texts,
    domain=names,
    prompt=texts,
    format=st.sampled_from(FORMATS),
    tags=st.lists(texts, max_size=3),
    options=st.none() | st.lists(texts, max_size=5),
)
banks = st.lists(items, min_size=1, max_size=12, unique_by=lambda item: (item.domain, item.id))


def write_lines(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def item(name, domain="taste", **fields):
    return PromptItem.model_validate({**LINE, "id": name, "domain": domain, **fields})


@given(bank=banks)
def test_a_bank_that_is_written_loads_as_it_was(bank, tmp_path_factory):
    path = tmp_path_factory.mktemp("bank") / "own.jsonl"
    write_bank(path, bank)
    assert load_bank(path) == bank
    assert [file.name for file in path.parent.iterdir()] == ["own.jsonl"]


@given(bank=banks, seed=st.integers())
def test_the_hash_of_a_bank_does_not_depend_on_its_order(bank, seed):
    shuffled = random.Random(seed).sample(bank, len(bank))
    assert bank_hash(shuffled) == bank_hash(bank)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "Tea or coffee"},
        {"format": "ranking"},
        {"tags": []},
        {"options": ["tea", "coffee"]},
        {"id": "b_001"},
        {"domain": "food"},
    ],
)
def test_the_hash_of_a_bank_changes_with_every_field(change):
    assert bank_hash([item("a_001")]) != bank_hash([item("a_001").model_copy(update=change)])


def test_the_hash_of_a_bank_is_the_sha256_of_its_canonical_lines():
    import hashlib

    lines = [
        '{"domain":"a","format":"open_ended","id":"2","prompt":"Wörter?","tags":["x"]}\n',
        '{"domain":"b","format":"binary_choice","id":"1","options":["p","q"],"prompt":"p or q?","tags":[]}\n',
    ]
    bank = [PromptItem.model_validate_json(line) for line in reversed(lines)]
    assert bank_hash(bank) == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_the_builtin_bank_comes_in_the_order_of_the_domains():
    domains = [entry.domain for entry in load_bank()]
    assert list(dict.fromkeys(domains)) == list(DOMAINS)
    assert domains == sorted(domains, key=DOMAINS.index)


def test_limit_keeps_the_first_prompts_of_each_domain():
    everything, limited = load_bank(), load_bank(limit=2)
    assert len(limited) == 2 * len(DOMAINS)
    for domain in DOMAINS:
        of_domain = [entry for entry in everything if entry.domain == domain]
        assert [entry for entry in limited if entry.domain == domain] == of_domain[:2]


def test_limit_counts_after_the_domains_are_chosen():
    limited = load_bank(domains=["quad_preference", "ethical_judgment"], limit=3)
    assert [entry.domain for entry in limited] == ["ethical_judgment"] * 3 + ["quad_preference"] * 3


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit):
    with pytest.raises(ConfigError, match=f"limit is {limit}"):
        load_bank(limit=limit)


def test_an_unknown_domain_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean 'ethical_judgment'"):
        load_bank(domains=["ethical_judgement"])


def test_no_domains_are_not_all_domains():
    with pytest.raises(ConfigError, match="no domain is chosen"):
        load_bank(domains=[])


def test_a_folder_is_read_file_by_file_in_the_order_of_names(tmp_path):
    write_lines(tmp_path / "b.jsonl", {**LINE, "id": "b"})
    write_lines(tmp_path / "a.jsonl", {**LINE, "id": "a"})
    (tmp_path / "notes.txt").write_text("no item\n")
    assert [entry.id for entry in load_bank(str(tmp_path))] == ["a", "b"]


def test_blank_lines_a_byte_order_mark_and_windows_line_ends_are_passed_over(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(LINE).encode() + b"\r\n\r\n\n")
    assert [entry.id for entry in load_bank(path)] == ["a_001"]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("not json", "own.jsonl:2: not JSON"),
        ("[1]", "own.jsonl:2: a list, not an object"),
        (json.dumps({**LINE, "id": "a_002", "format": "essay"}), "own.jsonl:2: format: "),
        (
            json.dumps({key: LINE[key] for key in ("id", "domain", "format")}),
            "own.jsonl:2: prompt: Field required",
        ),
        (json.dumps({**LINE, "tags": "drink"}), "own.jsonl:2: tags: "),
        (
            json.dumps(LINE),
            "own.jsonl:2: taste a_001 stands at .*own.jsonl:1 already: give each item its own id",
        ),
    ],
)
def test_a_bad_line_is_named_with_its_file_and_number(tmp_path, second, message):
    path = tmp_path / "own.jsonl"
    path.write_text(f"{json.dumps(LINE)}\n{second}\n")
    with pytest.raises(DataError, match=message):
        load_bank(path)


def test_a_line_that_is_no_utf8_is_named(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_bytes(json.dumps(LINE).encode() + b'\n{"id": "\xff"}\n')
    with pytest.raises(DataError, match=r"own\.jsonl:2: not JSON"):
        load_bank(path)


def test_one_id_may_stand_in_two_domains_but_not_twice_in_one(tmp_path):
    write_lines(tmp_path / "a.jsonl", LINE, {**LINE, "domain": "sound"})
    assert len(load_bank(tmp_path)) == 2
    write_lines(tmp_path / "b.jsonl", LINE)
    with pytest.raises(DataError, match=r"b\.jsonl:1: taste a_001 stands at .*a\.jsonl:1"):
        load_bank(tmp_path)


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        load_bank(tmp_path / "missing.jsonl")
    with pytest.raises(DataError, match=r"no \*\.jsonl file"):
        load_bank(tmp_path)
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DataError, match="no items"):
        load_bank(tmp_path)


def test_a_bank_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "own.jsonl"
    write_bank(path, [item("old")])
    with pytest.raises(DataError, match="item 2: taste new stands at item 1"):
        write_bank(path, [item("new"), item("new")])
    with pytest.raises(DataError, match="no items to write"):
        write_bank(path, [])
    assert [entry.id for entry in load_bank(path)] == ["old"]


def test_options_are_written_only_where_there_are_any(tmp_path):
    path = tmp_path / "own.jsonl"
    write_bank(path, [item("with", options=["tea", "coffee"]), item("without")])
    with_options, without = map(json.loads, path.read_text().splitlines())
    assert list(with_options) == ["id", "domain", "prompt", "format", "tags", "options"]
    assert list(without) == ["id", "domain", "prompt", "format", "tags"]


def record(temperature, **change):
    response = {"text": "Tea.", "finish_reason": "stop", "tokens": 2}
    sampled = {
        "temperature": temperature,
        "n_samples": 1,
        "responses": [response],
        "timestamp": "2025-01-01T00:00:00",
    }
    return {**LINE, **sampled, **change}


@pytest.mark.parametrize("inside", [".", "data"])
def test_a_release_gives_one_item_a_prompt_whatever_its_temperatures(tmp_path, inside):
    responses = tmp_path / inside / "responses"
    responses.mkdir(parents=True)
    write_lines(responses / "taste_t0.7_n1.jsonl", record(0.7), record(0.7, id="a_002"))
    write_lines(responses / "taste_t1.0_n1.jsonl", record(1.0), record(1.0, id="a_003"))
    bank, conflicts = bank_from_release(tmp_path)
    assert [entry.id for entry in bank] == ["a_001", "a_002", "a_003"]
    assert bank[0] == item("a_001")
    assert conflicts == []


def test_a_release_that_contradicts_itself_is_told_line_by_line(tmp_path):
    (tmp_path / "responses").mkdir()
    write_lines(tmp_path / "responses" / "a.jsonl", record(0.7))
    write_lines(tmp_path / "responses" / "b.jsonl", record(1.0, prompt="Tea?", tags=[]), record(1.5))
    bank, conflicts = bank_from_release(tmp_path)
    assert [entry.prompt for entry in bank] == ["Tea or coffee?"]
    assert len(conflicts) == 1
    assert "b.jsonl:1: prompt and tags of taste a_001 differ from those at " in conflicts[0]
    assert conflicts[0].endswith("a.jsonl:1")


def test_a_folder_that_is_no_release_is_refused(tmp_path):
    with pytest.raises(DataError, match="name a release's folder"):
        bank_from_release(tmp_path)
    (tmp_path / "responses").mkdir()
    (tmp_path / "responses" / "a.jsonl").write_text("")
    with pytest.raises(DataError, match="hold no records"):
        bank_from_release(tmp_path)
