"""Adapters in one vLLM engine: each is peft's own output, the base is the base, and what vLLM lacks is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from adapters import make_adapter
from vllm_engines import (
    PROMPTS,
    SMALL,
    VLLM_MARKS,
    answers,
    comparable,
    opened,
    request,
    small_model,
    whole_characters,
)

from prefbench.backends import Treatment, open_backend
from prefbench.errors import ConfigError, PrefbenchWarning

pytestmark = VLLM_MARKS
__all__ = ["small_model"]

BASE = Treatment("condition_1_base", "completion")
LENGTH = 16


@pytest.fixture(scope="module")
def adapters(small_model, tmp_path_factory) -> list[Path]:
    """Return two adapters of different ranks, on different modules, one with per-module ranks and scales."""
    folder = tmp_path_factory.mktemp("adapters")
    first = make_adapter(small_model, folder / "first")
    second = make_adapter(
        small_model,
        folder / "second",
        seed=2,
        r=2,
        target_modules=["q_proj", "v_proj", "down_proj"],
        rank_pattern={"q_proj": 6},
        alpha_pattern={"v_proj": 1},
        use_rslora=True,
    )
    return [first, second]


@pytest.fixture(scope="module")
def treatments(adapters) -> list[Treatment]:
    return [BASE, *(with_adapter(folder, name=f"condition_{2 + i}_dpo") for i, folder in enumerate(adapters))]


@pytest.fixture(scope="module")
def engine(small_model, treatments):
    with opened(small_model, SMALL, treatments) as backend:
        yield backend


def with_adapter(folder: Path | str, name: str = "condition_2_dpo") -> Treatment:
    return replace(BASE, condition=name, adapter=str(folder))


def ask(treatment: Treatment, **sampling):
    chosen = {"temperature": 0, "max_tokens": LENGTH} | sampling
    return [request(number, treatment, **chosen) for number in range(8)]


def decode_by_peft(model: Path, adapter: Path | None) -> list[str]:
    """Return the greedy answers of transformers and peft to the prompts, one by one."""
    import peft
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    oracle = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    if adapter is not None:
        oracle = peft.PeftModel.from_pretrained(oracle, adapter)
    texts = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt")
        with torch.inference_mode():
            whole = oracle.generate(**ids, do_sample=False, max_new_tokens=LENGTH)
        texts.append(tokenizer.decode(whole[0, ids["input_ids"].shape[1] :], skip_special_tokens=True))
    return texts


def test_each_condition_decodes_what_peft_itself_decodes(engine, small_model, adapters, treatments):
    expected = [decode_by_peft(small_model, adapter) for adapter in (None, *adapters)]
    assert len({tuple(texts) for texts in expected}) == 3
    for treatment, texts in zip(treatments, expected, strict=True):
        found = answers(engine, ask(treatment))
        for number in range(8):
            (output,) = found[treatment.condition, "aesthetic_preference", f"aes_{number:03}", "0"]
            assert whole_characters(output.text) == whole_characters(texts[number % len(PROMPTS)])


@pytest.mark.parametrize("sampling", [{}, {"temperature": 1.0, "n": 3}], ids=["greedy", "drawn"])
def test_interleaved_conditions_are_what_each_is_alone(engine, treatments, sampling):
    alone = {}
    for treatment in treatments:
        alone |= answers(engine, ask(treatment, **sampling))
    rows = zip(*(ask(treatment, **sampling) for treatment in treatments), strict=True)
    mixed = answers(engine, [each for row in rows for each in row])
    assert mixed == alone
    base = {key[1:]: value for key, value in alone.items() if key[0] == BASE.condition}
    for treatment in treatments[1:]:
        adapted = {key[1:]: value for key, value in alone.items() if key[0] == treatment.condition}
        assert sum(adapted[key] != base[key] for key in base) >= 6


def test_the_same_long_prompt_is_not_read_from_another_conditions_cache(engine, treatments, small_model):
    """Blocks of a prompt that an adapter has filled must not serve the base, nor the other way round."""
    prompt = "Rain or sun, a harbour or a hill? " * 8
    asked = [[request(1, each, prompt=prompt, temperature=0)] for each in treatments]
    there = [answers(engine, each) for each in asked]
    back = [answers(engine, each) for each in asked[::-1]][::-1]
    assert there == back
    oracle = open_backend("hf", str(small_model), options={})
    expected = [answers(oracle, each) for each in asked]
    assert [comparable(each) for each in there] == [comparable(each) for each in expected]


def test_a_condition_named_later_gets_a_new_engine(small_model, adapters, treatments):
    with opened(small_model, SMALL, treatments[:1]) as backend:
        before = answers(backend, ask(BASE))
        running = backend._engine
        backend.identify(Treatment("condition_4_directed", "completion", system_prompt="Be plain."))
        answers(backend, ask(BASE)[:1])
        assert backend._engine is running, "a condition that needs nothing of the engine restarted it"
        with pytest.raises(ConfigError, match="'condition_2_dpo' was not named before the engine started"):
            answers(backend, ask(treatments[1]))
        backend.identify(treatments[1])
        adapted = answers(backend, ask(treatments[1]))
        assert list(adapted.values()) != list(before.values())
        assert answers(backend, ask(BASE)) == before
        assert backend._engine is not running


def test_limits_that_are_too_small_are_raised_and_it_is_said(small_model, treatments):
    with opened(small_model, SMALL | {"max_lora_rank": 1, "max_loras": 2}, treatments) as backend:
        with pytest.warns(PrefbenchWarning) as told:
            adapted = answers(backend, ask(treatments[1]))
        assert [str(each.message) for each in told if each.category is PrefbenchWarning] == [
            "max_lora_rank 1 is too small for the conditions' adapters: it is 8",
            "max_loras 2 is too small for the conditions' adapters: it is 3",
        ]
        assert backend._engine.config.lora_config.max_lora_rank == 8
        base = answers(backend, ask(BASE))
        assert list(adapted.values()) != list(base.values())


def test_limits_that_are_large_enough_are_left_alone(small_model, treatments):
    with opened(small_model, SMALL | {"max_lora_rank": 32, "max_loras": 7}, treatments) as backend:
        backend.describe()
        lora = backend._engine.config.lora_config
        assert (lora.max_lora_rank, lora.max_loras) == (32, 7)


def change_config(adapter: Path, target: Path, **changes) -> Path:
    shutil.copytree(adapter, target)
    path = target / "adapter_config.json"
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | changes))
    return target


def begin(backend, treatment: Treatment) -> None:
    backend.identify(treatment)
    backend.describe()


def refuse(model: Path, adapter: Path, complaint: str) -> None:
    with opened(model) as backend:
        with pytest.raises(ConfigError, match=complaint) as caught:
            begin(backend, with_adapter(adapter))
        assert "\n" not in str(caught.value)
        assert backend._engine is None


@pytest.mark.parametrize("kind", ["use_dora", "lora_bias"])
def test_a_kind_that_vllm_does_not_apply_is_refused_by_name(small_model, adapters, tmp_path, kind):
    made = change_config(adapters[0], tmp_path / "made", **{kind: True})
    refuse(small_model, made, f"has {kind}: vLLM does not apply it; use --backend hf")


def test_an_adapter_beyond_the_largest_rank_is_refused(small_model, tmp_path):
    made = make_adapter(small_model, tmp_path / "made", r=2, rank_pattern={"q_proj": 600})
    refuse(small_model, made, "rank 600: vLLM loads up to 512")


def test_an_adapter_of_another_model_is_refused(small_model, adapters, tmp_path):
    moved = change_config(adapters[0], tmp_path / "moved", base_model_name_or_path="Qwen/Qwen3-8B")
    refuse(small_model, moved, "another base model, Qwen/Qwen3-8B")
