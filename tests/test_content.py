"""Agreement in content: choices and texts of one record."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefbench.judges.content import choice_agreement, content_agreement


@pytest.mark.parametrize("choices", [[], ["tea"], [None, "tea"], [None, None], ["", "tea"]])
def test_fewer_than_two_choices_have_no_agreement(choices):
    assert choice_agreement(choices) is None


def test_agreement_ignores_case_articles_and_missing_choices():
    assert choice_agreement(["Tea", "the tea", None, "tea."]) == 1.0
    assert choice_agreement(["tea", "coffee"]) == 0.0


@given(st.lists(st.sampled_from(["tea", "coffee", "water", None]), max_size=12))
def test_agreement_is_the_share_of_agreeing_pairs(choices):
    named = [choice for choice in choices if choice]
    pairs = [one == two for one, two in combinations(named, 2)]
    expected = sum(pairs) / len(pairs) if pairs else None
    assert choice_agreement(choices) == pytest.approx(expected)


@pytest.mark.parametrize("texts", [[], ["tea"], ["tea", None], ["tea", "   "], ["", ""]])
def test_fewer_than_two_readable_texts_have_no_content_agreement(texts):
    assert content_agreement(texts, [None] * len(texts)) is None


def test_equal_texts_agree_fully_and_texts_without_a_common_word_not_at_all():
    assert content_agreement(["green tea", "green tea"], [None, None]) == 1.0
    assert content_agreement(["green tea", "black coffee"], [None, None]) == 0.0


def test_choices_count_before_texts():
    texts = ["I like it for its calm.", "It wakes me up at dawn."]
    assert content_agreement(texts, ["tea", "the tea"]) == 1.0
    assert content_agreement(texts, ["tea", "coffee"]) == 0.0


def test_a_pair_with_one_choice_is_compared_by_its_texts():
    assert content_agreement(["tea", "tea"], ["tea", None]) == 1.0


def test_thinking_does_not_count():
    assert content_agreement(["<think>long thoughts</think>tea", "tea"], [None, None]) == 1.0


def test_lists_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="2 texts but 1 choices"):
        content_agreement(["a", "b"], ["a"])


@given(st.lists(st.tuples(st.text(max_size=40), st.none() | st.text(max_size=10)), max_size=6))
def test_content_agreement_lies_between_nought_and_one_and_ignores_order(pairs):
    texts, choices = [text for text, _ in pairs], [choice for _, choice in pairs]
    found = content_agreement(texts, choices)
    assert found is None or 0 <= found <= 1
    assert content_agreement(texts[::-1], choices[::-1]) == pytest.approx(found)
