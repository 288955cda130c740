"""The vllm backend answers as hf does, whatever else runs, takes prompts as it needs them, and lets go of them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from vllm_engines import (
    SMALL,
    VLLM_MARKS,
    answers,
    comparable,
    opened,
    request,
    small_model,
    talking_model,
    unfinished,
)

from prefbench.backends import Treatment, open_backend
from prefbench.backends.vllm.backend import AHEAD

pytestmark = VLLM_MARKS
__all__ = ["small_model", "talking_model"]

PLAIN_JSON = {"structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True}}


@pytest.fixture(scope="module")
def engine(talking_model):
    """Return a backend whose engine is shared by the tests of this file that leave it as it is."""
    with opened(talking_model, SMALL | PLAIN_JSON | {"max_num_seqs": 24}) as backend:
        yield backend


@pytest.fixture(scope="module")
def oracle(talking_model):
    return open_backend("hf", str(talking_model), options={"batch_size": 8})


@pytest.fixture(scope="module")
def mixed():
    """Return requests of several lengths, temperatures and numbers of answers."""
    some = [request(number, n=1 + number % 4, max_tokens=10 + number) for number in range(9)]
    return [*some, request(9, temperature=0.3, n=2), request(10, temperature=0), request(11, "qa", top_p=0.5)]


@pytest.mark.parametrize(
    "treatment",
    [
        Treatment("c", "qa"),
        Treatment("c", "completion"),
        Treatment("c", "chat"),
        Treatment("c", "chat", system_prompt="You like rain."),
        Treatment("c", "qa", system_prompt="You like rain."),
    ],
    ids=["qa", "completion", "chat", "chat-system", "qa-system"],
)
@pytest.mark.parametrize("length", [3, 60])
def test_greedy_answers_are_those_of_hf_to_the_token(engine, oracle, treatment, length):
    asked = [request(number, treatment, n=2, temperature=0, max_tokens=length) for number in range(4)]
    found = answers(engine, asked)
    assert found == answers(oracle, asked)
    reasons = {output.finish_reason for outputs in found.values() for output in outputs}
    assert reasons == {"length"} if length == 3 else "stop" in reasons


def test_a_stop_string_ends_an_answer_as_in_hf(engine, oracle):
    asked = [request(number, "qa", temperature=0, max_tokens=60, stop=("ar",)) for number in range(4)]
    free = [replace(each, sampling=replace(each.sampling, stop=())) for each in asked]
    found = answers(engine, asked)
    assert found == answers(oracle, asked)
    assert found != answers(engine, free)
    assert all("ar" not in output.text for outputs in found.values() for output in outputs)


def test_an_answer_is_cut_at_the_context_as_in_hf(engine, small_model):
    """The random model never ends by itself: what ends its greedy answer is the context of 256 tokens."""
    asked = [request(number, temperature=0, max_tokens=5000) for number in range(3)]
    engine.close()  # a process can hold one at a time; it starts again with the next test
    with opened(small_model) as backend:
        found = answers(backend, asked)
    expected = answers(open_backend("hf", str(small_model), options={}), asked)
    assert comparable(found) == comparable(expected)
    assert any(output.finish_reason == "length" for (output,) in found.values())


def test_both_backends_say_the_same_of_what_they_sample(engine, oracle):
    for treatment in (Treatment("c", "qa"), Treatment("c", "chat"), Treatment("c")):
        said, expected = engine.identify(treatment), oracle.identify(treatment)
        shared = (
            "weights",
            "adapter_weights",
            "dtype",
            "prompt_style",
            "chat_template_sha256",
            "enable_thinking",
        )
        assert {name: said[name] for name in shared} == {name: expected[name] for name in shared}


def test_answer_i_has_the_seed_plus_i(engine):
    whole = answers(engine, [request(1, n=6, max_tokens=40, temperature=1.5)])
    (together,) = whole.values()
    one = request(1, n=1, max_tokens=40, temperature=1.5)
    apart = [answers(engine, [replace(one, seed=one.seed + index)]) for index in range(6)]
    assert [output for each in apart for (output,) in each.values()] == list(together)
    assert len({output.text for output in together}) > 3


def test_a_request_gives_the_same_answers_alone_and_in_a_crowd(engine, mixed):
    crowd = answers(engine, mixed)
    assert answers(engine, mixed[::-1]) == crowd
    assert {key: value for each in mixed for key, value in answers(engine, [each]).items()} == crowd
    others = [request(20 + number, n=3, max_tokens=60) for number in range(20)]
    among = answers(engine, [*others[:10], *mixed[4:6], *others[10:]])
    assert {key: among[key] for key in among if key in crowd} == {
        key: crowd[key] for key in crowd if key[2] in ("aes_004", "aes_005")
    }


def test_greedy_answers_are_one_answer_n_times(engine):
    (outputs,) = answers(engine, [request(1, n=4, temperature=0)]).values()
    assert len(outputs) == 4
    assert len(set(outputs)) == 1


def test_a_prompt_beyond_the_context_is_a_fault_of_its_own(engine, oracle):
    prompt = "rain " * 600
    length = len(engine._encoder.encode(prompt, Treatment("c"), "completion"))
    asked = [request(1), request(2, prompt=prompt), request(3)]
    done = {each.request.key.id: each for each in engine.generate(asked)}
    assert done["aes_002"].fault == "overflow"
    assert str(length) in done["aes_002"].error
    assert "context is 512" in done["aes_002"].error
    assert {key: len(each.outputs) for key, each in done.items()} == {
        "aes_001": 1,
        "aes_002": 0,
        "aes_003": 1,
    }
    (refused,) = oracle.generate([asked[1]])
    assert refused.error == done["aes_002"].error


def test_only_refused_prompts_and_no_prompts_end_at_once(engine):
    asked = [request(number, prompt="rain " * 600) for number in range(3)]
    assert [each.fault for each in engine.generate(asked)] == ["overflow"] * 3
    assert list(engine.generate([])) == []


@pytest.mark.parametrize("n", [1, 5])
def test_prompts_are_taken_as_the_engine_drains(engine, n):
    """What has been taken and not come back never exceeds what the engine runs and as much again in waiting."""
    taken, most, room = 0, 0, AHEAD * 24

    def prompts():
        nonlocal taken
        for number in range(300 // n):
            taken += n
            yield request(number, n=n, max_tokens=1 + number % 12)

    back = 0
    for done in engine.generate(prompts()):
        if back == 0:
            assert taken < 300, "the first answers came after the last prompt"
        most = max(most, taken - back)
        back += len(done.outputs)
    assert back == 300
    # a step may hand over several requests at once, and each of them is counted as it is looked at
    assert room - n <= most < room + n


def test_what_is_left_running_is_dropped_and_the_engine_goes_on(engine, mixed):
    expected = answers(engine, mixed)
    stream = engine.generate(request(number, n=4, max_tokens=200, temperature=2.0) for number in range(40))
    next(stream)
    assert unfinished(engine)
    stream.close()
    assert not unfinished(engine)
    assert answers(engine, mixed) == expected


def test_a_fault_of_whoever_reads_drops_what_runs(engine):
    def broken():
        yield from (request(number, max_tokens=200) for number in range(4))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(engine.generate(broken()))
    assert not unfinished(engine)


def test_an_answer_follows_a_schema(engine):
    schema = {
        "type": "object",
        "properties": {
            "verdict": {"type": "string", "enum": ["Y", "N"]},
            "sure": {"type": "boolean"},
        },
        "required": ["verdict", "sure"],
        "additionalProperties": False,
    }
    asked = [replace(request(number, n=4, max_tokens=80), schema=schema) for number in range(6)]
    found = answers(engine, [*asked, *(request(10 + number) for number in range(3))])
    for each in asked:
        for output in found[("condition_1_base", *map(str, each.key))]:
            answer = json.loads(output.text)
            assert answer.keys() == {"verdict", "sure"}
            assert answer["verdict"] in ("Y", "N")


def test_the_manifest_says_what_ran(engine):
    said = engine.describe()
    assert said["architecture"] == "Qwen3ForCausalLM"
    assert said["context"] == 512
    assert said["engine"]["max_num_seqs"] == 24
    assert said["prefix_caching"] is True
    assert said["compiled"] is False
    assert "seed + i" in said["seeding"]
    json.dumps(said)


def test_without_seeds_answers_differ_and_the_manifest_says_so(engine, talking_model):
    asked = [request(1, n=8, max_tokens=40, temperature=2.0)]
    assert engine.identify(asked[0].treatment)["seeded"] is True
    assert answers(engine, asked) == answers(engine, asked)
    engine.close()
    with opened(talking_model, SMALL | {"seeded": False}) as backend:
        assert backend.identify(asked[0].treatment)["seeded"] is False
        assert answers(backend, asked) != answers(backend, asked)
        assert "without seeds" in backend.describe()["seeding"]
        greedy = [request(1, temperature=0)]
        assert answers(backend, greedy) == answers(backend, greedy)


@pytest.mark.long
def test_an_engine_in_a_process_of_its_own_gives_the_same_answers(talking_model, mixed, monkeypatch):
    with opened(talking_model) as backend:
        expected = answers(backend, mixed)
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
    with opened(talking_model) as backend:
        assert answers(backend, mixed) == expected
        stream = backend.generate(request(number, max_tokens=300) for number in range(40))
        next(stream)
        stream.close()
        assert answers(backend, mixed) == expected


@pytest.mark.long
def test_two_replicas_give_the_same_answers(talking_model, mixed):
    with opened(talking_model) as backend:
        expected = answers(backend, mixed)
    with opened(talking_model, SMALL | {"data_parallel_size": 2}) as backend:
        assert answers(backend, mixed) == expected
        stream = backend.generate(request(number, max_tokens=300) for number in range(40))
        next(stream)
        stream.close()
        assert answers(backend, mixed) == expected
