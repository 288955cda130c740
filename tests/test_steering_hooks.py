"""Steering shifts the hooked block by exactly what was asked for, at the tokens meant, and leaves no trace."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'prefbench[hf]'")
pytest.importorskip("transformers", reason="needs transformers: pip install 'prefbench[hf]'")

from steering_models import BLOCKS, FAMILIES, WIDTH, draw, everywhere, make_model, make_table  # noqa: E402

from prefbench.errors import BackendError  # noqa: E402
from prefbench.steering import Plan, steered  # noqa: E402
from prefbench.steering.sites import find_blocks  # noqa: E402


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope="module")
def model(family):
    return make_model(family)


def tokens(rows: int = 2, length: int = 9, seed: int = 0) -> torch.Tensor:
    return torch.randint(3, 100, (rows, length), generator=torch.Generator().manual_seed(seed))


def stream(model, ids, **inputs) -> list[torch.Tensor]:
    """Return the residual stream before each block and after the last: what the blocks hand on.

    The oracle: inputs of the blocks, seen by pre-hooks of the test's own.
    """
    seen, blocks = [], find_blocks(model)
    handles = [
        block.register_forward_pre_hook(
            lambda _, args, kwargs: seen.append((args[0] if args else kwargs["hidden_states"]).clone()),
            with_kwargs=True,
        )
        for block in blocks
    ]
    final = blocks[-1].register_forward_hook(
        lambda _, args, output: seen.append((output[0] if isinstance(output, tuple) else output).clone())
    )
    with torch.no_grad():
        model(input_ids=ids, **inputs)
    for handle in [*handles, final]:
        handle.remove()
    return seen


def test_the_hooked_block_shifts_by_exactly_the_vector_and_lower_ones_stay(model):
    ids = tokens()
    before = stream(model, ids)
    with steered(model, everywhere(2, factor=0.7)):
        after = stream(model, ids)
    for block in range(3):
        assert torch.equal(before[block], after[block])
    shift = after[3] - before[3]
    expected = torch.from_numpy(0.7 * draw()).expand_as(shift)
    torch.testing.assert_close(shift, expected, atol=2e-5, rtol=0)
    assert (after[4] - before[4] - expected).abs().max() > 1e-3, "the next block should react"


def test_the_vector_is_added_where_the_family_lets_it_pass_unchanged(model, family):
    with steered(model, everywhere(1)) as steering:
        assert steering.sites == {1: FAMILIES[family][2]}


def test_hooks_are_gone_after_the_block_and_after_an_exception(model):
    ids = tokens()
    before = stream(model, ids)
    with steered(model, everywhere(1)):
        pass
    with pytest.raises(RuntimeError, match="stop"), steered(model, everywhere(1)):
        raise RuntimeError("stop")
    with (
        pytest.raises(BackendError, match="no block 9"),
        steered(model, Plan({1: make_table(1, 1, 1), 9: make_table(1, 1, 1)})),
    ):
        pass
    for first, second in zip(before, stream(model, ids), strict=True):
        assert torch.equal(first, second)
    assert not any(module._forward_hooks for module in find_blocks(model)[1].modules())


def test_several_blocks_add_up_as_one_after_the_other(model):
    ids = tokens()
    both = Plan({0: make_table(1, 1, 1, seed=1), 2: make_table(1, 1, 1, seed=2)})
    with steered(model, both):
        together = stream(model, ids)
    with steered(model, both.only(0)), steered(model, both.only(2)):
        nested = stream(model, ids)
    for first, second in zip(together, nested, strict=True):
        torch.testing.assert_close(first, second)


@pytest.mark.parametrize(
    ("rule", "kinds"),
    [
        ((1, 1, 0), "prompt"),
        ((0, 1, 1), "response"),
        ((0, 0, 1), "decode"),
        ((0, 1, 0), "last"),
        ((1, 2, 3), "all"),
    ],
)
def test_only_the_tokens_meant_are_steered_under_left_padding(rule, kinds):
    model = make_model("qwen3")
    lengths, width = torch.tensor([3, 6]), 8
    ids = tokens(2, width)
    padding = torch.tensor([2, 0])  # the first row has two tokens of padding in front
    positions = torch.arange(width)[None] - padding[:, None]
    mask = (positions >= 0).long()
    inputs = {"attention_mask": mask, "position_ids": positions.clamp(min=0)}
    before = stream(model, ids, **inputs)
    with steered(model, Plan({1: make_table(*rule)})) as steering:
        steering.place(positions.clamp(min=0), lengths)
        after = stream(model, ids, **inputs)
    factor = torch.where(
        positions < lengths[:, None] - 1,
        float(rule[0]),
        torch.where(positions == lengths[:, None] - 1, float(rule[1]), float(rule[2])),
    )
    expected = factor[..., None] * torch.from_numpy(draw())
    real = mask.bool()
    torch.testing.assert_close((after[2] - before[2])[real], expected[real], atol=1e-5, rtol=0)


def test_tokens_that_nobody_placed_are_an_error_not_a_guess():
    model, ids = make_model("qwen3"), tokens()
    plan = Plan({1: make_table(0, 1, 1)})
    with steered(model, plan) as steering:
        with pytest.raises(BackendError, match=r"steering\.place"):
            model(input_ids=ids)
        steering.place(torch.arange(9).expand(2, 9), torch.tensor([3, 3]))
        model(input_ids=ids)
        with pytest.raises(BackendError, match="nobody said"):
            model(input_ids=ids)  # what was said of one pass does not hold for the next
        steering.place(torch.arange(4).expand(2, 4), torch.tensor([3, 3]))
        with pytest.raises(BackendError, match=r"\[2, 9\]"):
            model(input_ids=ids)


def test_a_hook_that_never_ran_is_an_error():
    model = make_model("qwen3")
    with steered(model, everywhere(1)) as steering:
        with pytest.raises(BackendError, match="did nothing at block 1"):
            steering.require_active()
        model(input_ids=tokens())
        steering.require_active()


def test_half_precision_delivers_a_small_dose_at_the_mlp_branch_and_loses_it_on_the_sum():
    """The reason for the site: .02 added to a residual stream of 50 is below bfloat16's resolution there."""
    model = make_model("qwen3").to(torch.bfloat16)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(50 * torch.randn(100, WIDTH, generator=generator))
    ids = torch.randint(3, 100, (64, 32), generator=generator)
    vector = 0.02 * draw() / draw().std()
    plan = Plan({0: np.tile(vector, (3, 1)).astype(np.float32)})

    def share(after) -> float:
        moved = (after[1].float() - before[1].float()).mean((0, 1)).numpy()
        return float(moved @ vector / (vector @ vector))

    before = stream(model, ids)
    with steered(model, plan):
        at_branch = share(stream(model, ids))
    add = find_blocks(model)[0].register_forward_hook(
        lambda _, __, output: output + torch.from_numpy(vector).to(torch.bfloat16)
    )
    at_sum = share(stream(model, ids))
    add.remove()
    assert at_branch == pytest.approx(1, abs=0.1)
    assert at_sum < 0.7


def test_an_adapter_and_a_vector_together_are_the_vector_on_the_adapted_model():
    peft = pytest.importorskip("peft", reason="needs peft")
    model, ids = make_model("llama"), tokens()
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    torch.manual_seed(1)
    adapted = peft.get_peft_model(model, config)
    before = stream(adapted, ids)
    with steered(adapted, everywhere(2)):
        after = stream(adapted, ids)
    torch.testing.assert_close(
        after[3] - before[3], torch.from_numpy(draw()).expand_as(before[3]), atol=1e-4, rtol=0
    )
    merged = adapted.merge_and_unload()
    with steered(merged, everywhere(2)):
        for first, second in zip(after, stream(merged, ids), strict=True):
            torch.testing.assert_close(first, second, atol=2e-3, rtol=1e-3)


def test_every_block_is_found_in_order(model):
    blocks = find_blocks(model)
    assert len(blocks) == BLOCKS
    assert [block.self_attn.layer_idx for block in blocks] == list(range(BLOCKS))
