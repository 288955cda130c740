"""The 2x2: adapter and vectors together are each of them applied, and four cells of one load are four loads."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'prefbench[hf]'")
peft = pytest.importorskip("peft", reason="needs peft: pip install 'prefbench[hf]'")

import orjson  # noqa: E402
from adapters import make_adapter  # noqa: E402
from steering_models import make_vector  # noqa: E402
from studies import make_items  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from prefbench.backends import Request, Sampling, Treatment, Vector, open_backend  # noqa: E402
from prefbench.bank import write_bank  # noqa: E402
from prefbench.records import RecordKey  # noqa: E402
from prefbench.sample import sample_prompts  # noqa: E402
from prefbench.steering import save_vector  # noqa: E402
from prefbench.store import read_json  # noqa: E402

PROMPTS = ("Rain or sun?", "What would you paint?", "Which do you prefer, a quiet harbour or a loud one?")
CELLS = ("condition_1_base", "condition_2_dpo", "condition_3_base_vectors", "condition_4_dpo_vectors")


@pytest.fixture(scope="module")
def adapter(tiny_model, tmp_path_factory) -> Path:
    return make_adapter(tiny_model, tmp_path_factory.mktemp("adapters") / "adapter")


@pytest.fixture(scope="module")
def vector(tiny_model, tmp_path_factory):
    weights = open_backend("hf", str(tiny_model), options={}).weights
    made = make_vector(
        [0, 1], width=64, blocks=2, weights=weights, hidden_norms={0: 8.0, 1: 9.0}, recommended_layer=0
    )
    path = tmp_path_factory.mktemp("vectors") / "warmth.safetensors"
    save_vector(made, path)
    return path, made


def cells(adapter: Path, vector: Path) -> list[Treatment]:
    steer = (Vector(str(vector), coefficient=2.0),)
    return [
        Treatment(name, "completion", adapter=str(adapter) if "dpo" in name else None, vectors=added)
        for name, added in zip(CELLS, ((), (), steer, steer), strict=True)
    ]


def ask(treatment: Treatment, temperature: float = 1.0) -> list[Request]:
    sampling = Sampling(temperature, 0.95, 16)
    return [
        Request(RecordKey("d", f"{number}", temperature), prompt, 2, 1000 * number, sampling, treatment)
        for number, prompt in enumerate(PROMPTS)
    ]


def test_four_cells_of_one_load_equal_four_loads_and_differ(tiny_model, adapter, vector):
    treatments = cells(adapter, vector[0])
    shared = open_backend("hf", str(tiny_model), options={})
    requests = [request for each in (*treatments[::-1], *treatments) for request in ask(each)]
    together = [done.outputs for done in shared.generate(requests)]
    apart = [
        done.outputs
        for each in treatments
        for done in open_backend("hf", str(tiny_model), options={}).generate(ask(each))
    ]
    assert together[len(apart) :] == apart
    count = len(PROMPTS)
    assert len({str(apart[start : start + count]) for start in range(0, len(apart), count)}) == len(CELLS)


def test_adapter_and_vector_together_are_peft_and_a_plain_hook(tiny_model, tiny_tokenizer, adapter, vector):
    path, made = vector
    oracle = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), adapter).eval()
    added = 2.0 * torch.as_tensor(made.vectors[0])
    block = oracle.get_base_model().model.layers[0]
    block.mlp.register_forward_hook(lambda _module, _inputs, output: output + added)
    backend = open_backend("hf", str(tiny_model), options={})
    found = list(backend.generate(ask(cells(adapter, path)[3], temperature=0)))
    for prompt, done in zip(PROMPTS, found, strict=True):
        ids = tiny_tokenizer(prompt, return_tensors="pt")
        with torch.inference_mode():
            whole = oracle.generate(**ids, do_sample=False, max_new_tokens=16)[0, ids["input_ids"].shape[1] :]
        assert done.outputs[0].text == tiny_tokenizer.decode(whole, skip_special_tokens=True)


def test_the_factorial_study_file_is_sampled_with_its_proofs(tiny_model, adapter, vector, tmp_path):
    from prefbench.study_template import factorial_conditions, write_study_file

    folder = tmp_path / "study"
    made = factorial_conditions(folder, model=str(tiny_model), adapter=str(adapter), vectors=[str(vector[0])])
    write_study_file(folder, model=str(tiny_model), conditions=made)
    write_bank(tmp_path / "bank.jsonl", make_items(2))
    report = sample_prompts(
        folder, prompts=tmp_path / "bank.jsonl", temps=[1.0], n_samples=2, max_tokens=8, backend="hf"
    )
    assert [(each.condition, each.written) for each in report.conditions] == [(name, 4) for name in CELLS]
    manifests = {name: read_json(folder / name / "manifest.json") for name in CELLS}
    for name, manifest in manifests.items():
        settings, (run,) = manifest["settings"], manifest["runs"]
        assert (settings["adapter_weights"] is not None) == ("dpo" in name)
        assert ("steering" in settings) == ("steering_checks" in run) == ("vectors" in name)
    three, four = (manifests[name] for name in CELLS[2:])
    assert three["settings"]["steering"] == four["settings"]["steering"]
    # the proof of the fourth cell is made on the adapted model: its figures are not those of the third
    assert orjson.dumps(three["runs"][0]["steering_checks"]) != orjson.dumps(
        four["runs"][0]["steering_checks"]
    )
