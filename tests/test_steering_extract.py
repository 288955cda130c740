"""Extraction finds a direction that was planted, says how sure it is, and the shipped traits are well made."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'prefbench[hf]'")
pytest.importorskip("transformers", reason="needs transformers: pip install 'prefbench[hf]'")

from steering_models import BLOCKS, FAMILIES, WIDTH, draw, make_model  # noqa: E402

from prefbench.backends import Completion, Output, open_backend  # noqa: E402
from prefbench.errors import ConfigError, DataError  # noqa: E402
from prefbench.progress import Silent  # noqa: E402
from prefbench.rollouts import Recipe, Rollout, RolloutPair, Scores, filter_pairs, pair_up  # noqa: E402
from prefbench.steering import load_vector  # noqa: E402
from prefbench.steering.activations import ReadFrom, read_activations  # noqa: E402
from prefbench.steering.directions import (  # noqa: E402
    Contrast,
    Quality,
    choose_layer,
    estimate_direction,
    estimate_directions,
    explain_weak,
    mean_cosine,
)
from prefbench.steering.sites import find_blocks  # noqa: E402
from prefbench.steering.traits import TraitDefinition, load_trait, shipped_traits  # noqa: E402
from prefbench.trait_scoring import ModelFilter, read_score  # noqa: E402
from prefbench.trait_vectors import Extraction, extract_from_backend, extract_vector  # noqa: E402

MARKER = "GOOD"


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def planted(method: str, *, pairs: int = 60, width: int = 64, size: float = 3.0, seed: int = 0):
    """Return both sides of pairs that differ by a direction, whose size varies, and noise."""
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal(width)
    direction /= np.linalg.norm(direction)
    question = 5 * rng.standard_normal((pairs, width))
    sizes = size * (1 + 0.3 * rng.standard_normal((pairs, 1)))
    noise = 0.2 * rng.standard_normal((2, pairs, width))
    return direction, question + sizes / 2 * direction + noise[0], question - sizes / 2 * direction + noise[1]


# The estimators


@pytest.mark.parametrize("method", ["mean_difference", "last_token", "pca"])
@pytest.mark.parametrize("seed", range(3))
def test_a_planted_direction_is_recovered(method, seed):
    direction, positive, negative = planted(method, seed=seed)
    found = estimate_direction(positive, negative, method)
    assert cosine(found, direction) > 0.99
    assert np.linalg.norm(found) == pytest.approx(1.0 if method == "pca" else 3.0, rel=0.15)


def test_the_pca_does_not_lose_the_mean_as_a_centred_one_does():
    """With a difference of constant size, everything that a centred PCA could find has been subtracted."""
    from sklearn.decomposition import PCA

    direction, positive, negative = planted("pca", pairs=200, size=3.0)
    constant = positive - (positive @ direction)[:, None] * direction + 1.5 * direction
    opposite = negative - (negative @ direction)[:, None] * direction - 1.5 * direction
    centred = PCA(1).fit(constant - opposite).components_[0]
    assert abs(cosine(centred, direction)) < 0.1
    assert cosine(estimate_direction(constant, opposite, "pca"), direction) > 0.99


def test_the_pca_is_the_leading_singular_vector_on_the_side_of_the_positives():
    _, positive, negative = planted("pca", pairs=20)
    for first, second, sign in ((positive, negative, 1), (negative, positive, -1)):
        leading = np.linalg.svd(positive - negative)[2][0]
        found = estimate_direction(first, second, "pca")
        assert abs(cosine(found, leading)) == pytest.approx(1, abs=1e-5)
        assert np.sign((positive - negative).mean(0) @ found) == sign


def test_the_mean_cosine_is_that_of_all_pairs_of_rows():
    rows = np.random.default_rng(0).standard_normal((7, 5))
    expected = np.mean([cosine(rows[i], rows[j]) for i in range(7) for j in range(7) if i != j])
    assert mean_cosine(rows) == pytest.approx(expected)
    assert mean_cosine(rows[:1]) is None
    assert mean_cosine(np.tile(rows[:1], (4, 1))) == pytest.approx(1)


def contrast_of(positive: np.ndarray, negative: np.ndarray, questions: int = 10) -> Contrast:
    groups = [f"question {index % questions}" for index in range(len(positive))]
    return Contrast(positive[:, None], negative[:, None], groups, np.array([9.0]))


def test_separation_is_held_out_so_noise_does_not_look_like_a_trait():
    """In 64 dimensions 60 pairs of noise are separated perfectly by their own mean, and not by that of others."""
    rng = np.random.default_rng(0)
    noise = contrast_of(*rng.standard_normal((2, 60, 64)))
    _, (quality,) = estimate_directions(noise, "mean_difference")
    assert abs(quality.separation) < 1
    assert 0.3 < quality.accuracy < 0.7
    assert "may mean little" in explain_weak(quality)
    _, positive, negative = planted("mean_difference")
    _, (quality,) = estimate_directions(contrast_of(positive, negative), "mean_difference")
    assert quality.accuracy == 1
    assert quality.hidden_norm == 9
    assert explain_weak(quality) is None


def test_too_few_pairs_are_an_error():
    with pytest.raises(ConfigError, match="1 contrastive pairs are left"):
        estimate_directions(contrast_of(*np.ones((2, 1, 8))), "mean_difference")


def qualities(*values: tuple[float | None, float]) -> list[Quality]:
    return [Quality(1.0, 10.0, cosine, separation, 1.0) for separation, cosine in values]


def test_the_layer_is_the_best_separated_of_the_middle_and_the_reason_says_so():
    scores = [
        (9, 0.9),
        (8, 0.9),
        (1, 0.1),
        (2, 0.2),
        (5, 0.3),
        (4.9, 0.8),
        (3, 0.3),
        (2, 0.3),
        (9, 0.9),
        (9, 0.9),
    ]
    layer, reason = choose_layer(qualities(*scores))
    assert layer == 5
    assert "4.90, within 5 % of the largest, 5.00, and more agreement of blocks 2-7" in reason
    assert choose_layer(qualities((1, 0.1), (3, 0.2), (2, 0.3), (9, 0.9)))[0] == 1
    assert choose_layer(qualities((-3, 0.1), (-1, 0.2), (-2, 0.3)))[0] == 1
    assert choose_layer(qualities((None, 0.1), (None, 0.4), (None, 0.9)))[0] == 1
    assert choose_layer(qualities((1, 0.5)))[0] == 0


# Reading hidden states


@pytest.mark.parametrize("family", FAMILIES)
def test_hidden_states_are_those_that_each_block_hands_on(family):
    """The oracle: each sequence alone, and what the next block is given (its input), averaged by hand."""
    model = make_model(family)
    rng = np.random.default_rng(0)
    reads = [
        ReadFrom(rng.integers(3, 100, length).tolist(), start)
        for length, start in ((9, 4), (5, 4), (12, 1), (3, 0))
    ]
    found = read_activations(model, reads, batch_size=3)
    assert found.means.shape == (4, BLOCKS, WIDTH)
    for row, each in enumerate(reads):
        for block, hidden in enumerate(block_inputs(model, each)):
            np.testing.assert_allclose(found.means[row, block], hidden.mean(0), atol=2e-4, rtol=1e-3)
            assert found.norms[row, block] == pytest.approx(float(hidden.norm(dim=-1).mean()), rel=1e-4)


def block_inputs(model, each: ReadFrom) -> list[torch.Tensor]:
    """Return what the second block and those after it are given, at the tokens that are read."""
    seen: list[torch.Tensor] = []
    handles = [
        block.register_forward_pre_hook(lambda _, args: seen.append(args[0][0, each.start :]))
        for block in find_blocks(model)[1:]
    ]
    with torch.no_grad():
        model(input_ids=torch.tensor([each.ids]))
    for handle in handles:
        handle.remove()
    return seen


# The whole way


@pytest.fixture
def definition():
    return TraitDefinition(
        trait="goodness",
        description="For tests.",
        pairs=[
            {"positive": f"You are {MARKER}.", "negative": "You are so."},
            {"positive": f"Be {MARKER}!", "negative": "Be so!"},
        ],
        extraction_questions=[
            f"What is {word}?" for word in ("rain", "calm", "dusk", "paint", "charm", "quiet")
        ],
        evaluation_questions=["What is harbour?"],
    )


def plant(backend, direction: np.ndarray, layer: int):
    """Make the model move along a direction at one block wherever the marker stands in the sequence."""
    ids = backend.tokenizer(MARKER)["input_ids"]
    marked = {}

    def note(_, args, kwargs):
        tokens = kwargs["input_ids"]
        windows = tokens.unfold(1, len(ids), 1) if tokens.shape[1] >= len(ids) else tokens[:, :0, None]
        marked["rows"] = (windows == torch.tensor(ids)).all(-1).any(-1)

    def move(_, args, output):
        return output + marked["rows"][:, None, None] * torch.from_numpy(direction)

    return [
        backend.model.register_forward_pre_hook(note, with_kwargs=True),
        find_blocks(backend.model)[layer].mlp.register_forward_hook(move),
    ]


@pytest.mark.parametrize("method", ["mean_difference", "pca", "last_token"])
def test_a_direction_planted_in_a_model_is_extracted_from_it(tiny_model, definition, method):
    backend = open_backend("hf", str(tiny_model), options={})
    direction = 40 * draw(3, 64)
    handles = plant(backend, direction, layer=1)
    how = Extraction(method=method, recipe=Recipe(answers=2, max_tokens=10))
    vector, rollouts = extract_from_backend(backend, definition, how, model="tiny", progress=Silent())
    for handle in handles:
        handle.remove()
    assert cosine(vector.vectors[1], direction) > 0.99
    assert vector.diagnostics[1]["accuracy"] == 1
    expected = 2 * 6 * (1 if method == "last_token" else 2)
    assert vector.pairs == vector.origin["pairs"]["kept"] <= expected
    assert len(rollouts) == 2 * expected
    assert vector.weights == backend.weights
    assert (vector.blocks, vector.layers, vector.model) == (2, [0, 1], "tiny")


def test_an_extraction_is_repeatable_and_its_file_says_how_it_was_made(tiny_model, definition, tmp_path):
    files = [tmp_path / name for name in ("a.safetensors", "b.safetensors", "c.safetensors")]
    for path, seed in zip(files, (0, 0, 1), strict=True):
        recipe = Recipe(max_tokens=6, seed=seed, questions=3)
        extract_vector(definition, model=str(tiny_model), out=path, recipe=recipe, layer=1)
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()
    vector = load_vector(files[0])
    assert (vector.recommended_layer, vector.reason) == (1, "asked for")
    assert vector.origin["recipe"]["max_tokens"] == 6
    assert vector.origin["definition"]["pairs"][0]["positive"] == f"You are {MARKER}."


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"trait": "warmht"}, "did you mean 'warmth'"),
        ({"method": "pac"}, "did you mean 'pca'"),
        ({"layer": 7}, "2 blocks"),
        ({"model": "no/such-model"}, "cannot be loaded"),
    ],
)
def test_what_cannot_be_extracted_is_named(tiny_model, arguments, complaint):
    given = {
        "trait": "warmth",
        "model": str(tiny_model),
        "recipe": Recipe(max_tokens=2, questions=2),
    } | arguments
    with pytest.raises(ConfigError, match=complaint):
        extract_vector(**given)


@pytest.mark.parametrize(
    ("out", "layer", "kind", "complaint"),
    [
        ("warmth.gguf", None, ConfigError, "written as .safetensors; name it warmth.safetensors"),
        ("file/warmth.safetensors", None, DataError, "cannot be written"),
        (".", None, ConfigError, "written as .safetensors"),
        ("warmth.safetensors", 99, ConfigError, "layer 99: the model has"),
    ],
)
def test_what_could_not_be_written_is_found_out_before_anything_is_sampled(
    tiny_model, definition, tmp_path, monkeypatch, out, layer, kind, complaint
):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("prefbench.trait_vectors.sample_rollouts", lambda *_, **__: pytest.fail("sampled"))
    with pytest.raises(kind, match=complaint):
        extract_vector(definition, model=str(tiny_model), out=tmp_path / out, layer=layer)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("temperature", [-1.0, float("nan"), float("inf")])
def test_a_recipe_of_no_temperature_is_refused(temperature):
    with pytest.raises(ConfigError, match="must be a finite number, 0 or more"):
        Recipe(temperature=temperature)


# Pairing and filtering


def rollout(side: str, question: str, ids=(1, 2), sample: int = 0) -> Rollout:
    return Rollout(side, 0, question, sample, "Be.", (5, 6), ids, "text")


def test_rollouts_pair_by_question_and_sample_and_empty_answers_are_counted():
    sides = [
        rollout(side, question, sample=sample)
        for side in ("positive", "negative")
        for question in "ab"
        for sample in (0, 1)
    ]
    sides.append(rollout("positive", "c"))
    sides += [rollout("positive", "d", ids=()), rollout("negative", "d")]
    pairs, counts = pair_up(sides, need_answer=True)
    assert counts == {"sampled": 5, "left_out_empty_answer": 1}
    assert all(pair.positive.question == pair.negative.question for pair in pairs)
    assert len(pair_up(sides, need_answer=False)[0]) == 5


def test_a_filter_keeps_pairs_that_show_the_contrast_and_counts_why_others_do_not(definition):
    pairs = [
        RolloutPair(rollout("positive", str(index)), rollout("negative", str(index))) for index in range(6)
    ]
    table = [(80, 20, 90), (40, 20, 90), (80, 60, 90), (80, 20, 10), (None, 20, 90), (50, 49, 50)]

    def score(sides, of):
        assert of is definition
        return [
            Scores(table[int(each.question)][each.side == "negative"], table[int(each.question)][2])
            for each in sides
        ]

    kept, counts = filter_pairs(pairs, {}, score, definition=definition)
    assert [pair.positive.question for pair in kept] == ["0", "5"]
    assert counts == {"left_out_not_scored": 1, "left_out_incoherent": 1, "left_out_off_trait": 2, "kept": 2}
    with pytest.raises(ConfigError, match="1 scores for 12 rollouts"):
        filter_pairs(pairs, {}, lambda *_: [Scores(1, 1)], definition=definition)


class Scorer:
    """A backend that answers by rule: what a scoring model would, with its bad habits, in any order."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def generate(self, requests):
        for each in reversed(list(requests)):
            self.asked.append(each.prompt)
            assert each.sampling.temperature == 0
            replies = {"kind": "I would say 90.", "cool": "10", "odd": "between 20 and 30", "gone": None}
            reply = replies[each.prompt.split("Answer: ")[1].split()[0]] if "trait" in each.key.id else "100"
            outputs = () if reply is None else (Output(reply, "stop", 3),)
            yield Completion(each, outputs, error=None if outputs else "refused")


def test_a_model_scores_rollouts_and_what_it_does_not_say_stays_missing():
    sides = [
        replace(rollout("positive", "Q?"), text=f"{text} words") for text in ("kind", "cool", "odd", "gone")
    ]
    scorer = Scorer()
    scores = ModelFilter(scorer)(sides, load_trait("warmth"))
    assert scores == [(90, 100), (10, 100), (None, 100), (None, 100)]
    assert any(load_trait("warmth").description in text for text in scorer.asked)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("0", 0),
        ("100", 100),
        (" 73\n", 73),
        ("101", None),
        ("3.5", None),
        ("", None),
        ("REFUSAL", None),
        ("80/100", None),
        ("1000", None),
        ("7, yes 7", 7),
    ],
)
def test_a_score_is_one_number_from_0_to_100(text, score):
    assert read_score(text) == score


# The shipped definitions


@pytest.mark.parametrize("name", ["assertiveness", "curiosity", "openness", "playfulness", "warmth"])
def test_a_shipped_trait_has_five_pairs_and_forty_questions_in_two_halves(name):
    definition = load_trait(name)
    assert definition.trait == name
    assert (
        len(definition.pairs),
        len(definition.extraction_questions),
        len(definition.evaluation_questions),
    ) == (5, 20, 20)
    instructions = [text for pair in definition.pairs for text in (pair.positive, pair.negative)]
    assert len(set(instructions)) == 10
    for pair in definition.pairs:  # length must not be what tells the sides apart
        assert 0.6 < len(pair.positive.split()) / len(pair.negative.split()) < 1.7
    for question in [*definition.extraction_questions, *definition.evaluation_questions]:
        assert name not in question.lower(), "a question must not ask for the trait by its name"


def test_the_shipped_traits_share_no_question_and_five_are_shipped():
    assert shipped_traits() == ["assertiveness", "curiosity", "openness", "playfulness", "warmth"]
    counts = Counter(
        question
        for name in shipped_traits()
        for question in (*load_trait(name).extraction_questions, *load_trait(name).evaluation_questions)
    )
    assert len(counts) == 200


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "not a JSON object"),
        ('{"trait": "x"}', "description"),
        (
            '{"trait": "x", "description": "d", "pairs": [{"positive": "a", "negative": "b"}], '
            '"extraction_questions": ["q"], "evaluation_questions": ["q"]}',
            "'q' stands there twice",
        ),
    ],
)
def test_a_definition_that_is_none_is_named(tmp_path, text, complaint):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"x\.json: .*{complaint}"):
        load_trait(str(path))
