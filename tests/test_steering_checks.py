"""The checks pass on a model that is steered as it should be, and fail on each way in which it is not."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'prefbench[hf]'")
pytest.importorskip("transformers", reason="needs transformers: pip install 'prefbench[hf]'")

from steering_models import FAMILIES, VOCABULARY, draw, everywhere, make_model, make_table  # noqa: E402

from prefbench.errors import BackendError  # noqa: E402
from prefbench.steering import Plan, checks, steered  # noqa: E402
from prefbench.steering.bench import ModelBench  # noqa: E402
from prefbench.steering.checks import check_dose, check_zero, prove_steering, read_plan  # noqa: E402
from prefbench.steering.coherence import CurvePoint, guard_coherence, repetition, trace_curve  # noqa: E402
from prefbench.steering.measuring import (  # noqa: E402
    Answer,
    Probe,
    Text,
    answer_log_likelihood,
    measure,
)
from prefbench.steering.sites import find_blocks  # noqa: E402

LENGTH = 12


def make_bench(model, prompts: int = 3) -> ModelBench:
    """Return a bench whose answers are sampled token by token without a cache: slow, and plain to see through."""
    rng = np.random.default_rng(0)
    ids = [rng.integers(3, VOCABULARY, 4 + index).tolist() for index in range(prompts)]

    def answer(plan: Plan | None) -> list[Answer]:
        return [
            Answer(index, tuple(draw_answer(model, plan, prompt, index)), True)
            for index, prompt in enumerate(ids)
        ]

    return ModelBench(model, ids, answer, answer(None))


def draw_answer(model, plan: Plan | None, prompt: list[int], seed: int) -> list[int]:
    generator, ids = torch.Generator().manual_seed(seed), list(prompt)
    for _ in range(LENGTH):
        tokens = torch.tensor([ids])
        if plan is None:
            logits = model(input_ids=tokens).logits
        else:
            with steered(model, plan) as steering:
                steering.place(torch.arange(len(ids))[None], torch.tensor([len(prompt)]))
                logits = model(input_ids=tokens).logits
        ids.append(int(torch.multinomial(logits[0, -1].detach().softmax(-1), 1, generator=generator)))
    return ids[len(prompt) :]


def texts() -> list[Text]:
    rng = np.random.default_rng(1)
    return [
        Text(rng.integers(3, VOCABULARY, length).tolist(), start)
        for length, start in ((9, 4), (14, 6), (7, 7))
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_check_passes_on_a_model_that_is_steered(family):
    plan = Plan({1: make_table(1, 1, 1, seed=1), 2: make_table(0, 0.5, 0.5, seed=2)})
    figures = prove_steering(make_bench(make_model(family)), plan)
    assert figures["zero"] == {"answers": 3, "equal": 3}
    assert figures["sites"] == dict.fromkeys(("1", "2"), FAMILIES[family][2])
    for dose in figures["dose"]:
        shares = [share for share in dose["share"].values() if share is not None]
        assert shares == pytest.approx([1.0] * len(shares), abs=1e-4)
        assert dose["leak"] == 0
    assert figures["dose"][1]["share"]["prompt"] is None
    assert list(figures["mirror"]["share"].values()) == pytest.approx([-1.0] * 5, abs=1e-4)
    assert figures["controls"]["wrong_layer"]["largest_shift_before"] == 0
    assert min(figures["controls"]["divergence"], *figures["controls"]["random_divergence"]) > 0


def test_a_site_that_changes_the_vector_fails_the_dose_test(monkeypatch):
    """Granite multiplies its branches: at the branch, half of the vector would arrive."""
    from prefbench.steering import hooks

    monkeypatch.setattr(hooks, "find_site", lambda model, block: hooks_site(block))
    plan = everywhere(1)
    readings = read_plan(make_bench(make_model("granite")), plan, texts())
    with pytest.raises(BackendError, match=r"block 1 moved by 0\.500 of what was added.*nothing was sampled"):
        check_dose(plan, readings)


def hooks_site(block):
    from prefbench.steering.sites import Site

    return Site(block.mlp, "mlp")


@pytest.mark.parametrize("family", ["gemma2", "gemma3", "olmo2"])
def test_the_branch_before_a_norm_fails_the_dose_test(monkeypatch, family):
    from prefbench.steering import hooks

    monkeypatch.setattr(hooks, "find_site", lambda model, block: hooks_site(block))
    plan = everywhere(1, factor=20)
    readings = read_plan(make_bench(make_model(family)), plan, texts())
    with pytest.raises(BackendError, match="steering check failed: block 1 moved by"):
        check_dose(plan, readings)


def test_a_hook_that_adds_nothing_fails_the_dose_test(monkeypatch):
    monkeypatch.setattr("prefbench.steering.hooks.Steering._kinds", lambda *_: 0)
    plan = Plan({1: make_table(0, 1, 1)})
    readings = read_plan(make_bench(make_model("qwen3")), plan, texts())
    with pytest.raises(BackendError, match=r"moved by 0\.000"):
        check_dose(plan, readings)


def test_steering_tokens_that_it_should_not_fails(monkeypatch):
    monkeypatch.setattr("prefbench.steering.hooks.Steering._kinds", lambda *_: 2)
    plan = Plan({1: make_table(0, 1, 1)})
    readings = read_plan(make_bench(make_model("qwen3")), plan, texts())
    with pytest.raises(BackendError, match="not steered moved by up to"):
        check_dose(plan, readings)


def test_the_wrong_block_fails(monkeypatch):
    from prefbench.steering import hooks

    real = hooks.find_blocks
    monkeypatch.setattr(hooks, "find_blocks", lambda model: [real(model)[0], *real(model)[:-1]])
    plan = everywhere(2)
    readings = read_plan(make_bench(make_model("qwen3")), plan, texts())
    with pytest.raises(BackendError, match="steering check failed"):
        check_dose(plan, readings)


def test_answers_that_change_at_coefficient_zero_fail():
    model = make_model("qwen3")
    bench = make_bench(model)
    leaky = ModelBench(model, bench.prompts, lambda plan: bench.answer(everywhere(1)), bench.unsteered)
    assert check_zero(bench, everywhere(1))["equal"] == 3
    with pytest.raises(BackendError, match=r"with coefficient zero \d of 3 answers differ"):
        check_zero(leaky, everywhere(1))


def test_a_mirror_that_does_not_mirror_fails(monkeypatch):
    monkeypatch.setattr(Plan, "scaled", lambda self, factor: self)
    plan = everywhere(1)
    readings = read_plan(make_bench(make_model("qwen3")), plan, texts())
    with pytest.raises(BackendError, match=r"negated, block 1 moved by 1\.000"):
        checks.check_mirror(plan, readings)


def test_coefficient_zero_has_nothing_to_prove_and_passes():
    figures = prove_steering(make_bench(make_model("llama")), everywhere(1, factor=0.0))
    assert set(figures["dose"][0]["share"].values()) == {None}
    assert figures["controls"]["divergence"] == 0


def test_shifts_are_means_over_the_tokens_of_each_sort():
    model, plan = make_model("qwen3"), Plan({1: make_table(1, 2, 3)})
    shift = measure(model, texts(), {"shift": Probe(plan, (1,))})["shift"].shifts[1]
    assert shift.tokens.tolist() == [3 + 5 + 6, 3, 5 + 8]
    np.testing.assert_allclose(shift.means, np.outer([1, 2, 3], draw()), atol=1e-5)
    assert shift.largest == pytest.approx(3 * np.linalg.norm(draw()), rel=1e-5)


def test_the_divergence_is_the_mean_of_the_texts_kl():
    model, plan = make_model("llama"), everywhere(1)
    expected, count = 0.0, 0
    for text in texts():
        ids = torch.tensor([text.ids])
        with torch.no_grad():
            plain = model(input_ids=ids).logits.log_softmax(-1)
            with steered(model, plan):
                moved = model(input_ids=ids).logits.log_softmax(-1)
        expected += float(torch.nn.functional.kl_div(plain, moved, log_target=True, reduction="sum"))
        count += len(text.ids)
    found = measure(model, texts(), {1: Probe(plan, divergence=True)})[1]
    assert found.divergence == pytest.approx(expected / count, rel=1e-4)


def test_what_is_measured_does_not_depend_on_how_texts_share_a_pass(monkeypatch):
    model, plan = make_model("qwen3"), Plan({1: make_table(1, 2, 3)})
    probes = {"all": Probe(plan, (0, 1, 2), divergence=True), "mirror": Probe(plan.scaled(-1.0), (1,))}
    together = measure(model, texts(), probes)
    monkeypatch.setattr("prefbench.steering.measuring.CHUNK_VALUES", 1)
    alone = measure(model, texts(), probes)
    assert together["all"].divergence == pytest.approx(alone["all"].divergence, rel=1e-5)
    assert together["mirror"].divergence is None
    assert together["mirror"].shifts.keys() == {1}
    for layer, shift in together["all"].shifts.items():
        np.testing.assert_allclose(shift.means, alone["all"].shifts[layer].means, atol=1e-5)
        assert shift.counts() == alone["all"].shifts[layer].counts()


def test_probes_share_the_unsteered_pass_and_that_of_an_equal_plan():
    model, plan = make_model("qwen3"), everywhere(1)
    passes = []
    handle = model.register_forward_hook(lambda *_: passes.append(1))
    measure(
        model,
        texts(),
        {
            "shift": Probe(plan, (1,)),
            "divergence": Probe(plan.only(1), divergence=True),
            "mirror": Probe(plan.scaled(-1.0), (1,)),
        },
    )
    handle.remove()
    assert len(passes) == 3


def test_states_that_are_no_numbers_fail_the_dose_test():
    model, plan = make_model("qwen3"), everywhere(1)
    with torch.no_grad():
        find_blocks(model)[1].mlp.down_proj.weight.fill_(float("nan"))
    readings = read_plan(ModelBench(model, [], lambda _plan: [], []), plan, texts())
    with pytest.raises(BackendError, match="steering check failed: block 1 moved by nan"):
        check_dose(plan, readings)


def test_the_likelihood_of_answers_is_that_of_transformers():
    model = make_model("llama")
    total, count = answer_log_likelihood(model, texts())
    expected = 0.0
    for text in texts()[:2]:  # the third has no answer
        ids = torch.tensor([text.ids])
        labels = ids.clone()
        labels[:, : text.prompt_length] = -100
        with torch.no_grad():
            expected -= float(model(input_ids=ids, labels=labels).loss) * (len(text.ids) - text.prompt_length)
    assert count == 5 + 8
    assert total == pytest.approx(expected, rel=1e-5)


# The dose curve


def test_the_curve_rises_with_the_dose_and_the_guard_warns_with_it():
    model = make_model("qwen3")
    with torch.no_grad():
        model.lm_head.weight.mul_(4)  # a model that is sure of itself, and so can be put off
    points = trace_curve(make_bench(model), everywhere(1, factor=30.0))
    assert [point.factor for point in points] == [0.0, 0.5, 1.0, 1.5]
    assert points[2].perplexity > 3 * points[0].perplexity
    warning = guard_coherence(points)
    assert warning.startswith("at this dose answers lose coherence: perplexity")
    assert f"1.5: {points[3].perplexity:.1f}" in warning
    assert guard_coherence(trace_curve(make_bench(model), everywhere(1, factor=1e-4))) is None


def point(factor: float, perplexity=5.0, repetition=0.0, truncated=0.1) -> CurvePoint:
    return CurvePoint(factor, 8, perplexity, repetition, truncated)


@pytest.mark.parametrize(
    ("full", "named"),
    [
        ({}, None),
        ({"perplexity": 15.1}, "perplexity 15.1 against 5.0"),
        ({"perplexity": None}, "no answer has a token"),
        ({"repetition": 0.3}, "repetition 30% against 0%"),
        ({"truncated": 0.4}, "truncated 40% against 10%"),
    ],
)
def test_the_guard_names_what_has_gone(full, named):
    warning = guard_coherence([point(0.0), point(1.0, **full)])
    assert (warning is None) if named is None else (named in warning)


def test_repetition_is_the_share_of_four_grams_seen_before():
    assert repetition([1, 2, 3, 4, 5, 6]) == 0
    assert repetition([1, 2] * 5) == pytest.approx(5 / 7)
    assert repetition([1, 2, 3, 4]) is None


def test_the_last_block_can_be_steered_and_checked():
    model = make_model("llama")
    last = len(find_blocks(model)) - 1
    figures = prove_steering(make_bench(model), everywhere(last))
    assert figures["controls"]["wrong_layer"]["layer"] == last - 1
