"""What vLLM cannot do is one line that names it and the cure; its own words go to a log, never to stdout."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from vllm_engines import SMALL, VLLM_MARKS, answers, opened, request

from prefbench.backends import Treatment, open_backend
from prefbench.backends.vllm.logs import engine_log
from prefbench.demo_model import demo_model_path
from prefbench.errors import BackendError, ConfigError, PrefbenchError

pytestmark = VLLM_MARKS
MODEL = demo_model_path()
PLAIN = Treatment("condition_1_base", "qa")


@pytest.fixture(autouse=True)
def no_share_from_outside(monkeypatch):
    """vLLM takes this variable before any argument, and other tests set it."""
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)


def start(model: Path = MODEL, treatment: Treatment = PLAIN, **options) -> None:
    with opened(model, options, [treatment]) as backend:
        backend.describe()


def copy_model(target: Path, *without: str) -> Path:
    shutil.copytree(MODEL, target)
    for pattern in without:
        for path in target.glob(pattern):
            path.unlink()
    return target


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max_num_seq": 3}, "no engine argument 'max_num_seq': did you mean max_num_seqs"),
        ({"tensor_paralel_size": 2}, "did you mean tensor_parallel_size"),
        ({"zzzzzzzz": 3}, "no engine argument 'zzzzzzzz'"),
        ({"model": "other"}, "it has a place of its own"),
        ({"tokenizer": "other"}, "tokenizer is not yours to set: the model's own is used"),
        ({"seed": 3}, "seed is not yours to set: .* --seed"),
        ({"max_num_seqs": "three"}, "max_num_seqs takes a number, not 'three'"),
        ({"data_parallel_size": "two"}, "data_parallel_size takes a number, not 'two'"),
        ({"max_lora_rank": "ten"}, "max_lora_rank takes a number, not 'ten'"),
        ({"enforce_eager": "perhaps"}, "enforce_eager takes true or false, not 'perhaps'"),
    ],
)
def test_an_argument_that_vllm_lacks_or_cannot_read_is_refused_before_anything_is_loaded(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        open_backend("vllm", "no/such-model", options=options)


@pytest.mark.parametrize(
    ("options", "kind", "complaint"),
    [
        (
            {"max_model_len": 4096},
            ConfigError,
            "longer than the model's context .*4096.*shorter --engine max_model_len",
        ),
        ({"max_model_len": -5}, ConfigError, "max_model_len: Input should be greater"),
        ({"dtype": "float7"}, ConfigError, "dtype.*should be 'auto'"),
        ({"quantization": "awq"}, ConfigError, "config file for awq"),
        ({"quantization": "nonsense"}, ConfigError, "Unknown quantization method: nonsense"),
        ({"tensor_parallel_size": 3}, ConfigError, "cannot be spread over so many devices .*divides"),
        ({"gpu_memory_utilization": 7}, ConfigError, "gpu_memory_utilization: Input should be less"),
        ({"structured_outputs_config": {"bakend": "x"}}, ConfigError, "bakend: Unexpected keyword"),
        ({"kv_cache_memory_bytes": 2**44}, BackendError, "not enough free memory for its cache .*smaller"),
        ({"kv_cache_memory_bytes": 1000}, BackendError, "no memory is left for its cache"),
    ],
)
def test_a_value_that_this_model_or_machine_cannot_have_is_one_line_with_a_log(
    options, kind, complaint, capfd
):
    with pytest.raises(kind, match=complaint) as caught:
        start(**options)
    message = str(caught.value)
    assert "\n" not in message
    log = Path(message.rpartition("its log: ")[2])
    assert log == engine_log().path
    assert log.stat().st_size > 0
    assert capfd.readouterr().out == ""


def test_after_a_fault_the_next_engine_starts(capfd):
    with pytest.raises(BackendError):
        start(kv_cache_memory_bytes=2**44)
    with opened(MODEL, SMALL) as backend:
        assert len(answers(backend, [request(1), request(2)])) == 2
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("without", "complaint"),
    [
        ("*.safetensors", "has no weights .*copy them into the folder"),
        ("tokenizer*", "has no tokenizer: copy its tokenizer files"),
        ("config.json", "cannot be loaded"),
    ],
)
def test_a_folder_that_is_no_whole_model_is_named(tmp_path, without, complaint):
    with pytest.raises(ConfigError, match=complaint) as caught:
        start(copy_model(tmp_path / "model", without))
    assert str(tmp_path / "model") in str(caught.value)


@pytest.mark.parametrize("kept", [5, 5000])
def test_torn_weights_are_named(tmp_path, kept):
    model = copy_model(tmp_path / "model")
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ConfigError, match=r"a file of its weights is not whole .*copy or download it again"):
        start(model)


def test_an_architecture_that_vllm_lacks_leads_to_hf(tmp_path):
    model = copy_model(tmp_path / "model")
    path = model / "config.json"
    path.write_text(path.read_text().replace("Qwen3ForCausalLM", "NoSuchForCausalLM"))
    with pytest.raises(ConfigError, match=r"no class for this architecture .*use --backend hf"):
        start(model)


def test_chat_style_without_a_template_is_refused():
    with pytest.raises(ConfigError, match="no chat template: use --prompt-style qa or completion"):
        start(treatment=Treatment("condition_1_base", "chat"))


def test_a_death_while_sampling_is_one_line_and_a_new_call_goes_on(monkeypatch):
    with opened(MODEL, SMALL) as backend:
        expected = answers(backend, [request(1)])
        core = backend._engine._engine

        def die():
            raise RuntimeError(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes\nmore"
            )

        monkeypatch.setattr(core, "step", die)
        with pytest.raises(
            PrefbenchError, match=r"ran out of memory .*smaller --engine max_num_seqs"
        ) as caught:
            answers(backend, [request(1), request(2)])
        assert "\n" not in str(caught.value)
        monkeypatch.undo()
        assert answers(backend, [request(1)]) == expected
