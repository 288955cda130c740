"""The hf backend draws what transformers would, whatever the batch, and reports how each answer ended."""

from __future__ import annotations

import shutil
import socket
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'prefbench[hf]'")
transformers = pytest.importorskip("transformers", reason="needs transformers: pip install 'prefbench[hf]'")

from prefbench.backends import Request, Sampling, Treatment, open_backend  # noqa: E402
from prefbench.backends.hf import decoding, drawing  # noqa: E402
from prefbench.backends.hf.prompts import encode_prompt, render_prompt, resolve_style  # noqa: E402
from prefbench.errors import BackendError, ConfigError, PrefbenchWarning  # noqa: E402
from prefbench.records import RecordKey  # noqa: E402

PROMPTS = [
    "Rain or sun?",
    "Which do you prefer, a quiet harbour or a loud one?",
    "Why?",
    "What would you paint?",
]


def request(number: int, *, n: int = 3, style: str = "completion", **sampling) -> Request:
    chosen = {"temperature": 1.0, "top_p": 0.95, "max_tokens": 24} | sampling
    return Request(
        key=RecordKey("aesthetic_preference", f"aes_{number:03}", chosen["temperature"]),
        prompt=PROMPTS[number % len(PROMPTS)],
        n=n,
        seed=1000 * number,
        sampling=Sampling(**chosen),
        treatment=Treatment("condition_1_base", style),
    )


def sample(model, requests, **options) -> dict[str, tuple]:
    backend = open_backend("hf", str(model), options=options)
    return {done.request.key.id: done.outputs or done.error for done in backend.generate(requests)}


@pytest.fixture(scope="module")
def requests() -> list[Request]:
    mixed = [request(number, n=1 + number % 4, max_tokens=10 + number) for number in range(9)]
    return [*mixed, request(9, temperature=0.3), request(10, temperature=0), request(11, top_p=0.5)]


def test_a_prompt_draws_the_same_answers_in_any_batch(tiny_model, requests):
    alone = sample(tiny_model, requests, batch_size=1)
    assert sample(tiny_model, requests, batch_size=5) == alone
    assert sample(tiny_model, requests[::-1], batch_size=len(requests)) == alone
    assert sample(tiny_model, requests[4:6], batch_size=2) == {
        key: alone[key] for key in ("aes_004", "aes_005")
    }


def test_dropping_finished_rows_early_or_never_changes_nothing(tiny_model, requests, monkeypatch):
    usual = sample(tiny_model, requests, batch_size=6)
    for share in (0.0, 1.0):
        monkeypatch.setattr(decoding, "COMPACT_BELOW", share)
        assert sample(tiny_model, requests, batch_size=6) == usual


def test_more_answers_begin_with_the_same_ones(tiny_model):
    few = sample(tiny_model, [request(1, n=2)])
    many = sample(tiny_model, [request(1, n=5)])
    assert many["aes_001"][:2] == few["aes_001"]
    assert len(set(many["aes_001"])) == 5


def test_temperature_zero_is_what_transformers_decodes_greedily(tiny_model, tiny_tokenizer):
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    asked = [request(number, n=2, temperature=0) for number in range(4)]
    answers = sample(tiny_model, asked, batch_size=4)
    for each in asked:
        ids = tiny_tokenizer(each.prompt, return_tensors="pt")
        with torch.inference_mode():
            whole = model.generate(**ids, do_sample=False, max_new_tokens=24)[0, ids["input_ids"].shape[1] :]
        expected = tiny_tokenizer.decode(whole, skip_special_tokens=True)
        assert [output.text for output in answers[each.key.id]] == [expected] * 2
        assert answers[each.key.id][0].tokens == len(whole)


def test_the_draw_follows_the_nucleus_that_transformers_defines():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(5, 700, generator=generator)
    temperatures, top_p = (
        torch.tensor([0.7, 1.0, 1.5, 1.5, 3.0]),
        torch.tensor([0.95, 0.9, 0.5, 1.0, 0.999]).double(),
    )
    grid = (torch.arange(20_000).double() + 0.5) / 20_000
    for row in range(5):
        warped = logits[row : row + 1] / temperatures[row]
        warped = transformers.TopPLogitsWarper(float(top_p[row]))(None, warped)
        expected = warped.softmax(-1)[0].numpy()
        size = len(grid)
        drawn = drawing.pick_tokens(
            logits[row].expand(size, -1), temperatures[row].expand(size), top_p[row].expand(size), grid
        )
        share = np.bincount(drawn.numpy(), minlength=700) / size
        np.testing.assert_allclose(share, expected, atol=2e-4)


def test_uniforms_depend_on_the_seed_alone_and_do_not_shift_with_length():
    short, long = drawing.draw_uniforms([3, 4], 5), drawing.draw_uniforms([4, 3], 50)
    np.testing.assert_array_equal(short, long[::-1, :5])
    many = drawing.draw_uniforms(range(200), 200)
    assert abs(many.mean() - 0.5) < 0.01
    assert abs(np.corrcoef(many[:-1].ravel(), many[1:].ravel())[0, 1]) < 0.02


def test_the_finish_reason_says_how_an_answer_ended(tiny_model):
    long = [request(number, n=20, max_tokens=120, temperature=2.0, top_p=1.0) for number in range(4)]
    outputs = [output for group in sample(tiny_model, long).values() for output in group]
    assert {output.finish_reason for output in outputs} == {"stop", "length"}
    for output in outputs:
        assert output.tokens <= 120
        assert output.tokens == 120 or output.finish_reason == "stop"
        assert "<|endoftext|>" not in output.text


def test_a_stop_string_ends_an_answer_and_is_not_part_of_it(tiny_model):
    free = sample(tiny_model, [request(1, n=8, max_tokens=60)])["aes_001"]
    stopped = sample(tiny_model, [request(1, n=8, max_tokens=60, stop=("re", "ä "))])["aes_001"]
    assert any("re" in output.text for output in free)
    for before, after in zip(free, stopped, strict=True):
        assert after.text == before.text.split("re")[0]
        assert (after.finish_reason == "stop") == ("re" in before.text or before.finish_reason == "stop")
        assert after.tokens <= before.tokens


def test_the_qa_style_stops_before_an_invented_question(tiny_model):
    backend = open_backend("hf", str(tiny_model), options={})
    (done,) = backend.generate([request(1, n=1, style="qa")])
    assert "\nQuestion:" not in done.outputs[0].text
    assert backend.identify(done.request.treatment)["prompt_style"] == "qa"


def test_answers_stay_within_the_context(tiny_model):
    (answer,) = sample(tiny_model, [request(1, n=1, max_tokens=5000, top_p=0.01)])["aes_001"]
    assert answer.tokens < 256
    too_long = replace(request(2), prompt="rain " * 400)
    results = sample(tiny_model, [too_long, request(3)], batch_size=2)
    assert "context is 256" in results["aes_002"]
    assert len(results["aes_003"]) == 3


def test_styles_put_a_prompt_as_they_say(tiny_tokenizer):
    plain = Treatment("c", system_prompt=None)
    directed = Treatment("c", system_prompt="Be plain.")
    assert render_prompt("Rain?", plain, "completion") == "Rain?"
    assert render_prompt("Rain?", directed, "qa") == "Be plain.\n\nQuestion: Rain?\nAnswer:"
    assert resolve_style("auto", "some/model", tiny_tokenizer) == "qa"
    with pytest.raises(ConfigError, match="no chat template"):
        resolve_style("chat", "some/model", tiny_tokenizer)


def test_the_chat_style_uses_the_template_with_thinking_pinned(tiny_tokenizer, tmp_path):
    tiny_tokenizer.save_pretrained(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% if not enable_thinking %}<think></think>{% endif %}{% endif %}"
    )
    assert resolve_style("auto", "some/Model-8B", tokenizer) == "chat"
    assert resolve_style("auto", "some/Model-8B-Base", tokenizer) == "qa"
    treatment = Treatment("c", system_prompt="Be plain.")
    for thinking, end in ((False, "<assistant><think></think>"), (True, "<assistant>")):
        ids = encode_prompt(tokenizer, "Rain?", treatment, style="chat", enable_thinking=thinking)
        assert tokenizer.decode(ids) == f"<system>Be plain.<user>Rain?{end}"


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        (
            "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}"
            "{% endif %}{{ m.content }}{% endfor %}",
            "System role not supported; leave the system prompt out, or use --prompt-style qa",
        ),
        ("{% for m in messages %}{{ m.content", "unexpected end of template.*use --prompt-style qa"),
    ],
)
def test_a_chat_template_that_refuses_a_condition_is_one_clear_error(
    tiny_model, tmp_path, template, complaint
):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    backend = open_backend("hf", str(folder), options={})
    with pytest.raises(ConfigError, match=complaint):
        backend.identify(Treatment("c", system_prompt="Be plain."))


@pytest.mark.parametrize("kept", [5, 5000])
def test_torn_weights_are_one_clear_error(tiny_model, tmp_path, kept):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ConfigError, match=r"weights is not whole .*copy or download it again"):
        open_backend("hf", str(folder), options={})


@pytest.mark.parametrize("name", ["no/such-model-here", "."])
def test_an_unknown_model_is_one_clear_error(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="cannot be loaded"):
        open_backend("hf", name, options={})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"batchsize": 4}, "did you mean 'batch_size'"),
        ({"batch_size": 0}, "1 or more"),
        ({"dtype": "float7"}, "unknown dtype"),
        ({"batch_size": "x"}, "batch_size .*takes a whole number, not 'x'"),
        ({"batch_size": 1.5}, "batch_size .*takes a whole number, not 1.5"),
        ({"batch_size": True}, "batch_size .*takes a whole number, not True"),
        ({"enable_thinking": "no"}, "enable_thinking .*takes true or false, not 'no'"),
        ({"allow_other_base": 5}, "allow_other_base .*takes true or false, not 5"),
        ({"revision": 1234567}, "revision .*takes text, not 1234567"),
        ({"device": "tpu:7"}, "device 'tpu:7' cannot be used .*choose auto, cpu"),
        ({"device": "cuda:99"}, "device 'cuda:99' cannot be used .*choose auto, cpu"),
    ],
)
def test_a_wrong_option_is_named(tiny_model, options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        open_backend("hf", str(tiny_model), options=options)


def test_an_unknown_backend_is_named():
    with pytest.raises(ConfigError, match="did you mean 'hf'"):
        open_backend("hff", "model", options={})


def test_a_model_whose_numbers_broke_is_refused(tiny_model):
    backend = open_backend("hf", str(tiny_model), options={})
    with torch.no_grad():
        backend._model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(BackendError, match="not numbers"):
        list(backend.generate([request(1)]))


def test_the_weights_have_a_fingerprint_that_changes_with_them(tiny_model, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(tiny_model, copy)
    treatment = Treatment("c")
    first = open_backend("hf", str(tiny_model), options={}).identify(treatment)["weights"]
    assert open_backend("hf", str(copy), options={}).identify(treatment)["weights"] == first
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    assert open_backend("hf", str(copy), options={}).identify(treatment)["weights"] != first


def short_of_memory(monkeypatch, largest: int) -> list[int]:
    """Let a batch of more answers than `largest` run out of memory; return the sizes that were tried."""
    real, tried = decoding.BlockDecoder.decode, []

    def decode(self, prompts, steering=None):
        tried.append(sum(prompt.request.n for prompt in prompts))
        if tried[-1] > largest:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, prompts, steering)

    monkeypatch.setattr(decoding.BlockDecoder, "decode", decode)
    return tried


def test_out_of_memory_halves_the_batch_once_says_so_and_goes_on(tiny_model, monkeypatch):
    asked = [request(number, n=2) for number in range(10)]
    whole = sample(tiny_model, asked, batch_size=4)
    tried = short_of_memory(monkeypatch, largest=4)
    with pytest.warns(
        PrefbenchWarning, match="out of memory with 8 answers at once: batches are halved"
    ) as told:
        assert sample(tiny_model, asked, batch_size=4) == whole
    assert tried == [8, 4, 4, 4, 4, 2, 2]
    assert len(told) == 1


@pytest.mark.filterwarnings("ignore:out of memory")
def test_out_of_memory_at_half_the_batch_is_an_error_that_names_the_way_out(tiny_model, monkeypatch):
    short_of_memory(monkeypatch, largest=3)
    with pytest.raises(BackendError, match="half a batch: use a batch_size below 2"):
        sample(tiny_model, [request(number, n=2) for number in range(10)], batch_size=4)


def test_a_hub_that_does_not_answer_is_found_out_at_once(monkeypatch):
    import huggingface_hub

    from prefbench.backends.hf.loading import hub_is_reachable

    monkeypatch.setattr("prefbench.backends.hf.loading.getproxies", dict)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{port}")
        assert hub_is_reachable()
    assert not hub_is_reachable()
    monkeypatch.setattr("prefbench.backends.hf.loading.getproxies", lambda: {"https": "http://proxy:3128"})
    assert hub_is_reachable()
