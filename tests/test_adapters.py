"""Adapters in the hf backend: on, they are peft's own output; off, the base model is untouched."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'prefbench[hf]'")
peft = pytest.importorskip("peft", reason="needs peft: pip install 'prefbench[hf]'")

from adapters import make_adapter  # noqa: E402
from studies import make_items  # noqa: E402
from transformers import AutoModelForCausalLM, Qwen3Config, Qwen3ForCausalLM  # noqa: E402

from prefbench.backends import Request, Sampling, Treatment, open_backend  # noqa: E402
from prefbench.backends.hf.backend import cut_blocks  # noqa: E402
from prefbench.bank import write_bank  # noqa: E402
from prefbench.errors import ConfigError, MissingExtraError  # noqa: E402
from prefbench.records import RecordKey  # noqa: E402
from prefbench.sample import sample_prompts  # noqa: E402
from prefbench.store import read_json  # noqa: E402

BASE = Treatment("condition_1_base", "completion")
PROMPTS = ("Rain or sun?", "What would you paint?", "Which do you prefer, a quiet harbour or a loud one?")


@pytest.fixture(scope="module")
def adapter(tiny_model, tmp_path_factory) -> Path:
    return make_adapter(tiny_model, tmp_path_factory.mktemp("adapters") / "first")


@pytest.fixture(scope="module")
def other(tiny_model, tmp_path_factory) -> Path:
    return make_adapter(
        tiny_model, tmp_path_factory.mktemp("adapters") / "second", seed=2, r=2, use_dora=True
    )


def ask(treatment: Treatment, *, temperature: float = 1.0, n: int = 3) -> list[Request]:
    return [
        Request(
            key=RecordKey("aesthetic_preference", f"aes_{number}", temperature),
            prompt=prompt,
            n=n,
            seed=1000 * number,
            sampling=Sampling(temperature, 0.95, 16),
            treatment=treatment,
        )
        for number, prompt in enumerate(PROMPTS)
    ]


def answers(backend, requests) -> list:
    return [done.outputs for done in backend.generate(requests)]


def with_adapter(folder) -> Treatment:
    return replace(BASE, condition="condition_2_dpo", adapter=str(folder))


def test_an_adapter_decodes_what_peft_itself_decodes(tiny_model, tiny_tokenizer, adapter):
    backend = open_backend("hf", str(tiny_model), options={})
    found = answers(backend, ask(with_adapter(adapter), temperature=0, n=1))
    oracle = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), adapter)
    for prompt, (output,) in zip(PROMPTS, found, strict=True):
        ids = tiny_tokenizer(prompt, return_tensors="pt")
        with torch.inference_mode():
            whole = oracle.generate(**ids, do_sample=False, max_new_tokens=16)[0, ids["input_ids"].shape[1] :]
        assert output.text == tiny_tokenizer.decode(whole, skip_special_tokens=True)


def test_the_base_is_unchanged_to_the_bit_after_adapters_were_on(tiny_model, adapter, other):
    fresh = open_backend("hf", str(tiny_model), options={})
    expected = answers(fresh, ask(BASE))
    logits = fresh._model(torch.arange(20)[None]).logits
    first = answers(fresh, ask(with_adapter(adapter)))
    second = answers(fresh, ask(with_adapter(other)))
    assert answers(fresh, ask(BASE)) == expected
    assert expected != first != second != expected
    with fresh._adapters.active(None):
        assert torch.equal(fresh._model(torch.arange(20)[None]).logits, logits)


def test_conditions_of_one_load_equal_separate_loads(tiny_model, adapter, other):
    treatments = [BASE, with_adapter(adapter), with_adapter(other), BASE, with_adapter(adapter)]
    shared = open_backend("hf", str(tiny_model), options={})
    together = answers(shared, [request for each in treatments for request in ask(each)])
    apart = [
        output
        for each in treatments
        for output in answers(open_backend("hf", str(tiny_model), options={}), ask(each))
    ]
    assert together == apart


def test_a_merged_checkpoint_is_a_model_of_its_own(tiny_model, tiny_tokenizer, adapter, tmp_path):
    merged = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), adapter)
    merged.merge_and_unload().save_pretrained(tmp_path / "merged")
    tiny_tokenizer.save_pretrained(tmp_path / "merged")
    asked = ask(BASE, temperature=0, n=1)
    adapted = answers(
        open_backend("hf", str(tiny_model), options={}), ask(with_adapter(adapter), temperature=0, n=1)
    )
    assert answers(open_backend("hf", str(tmp_path / "merged"), options={}), asked) == adapted


def test_a_block_never_mixes_treatments():
    treated = [with_adapter("a"), with_adapter("a"), BASE, BASE, BASE, with_adapter("b")]
    requests = [ask(each)[0] for each in treated]
    blocks = list(cut_blocks(requests, 2))
    assert [len(block) for block in blocks] == [2, 2, 1, 1]
    assert [request for block in blocks for request in block] == requests
    assert all(len({request.treatment for request in block}) == 1 for block in blocks)


@pytest.fixture
def study(tmp_path, tiny_model, adapter) -> Path:
    """Return a study folder of three conditions on one model, with everything named relative to its file."""
    folder = tmp_path / "study"
    shutil.copytree(tiny_model, folder / "models" / "tiny")
    shutil.copytree(adapter, folder / "adapter")
    write_bank(folder / "bank.jsonl", make_items(3))
    (folder / "prefbench.toml").write_text(
        """
        [study]
        prompts = "bank.jsonl"
        [sampling]
        temperatures = [1.0]
        n_samples = 2
        max_tokens = 8
        [[conditions]]
        name = "condition_1_base"
        model = "models/tiny"
        [[conditions]]
        name = "condition_2_dpo"
        model = "models/tiny"
        adapter = "./adapter"
        [[conditions]]
        name = "condition_3_directed"
        model = "models/tiny"
        system_prompt = "You have tastes of your own."
        """
    )
    return folder


def texts(folder: Path) -> list[str]:
    files = sorted((folder / "responses").glob("*.jsonl"))
    lines = [orjson.loads(line) for path in files for line in path.read_bytes().splitlines()]
    return [response["text"] for line in lines for response in line["responses"]]


def test_a_study_is_sampled_from_one_load_and_the_manifest_has_the_hash(study, monkeypatch, tmp_path):
    loads = []
    monkeypatch.setattr(
        "prefbench.sample.open_backend", lambda *args, **kw: loads.append(args) or open_backend(*args, **kw)
    )
    report = sample_prompts(study)
    assert [each.written for each in report.conditions] == [6, 6, 6]
    assert len(loads) == 1
    settings = read_json(study / "condition_2_dpo" / "manifest.json")["settings"]
    assert settings["adapter"] == "adapter"
    assert len(settings["adapter_weights"]["files_sha256"]) == 64
    assert settings["adapter_weights"]["rank"] == 4
    base = read_json(study / "condition_1_base" / "manifest.json")["settings"]
    assert base["adapter"] is None
    assert base["adapter_weights"] is None
    assert base["weights"] == settings["weights"]
    assert texts(study / "condition_1_base") != texts(study / "condition_2_dpo")


def test_only_the_named_conditions_are_sampled_and_come_out_the_same(study):
    report = sample_prompts(study, condition=["1", "dpo"])
    assert [each.condition for each in report.conditions] == ["condition_1_base", "condition_2_dpo"]
    alone = texts(study / "condition_2_dpo")
    shutil.rmtree(study / "condition_2_dpo")
    sample_prompts(study, condition="dpo")
    assert texts(study / "condition_2_dpo") == alone


def test_a_study_moves_with_its_files(study, monkeypatch):
    sample_prompts(study)
    moved = study.with_name("elsewhere")
    study.rename(moved)
    monkeypatch.chdir(moved)
    assert [each.kept for each in sample_prompts(".").conditions] == [6, 6, 6]


def test_another_adapter_in_its_place_is_refused(study, other):
    sample_prompts(study, condition="dpo", limit=1)
    shutil.rmtree(study / "adapter")
    shutil.copytree(other, study / "adapter")
    with pytest.raises(ConfigError, match="adapter_weights"):
        sample_prompts(study, condition="dpo")


def test_an_adapter_on_the_command_needs_a_name_and_goes_to_one_condition(
    study, tiny_model, adapter, tmp_path
):
    with pytest.raises(ConfigError, match="--condition dpo"):
        sample_prompts(tmp_path / "new", model=str(tiny_model), adapter=adapter)
    with pytest.raises(ConfigError, match="adapter would go to all of condition_1_base"):
        sample_prompts(study, adapter=adapter)
    bank = study / "bank.jsonl"
    (report,) = sample_prompts(
        *(tmp_path / "new",),
        model=str(tiny_model),
        adapter=adapter,
        condition="dpo",
        prompts=bank,
        n_samples=1,
        max_tokens=3,
    ).conditions
    assert (report.condition, report.written) == ("condition_1_dpo", 18)


def test_a_bad_adapter_is_found_before_anything_is_sampled(study):
    shutil.rmtree(study / "adapter")
    with pytest.raises(ConfigError, match="no such folder"):
        sample_prompts(study)
    assert not list(study.rglob("responses/*.jsonl"))


def change_config(folder: Path, target: Path, **changes) -> Path:
    shutil.copytree(folder, target)
    path = target / "adapter_config.json"
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), **changes}))
    return target


def refuse(model: Path, adapter, complaint: str, **options) -> None:
    backend = open_backend("hf", str(model), options=options)
    with pytest.raises(ConfigError, match=complaint) as caught:
        backend.identify(with_adapter(adapter))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"modules_to_save": ["lm_head"]}, "modules_to_save .*merge it"),
        ({"bias": "all"}, "bias 'all'"),
        ({"peft_type": "PREFIX_TUNING"}, "peft_type 'PREFIX_TUNING'"),
        ({"init_lora_weights": "pissa_niter_4"}, "pissa"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"layer_replication": [[0, 1]]}, "layer_replication"),
        ({"base_model_name_or_path": "Qwen/Qwen3-8B"}, "another base model, Qwen/Qwen3-8B"),
        ({"target_modules": ["no_such_module"]}, "cannot be loaded"),
    ],
)
def test_an_adapter_that_cannot_be_switched_off_or_fits_another_model_is_refused(
    tiny_model, adapter, tmp_path, changes, complaint
):
    refuse(tiny_model, change_config(adapter, tmp_path / "changed", **changes), complaint)


def test_an_adapter_of_another_shape_is_refused_even_if_the_name_fits(tiny_model, tiny_tokenizer, tmp_path):
    config = Qwen3Config.from_pretrained(tiny_model)
    config.num_hidden_layers, config.layer_types = 3, ["full_attention"] * 3
    deeper = tmp_path / "deeper" / "tiny"
    Qwen3ForCausalLM(config).save_pretrained(deeper)
    tiny_tokenizer.save_pretrained(deeper)
    refuse(tiny_model, make_adapter(deeper, tmp_path / "a"), "another base model .* no module model.layers.2")
    shallower = make_adapter(tiny_model, tmp_path / "b", target_modules=["q_proj", "v_proj"])
    refuse(deeper, shallower, "not whole .* lacks 4 tensors")


def test_the_hash_in_a_manifest_tells_two_models_of_one_name_apart(tiny_model, adapter, tmp_path):
    from prefbench.backends.hf.loading import identify_model

    claimed = change_config(adapter, tmp_path / "claimed")
    weights = identify_model(str(tiny_model), None)
    (claimed / "manifest.json").write_bytes(orjson.dumps({"settings": {"weights": weights}}))
    open_backend("hf", str(tiny_model), options={}).identify(with_adapter(claimed))
    weights["files_sha256"] = "0" * 64
    (claimed / "manifest.json").write_bytes(orjson.dumps({"settings": {"weights": weights}}))
    refuse(tiny_model, claimed, "other weights")
    allowed = open_backend("hf", str(tiny_model), options={"allow_other_base": True})
    assert allowed.identify(with_adapter(claimed))["adapter_weights"]["rank"] == 4


def test_a_backend_that_half_loaded_an_adapter_samples_nothing_more(tiny_model, adapter, tmp_path):
    from safetensors.torch import load_file, save_file

    half = change_config(adapter, tmp_path / "half")
    tensors = load_file(half / "adapter_model.safetensors")
    save_file(dict(list(tensors.items())[:4]), half / "adapter_model.safetensors")
    backend = open_backend("hf", str(tiny_model), options={})
    for treatment in (with_adapter(half), BASE):
        with pytest.raises(ConfigError, match="not whole"):
            answers(backend, ask(treatment))


def test_what_is_no_adapter_is_named(tiny_model, adapter, tmp_path):
    refuse(tiny_model, tmp_path / "nowhere", "no such folder")
    refuse(tiny_model, tmp_path, "no peft adapter")
    refuse(tiny_model, tiny_model, "whole model")
    refuse(tiny_model, "nobody/no-such-adapter", "the hub does not give it")
    bare = change_config(adapter, tmp_path / "bare")
    (bare / "adapter_model.safetensors").rename(bare / "adapter_model.bin")
    refuse(tiny_model, bare, "pickled weights are not read")
    torn = change_config(adapter, tmp_path / "torn")
    content = (torn / "adapter_model.safetensors").read_bytes()
    (torn / "adapter_model.safetensors").write_bytes(content[:200])
    refuse(tiny_model, torn, "no whole safetensors file")


def test_peft_is_needed_only_for_an_adapter(tiny_model, monkeypatch):
    from importlib.util import find_spec

    monkeypatch.setattr(
        "prefbench.backends.registry.find_spec", lambda name: None if name == "peft" else find_spec(name)
    )
    open_backend("hf", str(tiny_model), options={})
    with pytest.raises(MissingExtraError, match=r"prefbench\[hf\]"):
        open_backend("hf", str(tiny_model), options={}, needs=frozenset({"adapter"}))


def test_an_adapter_whose_configuration_is_of_another_one_is_named_with_the_tensor(tiny_model, tmp_path):
    adapter = make_adapter(tiny_model, tmp_path / "adapter")
    config = adapter / "adapter_config.json"
    config.write_bytes(orjson.dumps(orjson.loads(config.read_bytes()) | {"r": 99}))
    backend = open_backend("hf", str(tiny_model), options={})
    with pytest.raises(ConfigError, match=r"size mismatch for .*copy both again"):
        backend.identify(Treatment("c", adapter=str(adapter)))
