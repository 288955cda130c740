"""Trait-vector files hold what was put in, other tools' files read right, and what cannot be used is named."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'prefbench[hf]'")
pytest.importorskip("safetensors", reason="needs safetensors: pip install 'prefbench[hf]'")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as some  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402
from steering_models import BLOCKS, WIDTH, draw, make_vector, write_vector  # noqa: E402

from prefbench.errors import ConfigError, DataError  # noqa: E402
from prefbench.steering import combine_vectors, load_vector, make_plan, save_vector  # noqa: E402
from prefbench.steering.convert import convert_vector, read_vector  # noqa: E402
from prefbench.steering.vectors import describe_layers, explain_other_weights  # noqa: E402
from prefbench.study import VectorChoice  # noqa: E402


def same(first, second) -> bool:
    return first.layers == second.layers and all(
        np.array_equal(first.vectors[layer], second.vectors[layer]) for layer in first.layers
    )


def plan(*choices: VectorChoice, width: int = WIDTH, blocks: int = BLOCKS, **settings):
    return make_plan(choices, width=width, blocks=blocks, **settings)


# The file


def test_a_file_holds_what_was_saved(tmp_path):
    vector = make_vector()
    save_vector(vector, tmp_path / "a" / "warmth.safetensors")
    loaded = load_vector(tmp_path / "a" / "warmth.safetensors")
    assert same(loaded, vector)
    assert replace(loaded, vectors={}) == replace(vector, vectors={})
    assert loaded.vectors[0].dtype == np.float32
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["warmth.safetensors"]


def test_any_safetensors_reader_sees_the_documented_keys(tmp_path):
    from safetensors import safe_open

    path = write_vector(tmp_path / "v.safetensors")
    assert set(load_file(path)) == {f"block_out.{block}" for block in range(BLOCKS)}
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    for name in (
        "trait",
        "method",
        "sign",
        "token_rule",
        "read_at",
        "layer_map",
        "norms",
        "hidden_norms",
        "pairs",
    ):
        assert metadata[name]
    assert (metadata["format"], metadata["format_version"]) == ("prefbench-trait-vector", "1")


def broken(tmp_path, name):
    path = tmp_path / "v.safetensors"
    if name == "not safetensors":
        path.write_bytes(b"PK\x03\x04 a zip file, perhaps")
    elif name == "empty":
        path.write_bytes(b"")
    elif name == "foreign":
        save_file({"weight": draw()}, path)
    elif name == "foreign keys alike":
        save_file({"block_out.1": draw()}, path)
    elif name == "truncated":
        write_vector(path)
        path.write_bytes(path.read_bytes()[:-40])
    elif name == "newer":
        from prefbench.steering.vectors import to_metadata

        save_file(
            {"block_out.1": draw()}, path, metadata={**to_metadata(make_vector([1])), "format_version": "2"}
        )
    elif name == "no metadata":
        save_file(
            {"block_out.1": draw()},
            path,
            metadata={"format": "prefbench-trait-vector", "format_version": "1"},
        )
    else:
        from prefbench.steering.vectors import to_metadata

        tensors = {
            "nan": {"block_out.1": np.full(WIDTH, np.nan, np.float32)},
            "zero": {"block_out.1": np.zeros(WIDTH, np.float32)},
            "two widths": {"block_out.1": draw(), "block_out.2": draw(width=8)},
            "beyond": {"block_out.7": draw()},
            "not a number": {"block_out.x": draw()},
        }[name]
        metadata = to_metadata(make_vector([1], recommended_layer=None))
        save_file(tensors, path, metadata=metadata)
    return path


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("not safetensors", "is not safetensors"),
        ("empty", "is not safetensors"),
        ("foreign", "no trait vector"),
        ("foreign keys alike", "no trait vector"),
        ("truncated", "is not safetensors"),
        ("newer", "format version 2"),
        ("no metadata", "metadata cannot be read"),
        ("nan", "NaN or infinity"),
        ("zero", "all zeros"),
        ("two widths", "shape"),
        ("beyond", "beyond the 4 blocks"),
        ("not a number", "metadata cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, name, complaint):
    with pytest.raises(DataError, match=rf"v\.safetensors: .*{complaint}"):
        load_vector(broken(tmp_path, name))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.safetensors: cannot be read"):
        load_vector(tmp_path / "nowhere.safetensors")


def test_a_vector_that_is_not_finite_is_never_written(tmp_path):
    with pytest.raises(DataError, match="NaN"):
        write_vector(tmp_path / "v.safetensors", vectors={1: np.full(WIDTH, np.inf, np.float32)})
    assert not list(tmp_path.iterdir())


# From vectors to what is added


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"width": 64}, "32 wide, the model 64"),
        ({"blocks": 5}, "4 blocks, this one has 5"),
    ],
)
def test_a_vector_of_another_model_is_refused(tmp_path, changes, complaint):
    path = write_vector(tmp_path / "v.safetensors")
    with pytest.raises(ConfigError, match=complaint):
        plan(VectorChoice(file=str(path), coefficient=1.0), **changes)


def test_a_vector_with_a_block_that_the_model_lacks_is_refused(tmp_path):
    path = write_vector(tmp_path / "v.safetensors", blocks=None)
    with pytest.raises(ConfigError, match="direction for block 3, the model has 3"):
        plan(VectorChoice(file=str(path), coefficient=1.0), blocks=3)


def test_an_unknown_layer_is_refused_and_the_known_ones_named(tmp_path):
    path = write_vector(tmp_path / "v.safetensors", layers=[0, 1, 3])
    with pytest.raises(ConfigError, match=r"no direction for layer 2; it has 0-1, 3"):
        plan(VectorChoice(file=str(path), coefficient=1.0, layers=[2]))
    path = write_vector(tmp_path / "w.safetensors", recommended_layer=None)
    with pytest.raises(ConfigError, match="recommends no layer"):
        plan(VectorChoice(file=str(path), coefficient=1.0))


@given(
    dose=some.just(0.0) | some.floats(1e-6, 3) | some.floats(-3, -1e-6), layer=some.integers(0, BLOCKS - 1)
)
@settings(max_examples=25, deadline=None)
def test_a_dose_is_the_share_of_the_hidden_norm_that_is_added(tmp_path_factory, dose, layer):
    path = write_vector(tmp_path_factory.mktemp("v") / "v.safetensors")
    made = plan(VectorChoice(file=str(path), dose=dose, layers=[layer]))
    assert np.linalg.norm(made.tables[layer][0]) == pytest.approx(
        abs(dose) * (10 + layer), rel=1e-5, abs=1e-30
    )
    (addition,) = made.additions
    again = plan(VectorChoice(file=str(path), coefficient=addition.coefficient, layers=[layer]))
    np.testing.assert_allclose(again.tables[layer], made.tables[layer], rtol=1e-5)
    assert again.additions[0].dose == pytest.approx(dose)


def test_a_dose_needs_the_norm_of_the_hidden_states(tmp_path):
    path = write_vector(tmp_path / "v.safetensors", hidden_norms={})
    with pytest.raises(ConfigError, match="give a coefficient"):
        plan(VectorChoice(file=str(path), dose=0.3))


def test_several_vectors_add_up_per_layer_and_sort_of_token(tmp_path):
    first, second = write_vector(tmp_path / "a.safetensors"), tmp_path / "b.safetensors"
    write_vector(second, vectors={layer: draw(50 + layer) for layer in range(BLOCKS)})
    made = plan(
        VectorChoice(file=str(first), coefficient=2.0, layers=[1, 2]),
        VectorChoice(file=str(second), coefficient=-1.0, layers=[2], positions="response"),
        VectorChoice(file=str(second), coefficient=0.5, layers=[2], positions="prompt"),
        VectorChoice(file=str(first), coefficient=0.25, layers=[2], positions="decode"),
    )
    a, b = draw(2), draw(52)
    np.testing.assert_allclose(
        made.tables[2], [2 * a + b / 2, 2 * a - b / 2, 2.25 * a - b], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(made.tables[1], np.tile(2 * draw(1), (3, 1)))
    assert made.layers == [1, 2]
    assert len(made.additions) == 5


@pytest.mark.parametrize("strength", [{}, {"coefficient": 1.0, "dose": 1.0}])
def test_a_choice_has_one_strength(strength):
    with pytest.raises(ValueError, match="either coefficient or dose"):
        VectorChoice(file="v.safetensors", **strength)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_strength_is_finite(value):
    with pytest.raises(ValueError, match="finite"):
        VectorChoice(file="v.safetensors", dose=value)


def test_other_weights_are_a_warning_and_with_strict_refused(tmp_path):
    choice = VectorChoice(file=str(write_vector(tmp_path / "v.safetensors")), coefficient=1.0)
    mine, other = {"files_sha256": "a" * 64}, {"files_sha256": "b" * 64}
    assert plan(choice, weights=mine, strict=True).warnings == ()
    assert "other weights" in plan(choice, weights=other).warnings[0]
    assert "cannot be checked" in plan(choice, weights={"commit": "c"}).warnings[0]
    for weights in (other, {"commit": "c"}, {"commit": None}):
        with pytest.raises(ConfigError, match="--strict"):
            plan(choice, weights=weights, strict=True)
    hub = make_vector(weights={"commit": "abc"})
    assert explain_other_weights(hub, "v", {"commit": "abc"}) is None


# Combining


def test_a_combination_is_the_sum_where_all_have_a_direction():
    a, b = make_vector([0, 1, 2]), make_vector([1, 2, 3], recommended_layer=2)
    mixed = combine_vectors([(a, 2.0), (b, -0.5)], trait="mix")
    assert mixed.layers == [1, 2]
    np.testing.assert_allclose(mixed.vectors[2], 1.5 * draw(2), rtol=1e-6)
    assert (mixed.trait, mixed.recommended_layer, mixed.hidden_norms) == ("mix", None, {1: 11.0, 2: 12.0})


def test_vectors_of_different_models_are_not_combined():
    for other in (make_vector(width=8), make_vector(blocks=9), make_vector(weights={"commit": "c"})):
        with pytest.raises(ConfigError, match="different models"):
            combine_vectors([(make_vector(), 1.0), (other, 1.0)], trait="mix")
    with pytest.raises(ConfigError, match="no block in common"):
        combine_vectors([(make_vector([0]), 1.0), (make_vector([1]), 1.0)], trait="mix")
    with pytest.raises(DataError, match="all zeros"):
        combine_vectors([(make_vector(), 1.0), (make_vector(), -1.0)], trait="nothing")


def test_layers_are_written_as_people_write_them():
    assert describe_layers([3, 0, 1, 2, 7, 9, 10]) == "0-3, 7, 9-10"


# Other tools' files


@pytest.fixture
def gguf():
    return pytest.importorskip("gguf", reason="needs gguf: pip install 'prefbench[gguf]'")


def write_as_repeng(gguf, path, directions, hint="mistral") -> None:
    """Write a file as repeng's `ControlVector.export_gguf` does: blocks from the last down, an unsigned count."""
    writer = gguf.GGUFWriter(path, "controlvector")
    writer.add_string("controlvector.model_hint", hint)
    writer.add_uint32("controlvector.layer_count", len(directions))
    for layer in sorted(directions, reverse=True):
        writer.add_tensor(f"direction.{layer}", directions[layer])
    finish(writer)


def write_as_llama_cpp(gguf, path, blocks) -> None:
    """Write a file as llama.cpp's cvector-generator does: block i is direction.{i + 1}, a signed count."""
    writer = gguf.GGUFWriter(path, "controlvector")
    writer.add_string("controlvector.model_hint", "llama")
    writer.add_int32("controlvector.layer_count", len(blocks))
    for block, values in blocks.items():
        writer.add_tensor(f"direction.{block + 1}", values)
    finish(writer)


def finish(writer) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_gguf_gives_back_what_was_put_in(gguf, tmp_path):
    vector = make_vector([1, 2, 3])
    save_vector(vector, tmp_path / "v.safetensors")
    convert_vector(tmp_path / "v.safetensors", tmp_path / "v.gguf")
    back, remarks = convert_vector(tmp_path / "v.gguf", tmp_path / "w.safetensors")
    assert same(back, vector)
    assert replace(back, vectors={}, origin={}) == replace(vector, vectors={}, origin={})
    assert remarks == ["read as repeng: direction.N is block N"]
    assert same(load_vector(tmp_path / "w.safetensors"), vector)


def test_our_gguf_has_the_layout_that_repeng_and_llama_cpp_read(gguf, tmp_path):
    """The oracle is the reader of llama.cpp's own package, used as repeng's import_gguf does."""
    save_vector(make_vector(), tmp_path / "v.safetensors")
    _, remarks = convert_vector(tmp_path / "v.safetensors", tmp_path / "v.gguf")
    assert "block 0 is left out" in remarks[0]
    reader = gguf.GGUFReader(tmp_path / "v.gguf")
    assert reader.get_field("general.architecture").contents() == "controlvector"
    assert reader.get_field("controlvector.model_hint").contents() == "tiny"
    assert reader.get_field("controlvector.layer_count").contents() == 3
    found = {int(tensor.name.split(".")[1]): tensor.data for tensor in reader.tensors}
    assert sorted(found) == [1, 2, 3]
    for layer, values in found.items():
        assert values.ndim == 1
        np.testing.assert_array_equal(values, draw(layer))


def test_a_file_of_repeng_keeps_its_layers(gguf, tmp_path):
    directions = {layer: draw(layer) for layer in range(1, 6)}
    write_as_repeng(gguf, tmp_path / "v.gguf", directions)
    vector, remarks = read_vector(tmp_path / "v.gguf", trait="honesty")
    assert vector.layers == [1, 2, 3, 4, 5]
    assert all(np.array_equal(vector.vectors[layer], values) for layer, values in directions.items())
    assert (vector.trait, vector.model, vector.recommended_layer) == ("honesty", "mistral", None)
    assert "direction.N is block N" in remarks[0]


def test_a_file_of_llama_cpp_is_shifted_by_one(gguf, tmp_path):
    blocks = {block: draw(block) for block in range(4)}
    write_as_llama_cpp(gguf, tmp_path / "v.gguf", blocks)
    vector, remarks = read_vector(tmp_path / "v.gguf")
    assert vector.layers == [0, 1, 2, 3]
    assert all(np.array_equal(vector.vectors[block], values) for block, values in blocks.items())
    assert "llama.cpp" in remarks[0]
    forced, _ = read_vector(tmp_path / "v.gguf", layout="repeng")
    assert forced.layers == [1, 2, 3, 4]


def test_gguf_that_is_no_control_vector_is_named(gguf, tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_tensor("blk.0.attn_q.weight", draw())
    finish(writer)
    with pytest.raises(DataError, match="architecture 'llama'"):
        read_vector(tmp_path / "model.gguf")
    (tmp_path / "junk.gguf").write_bytes(b"GGUF or something that begins like it" * 3)
    (tmp_path / "cut.gguf").write_bytes((tmp_path / "model.gguf").read_bytes()[:40])
    for name in ("junk.gguf", "cut.gguf"):
        with pytest.raises(DataError, match="is not GGUF"):
            read_vector(tmp_path / name)
    with pytest.raises(DataError, match="cannot be read"):
        read_vector(tmp_path / "nowhere.gguf")


def test_a_vector_for_block_0_alone_cannot_be_gguf(gguf, tmp_path):
    path = write_vector(tmp_path / "v.safetensors", layers=[0])
    with pytest.raises(ConfigError, match="block 0"):
        convert_vector(path, tmp_path / "v.gguf")


def test_persona_vectors_are_indexed_like_hidden_states(tmp_path):
    table = torch.stack([torch.zeros(WIDTH), *(torch.from_numpy(draw(block)) for block in range(BLOCKS))])
    torch.save(table, tmp_path / "evil_response_avg_diff.pt")
    vector, remarks = convert_vector(
        tmp_path / "evil_response_avg_diff.pt", tmp_path / "v.safetensors", trait="evil"
    )
    assert (vector.layers, vector.blocks, vector.trait) == ([0, 1, 2, 3], BLOCKS, "evil")
    assert all(np.array_equal(vector.vectors[block], draw(block)) for block in range(BLOCKS))
    assert "row k + 1" in remarks[0]


def test_steering_vectors_are_indexed_by_block(tmp_path):
    torch.save({2: torch.from_numpy(draw(2)), 5: torch.from_numpy(draw(5)).half()}, tmp_path / "v.pt")
    vector, _ = convert_vector(tmp_path / "v.pt", tmp_path / "v.safetensors", recommended_layer=5)
    assert (vector.layers, vector.recommended_layer) == ([2, 5], 5)
    np.testing.assert_array_equal(vector.vectors[2], draw(2))


class Pickled:
    """What a tool's own class looks like in a pickle: it would be imported, and so run, on loading."""

    layer_activations = (1, 2)


@pytest.mark.parametrize("content", [Pickled(), {"a": "b"}, [1, 2], {1: "x"}])
def test_a_pickle_is_refused_and_the_way_out_named(tmp_path, content):
    torch.save(content, tmp_path / "v.pt")
    with pytest.raises(
        DataError, match=r"v\.pt: (is not a file of tensors alone.*layer_activations|holds a|is no dict)"
    ):
        read_vector(tmp_path / "v.pt")
    (tmp_path / "junk.pt").write_bytes(b"nothing")
    with pytest.raises(DataError, match="is not a file of tensors alone"):
        read_vector(tmp_path / "junk.pt")


@pytest.mark.parametrize(
    ("source", "target", "layout", "complaint"),
    [
        ("v.safetensors", "w.pt", "auto", "write .safetensors or .gguf"),
        ("v.npz", "w.gguf", "auto", "known formats"),
        ("v.gguf", "w.safetensors", "persona_vectors", "layout repeng or llama.cpp"),
        ("v.pt", "w.safetensors", "repeng", "layout persona_vectors"),
    ],
)
def test_formats_go_by_their_suffix(tmp_path, source, target, layout, complaint):
    write_vector(tmp_path / "v.safetensors")
    with pytest.raises(ConfigError, match=complaint):
        convert_vector(tmp_path / source, tmp_path / target, layout=layout)


def test_a_torn_pt_file_is_one_clear_error_wherever_it_is_torn(tmp_path):
    path, rng = tmp_path / "torn.pt", np.random.default_rng(0)
    torch.save(torch.zeros(BLOCKS + 1, WIDTH), path)
    whole = path.read_bytes()
    refused = 0
    for _ in range(150):
        torn = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        for place in rng.integers(0, min(len(torn), 2_000), 4):
            torn[place] = rng.integers(256)
        path.write_bytes(torn)
        with suppress(DataError):  # any other exception fails the test
            read_vector(path)
            continue
        refused += 1
    assert refused > 100
