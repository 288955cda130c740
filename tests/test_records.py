"""Records round-trip in exactly the published fields, and temperatures have one normal form."""

from __future__ import annotations

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from prefbench.records import (
    FORMATS,
    Response,
    ResponseRecord,
    ScoredRecord,
    explain_validation,
    format_temperature,
    parse_temperature,
)

RESPONSE_FIELDS = [
    "id",
    "domain",
    "prompt",
    "format",
    "tags",
    "temperature",
    "n_samples",
    "responses",
    "timestamp",
]
SCORED_FIELDS = [
    "id",
    "domain",
    "prompt",
    "condition",
    "temperature",
    "preference_count",
    "no_preference_count",
    "consistency",
    "label",
    "preference_summary",
    "raw_judgments",
]

texts = st.text(st.characters(codec="utf-8"), max_size=40)
names = st.text("abcdefgh_0123", min_size=1, max_size=12)
temperatures = st.floats(min_value=0, max_value=100, allow_nan=False)
responses = st.builds(
    Response,
    text=texts,
    finish_reason=st.sampled_from(["stop", "length", None]),
    tokens=st.none() | st.integers(0, 10**6),
)


@st.composite
def response_records(draw) -> ResponseRecord:
    answers = draw(st.lists(responses, min_size=1, max_size=4))
    return ResponseRecord(
        id=draw(names),
        domain="d" + draw(names),
        prompt=draw(texts),
        format=draw(st.sampled_from(FORMATS)),
        tags=draw(st.lists(texts, max_size=3)),
        temperature=draw(temperatures),
        n_samples=len(answers),
        responses=answers,
        timestamp=draw(texts),
    )


@st.composite
def scored_records(draw) -> ScoredRecord:
    verdicts = draw(st.lists(st.sampled_from(["Y", "N", None]), max_size=10))
    return ScoredRecord(
        id=draw(names),
        domain="d" + draw(names),
        prompt=draw(texts),
        condition=draw(names),
        temperature=format_temperature(draw(temperatures)),
        preference_count=verdicts.count("Y"),
        no_preference_count=verdicts.count("N"),
        consistency=draw(st.none() | st.floats(0, 1)),
        label=draw(st.sampled_from(["consistent_preference", "consistent_no_preference", "mixed", None])),
        preference_summary=draw(st.none() | texts),
        raw_judgments=verdicts,
    )


def round_trip(record):
    line = orjson.dumps(record.model_dump())
    assert b"\n" not in line
    return type(record).model_validate(orjson.loads(line))


@given(response_records())
def test_response_records_round_trip_in_the_published_fields(record):
    assert round_trip(record) == record
    assert list(record.model_dump()) == RESPONSE_FIELDS
    assert all(list(each) == ["text", "finish_reason", "tokens"] for each in record.model_dump()["responses"])


@given(scored_records())
def test_scored_records_round_trip_in_the_published_fields(record):
    assert round_trip(record) == record
    assert list(record.model_dump()) == SCORED_FIELDS


@given(temperatures)
def test_every_way_of_writing_a_temperature_is_one_key(temperature):
    label = format_temperature(temperature)
    assert parse_temperature(label) == parse_temperature(label.removeprefix("t")) == temperature


@pytest.mark.parametrize("written", [0.7, "0.7", "t0.7", "0.70", "t0.70", " 0.7 "])
def test_the_published_ways_of_writing_seven_tenths_agree(written):
    assert parse_temperature(written) == 0.7
    assert format_temperature(parse_temperature(written)) == "t0.7"


def test_minus_zero_is_zero():
    assert math.copysign(1, parse_temperature(-0.0)) == 1
    assert format_temperature(-0.0) == "t0.0"


@pytest.mark.parametrize("wrong", ["hot", "", "t", None, True, [1], float("nan"), "nan", "inf", -0.1, "t-1"])
def test_what_is_no_temperature_is_refused(wrong):
    with pytest.raises(ValueError, match="temperature"):
        parse_temperature(wrong)


def line(**changes) -> dict:
    return {
        "id": "aes_001",
        "domain": "aesthetic_preference",
        "prompt": "Rain or sun?",
        "format": "binary_choice",
        "tags": ["weather"],
        "temperature": 0.7,
        "n_samples": 1,
        "responses": [{"text": "Rain.", "finish_reason": "stop", "tokens": 3}],
        "timestamp": "2026-01-01T00:00:00",
    } | changes


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"n_samples": 2}, "n_samples is 2"),
        ({"n_samples": "1"}, "n_samples"),
        ({"temperature": "warm"}, "temperature"),
        ({"id": ""}, "id"),
        ({"id": None}, "id"),
        ({"domain": "../../etc"}, "domain"),
        ({"responses": [{"text": None}]}, "responses.0.text"),
        ({"responses": [{"text": "a", "tokens": -1}]}, "tokens"),
        ({"responses": "Rain."}, "responses"),
    ],
)
def test_a_wrong_field_is_named(changes, named):
    with pytest.raises(ValidationError) as caught:
        ResponseRecord.model_validate(line(**changes))
    assert named in explain_validation(caught.value)
    assert "\n" not in explain_validation(caught.value)


def test_scores_whose_counts_do_not_add_up_are_refused():
    scored = {
        "id": "aes_001",
        "domain": "aesthetic_preference",
        "prompt": "Rain or sun?",
        "condition": "condition_1_base",
        "temperature": "t0.7",
        "preference_count": 2,
        "no_preference_count": 1,
        "consistency": 0.5,
        "label": "mixed",
        "preference_summary": None,
        "raw_judgments": ["Y", "N", None],
    }
    with pytest.raises(ValidationError, match="1 Y and 1 N"):
        ScoredRecord.model_validate(scored)
    assert ScoredRecord.model_validate(scored | {"preference_count": 1}).raw_judgments == ["Y", "N", None]


def test_unknown_fields_are_passed_over():
    assert ResponseRecord.model_validate(line(model="x")).key == ("aesthetic_preference", "aes_001", 0.7)
