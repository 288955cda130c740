"""Pairs from a study: only answers to one prompt, on the right sides, put as evaluation puts them, split by prompt."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from studies import NO, YES, make_items, make_record

from prefbench.bank import load_bank
from prefbench.errors import ConfigError, DataError
from prefbench.judge import judge_responses
from prefbench.records import Response, ResponseRecord, format_temperature
from prefbench.store import Appender, read_json, write_json
from prefbench.training import build_pairs
from prefbench.training.pairs import Message, read_pairs


def write_condition(folder: Path, verdicts, *, style: str | None = "qa", label: str = "", **settings) -> None:
    """Write a condition whose answers are told apart by sample and `label`."""
    for item in make_items(10):
        for temperature in (0.7, 1.5):
            record = make_record(item, temperature, verdicts(item))
            responses = [
                each.model_copy(update={"text": f"{each.text} {label}{item.id} {temperature} {index}"})
                for index, each in enumerate(record.responses)
            ]
            path = (
                folder
                / "responses"
                / f"{item.domain}_{format_temperature(temperature)}_n{len(responses)}.jsonl"
            )
            with Appender(path) as appender:
                appender.append([record.model_copy(update={"responses": responses})])
    if style:
        facts = {"prompt_style": style, "system_prompt": None, "enable_thinking": None, "model": "m"}
        write_json(folder / "manifest.json", {"format": 1, "settings": facts | settings, "runs": []})


@pytest.fixture
def study(tmp_path) -> Path:
    """Return a judged study: a base that is of two minds, and a directed condition that nearly always commits."""
    folder = tmp_path / "study"
    write_condition(folder / "condition_1_base", lambda _: ["Y", "N", "N", "Y"], label="base ")
    write_condition(folder / "condition_2_directed", lambda _: ["Y", "Y", "N", "Y"], label="directed ")
    judge_responses(folder)
    return folder


def texts(pairs) -> tuple[set[str], set[str]]:
    return {pair.chosen for pair in pairs}, {pair.rejected for pair in pairs}


def test_committing_answers_are_chosen_over_the_same_models_other_answers(study, tmp_path):
    report = build_pairs(study, out=tmp_path / "pairs", per_prompt=3)
    train, unseen = (read_pairs(tmp_path / "pairs" / f"{name}.jsonl") for name in ("train", "held_out"))
    assert (report.chosen, report.rejected, report.judge) == (
        "condition_1_base",
        "condition_1_base",
        "lexical",
    )
    assert (len(train), len(unseen)) == (report.pairs, report.held_out_pairs) == (48, 12)
    prompts = {(item.domain, item.id): item.prompt for item in make_items(10)}
    for pair in train + unseen:
        assert pair.prompt == f"Question: {prompts[pair.domain, pair.id]}\nAnswer:"
        assert pair.chosen.startswith(f" {YES}")
        assert pair.rejected.startswith(f" {NO}")
        assert pair.id in pair.chosen
        assert pair.id in pair.rejected
    chosen, rejected = texts(train + unseen)
    assert len(chosen) == len(rejected) == 60  # no answer is in two pairs


def test_prompts_are_held_out_whole_in_the_same_share_of_every_domain(study, tmp_path):
    build_pairs(study, out=tmp_path / "pairs", per_prompt=3, held_out=0.3)
    train, unseen = (read_pairs(tmp_path / "pairs" / f"{name}.jsonl") for name in ("train", "held_out"))
    assert not {(pair.domain, pair.id) for pair in train} & {(pair.domain, pair.id) for pair in unseen}
    bank = load_bank(tmp_path / "pairs" / "held_out_prompts.jsonl")
    assert {(item.domain, item.id) for item in bank} == {(pair.domain, pair.id) for pair in unseen}
    assert [
        sum(item.domain == domain for item in bank) for domain in ("aesthetic_preference", "ethical_judgment")
    ] == [
        3,
        3,
    ]


def test_the_same_seed_makes_the_same_files_and_another_does_not(study, tmp_path):
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        build_pairs(study, out=tmp_path / name, seed=seed)
    for file in ("train.jsonl", "held_out.jsonl", "held_out_prompts.jsonl"):
        first, again, other = ((tmp_path / name / file).read_bytes() for name in ("first", "again", "other"))
        assert first == again != other


def test_the_directed_condition_is_chosen_over_the_models_default_without_its_system_prompt(study, tmp_path):
    report = build_pairs(study, out=tmp_path / "pairs", chosen="directed", held_out=0)
    train = read_pairs(tmp_path / "pairs" / "train.jsonl")
    assert (report.judge, report.pairs, report.held_out_prompts) == (None, 20, 0)
    assert all("directed" in pair.chosen and "base" in pair.rejected for pair in train)
    assert all(pair.prompt.startswith("Question: ") for pair in train)
    assert any(NO in pair.chosen for pair in train)  # nobody judged them
    assert not (tmp_path / "pairs" / "held_out.jsonl").exists()


def test_a_judge_sorts_the_answers_of_two_conditions(study, tmp_path):
    build_pairs(study, out=tmp_path / "pairs", chosen="2", rejected="1", judge="lexical", per_prompt=9)
    train = read_pairs(tmp_path / "pairs" / "train.jsonl")
    assert all(YES in pair.chosen and "directed" in pair.chosen for pair in train)
    assert all(NO in pair.rejected and "base" in pair.rejected for pair in train)


def test_a_chat_prompt_is_messages_with_the_default_system_prompt_and_thinking_as_sampled(tmp_path):
    folder = tmp_path / "study"
    settings = {"style": "chat", "system_prompt": "Be kind.", "enable_thinking": True}
    write_condition(folder / "condition_1_base", lambda _: ["Y", "N"], **settings)
    judge_responses(folder)
    build_pairs(folder, out=tmp_path / "pairs")
    pair = read_pairs(tmp_path / "pairs" / "train.jsonl")[0]
    assert pair.prompt[0] == Message(role="system", content="Be kind.")
    assert [message.role for message in pair.prompt] == ["system", "user"]
    assert pair.chat_template_kwargs == {"enable_thinking": True}
    assert pair.chosen.startswith(YES)


def test_answers_that_were_cut_off_or_cannot_be_read_are_in_no_pair(tmp_path):
    folder = tmp_path / "study" / "condition_1_base"
    item = make_items(1)[0]
    record = make_record(item, 0.7, ["Y", "N", None])
    cut = [Response(text=f"{text} cut", finish_reason="length", tokens=9) for text in (YES, NO)]
    record = ResponseRecord(**{**record.model_dump(), "n_samples": 5, "responses": [*record.responses, *cut]})
    with Appender(folder / "responses" / "aesthetic_preference_t0.7_n5.jsonl") as appender:
        appender.append([record])
    judge_responses(folder.parent)
    report = build_pairs(
        folder.parent, out=tmp_path / "pairs", per_prompt=9, held_out=0, prompt_style="completion"
    )
    (pair,) = read_pairs(tmp_path / "pairs" / "train.jsonl")
    assert (pair.prompt, pair.chosen, pair.rejected) == (item.prompt, YES, NO)
    assert (report.cut_off, report.unscored) == (2, 1)


def test_temperatures_and_domains_limit_the_answers(study, tmp_path):
    build_pairs(study, out=tmp_path / "pairs", temps=[0.7], domains=["ethical_judgment"], per_prompt=9)
    train = read_pairs(tmp_path / "pairs" / "train.jsonl")
    assert {pair.domain for pair in train} == {"ethical_judgment"}
    assert all(" 0.7 " in pair.chosen and " 0.7 " in pair.rejected for pair in train)


def test_the_manifest_says_what_the_pairs_were_made_of_and_other_pairs_go_elsewhere(study, tmp_path):
    build_pairs(study, out=tmp_path / "pairs")
    settings = read_json(tmp_path / "pairs" / "manifest.json")["settings"]
    assert (settings["prompt_style"], settings["judge"], settings["seed"]) == ("qa", "lexical", 0)
    assert build_pairs(study, out=tmp_path / "pairs").pairs == 16
    with pytest.raises(ConfigError, match=r"seed 0, now 1.*another --out"):
        build_pairs(study, out=tmp_path / "pairs", seed=1)


@pytest.mark.parametrize(
    ("changes", "error", "complaint"),
    [
        ({"judge": "lexicla"}, ConfigError, "did you mean 'lexical'"),
        ({"chosen": "steered"}, ConfigError, "unknown condition 'steered'"),
        ({"domains": ["ethics"]}, ConfigError, "unknown domain 'ethics'"),
        ({"prompt_style": "shout"}, ConfigError, "unknown prompt style"),
        ({"per_prompt": 0}, ConfigError, "per_prompt 0"),
        ({"held_out": 1.0}, ConfigError, "held_out 1.0"),
        ({"temps": [9.0]}, DataError, "no pairs to train on: of 0 prompts"),
    ],
)
def test_what_cannot_be_paired_is_refused_by_name(study, tmp_path, changes, error, complaint):
    with pytest.raises(error, match=complaint) as caught:
        build_pairs(study, out=tmp_path / "pairs", **changes)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "pairs" / "train.jsonl").exists()


def test_a_study_without_scores_or_manifest_says_what_is_missing(tmp_path):
    write_condition(tmp_path / "study" / "condition_1_base", lambda _: ["Y", "N"], style=None)
    with pytest.raises(DataError, match="no judge has scored condition_1_base; run `prefbench judge`"):
        build_pairs(tmp_path / "study", out=tmp_path / "pairs")
    judge_responses(tmp_path / "study")
    with pytest.raises(ConfigError, match="--prompt-style"):
        build_pairs(tmp_path / "study", out=tmp_path / "pairs")
    found = build_pairs(tmp_path / "study", out=tmp_path / "pairs", prompt_style="qa")
    assert found.pairs == 16


def test_two_texts_under_one_id_are_refused(study, tmp_path):
    path = study / "condition_2_directed" / "responses" / "ethical_judgment_t0.7_n4.jsonl"
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    lines[3]["prompt"] = "Another question altogether?"
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    with pytest.raises(ConfigError, match="two texts in the two conditions"):
        build_pairs(study, out=tmp_path / "pairs", chosen="directed")


@pytest.mark.parametrize("answer", [" Rain.", "\n\nRain.", "Rain."])
@pytest.mark.parametrize("style", ["qa", "completion", "chat"])
def test_training_puts_a_prompt_in_the_tokens_that_evaluation_sends(tiny_tokenizer, tmp_path, style, answer):
    from prefbench.backends import Treatment
    from prefbench.backends.hf.prompts import encode_prompt, render_prompt
    from prefbench.training.encoding import encode_pair
    from prefbench.training.pairs import Pair

    tiny_tokenizer.save_pretrained(tmp_path)
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% if not enable_thinking %}<think></think>{% endif %}{% endif %}"
    )
    treatment = Treatment("c", style, system_prompt="Be plain.")
    prompt = render_prompt("Rain or sun?", treatment, style)
    if style == "chat":
        prompt = [Message(role="system", content="Be plain."), Message(role="user", content="Rain or sun?")]
    row = encode_pair(tokenizer, Pair(prompt=prompt, chosen=answer, rejected=" Both."))
    sent = encode_prompt(tokenizer, "Rain or sun?", treatment, style=style, enable_thinking=False)
    assert row["prompt_ids"] == sent
    assert tokenizer.decode(row["chosen_ids"]) == f"{answer}<|endoftext|>"


def test_a_prompt_keeps_its_tokens_where_a_tokenizer_would_merge_its_end_with_the_answer():
    pytest.importorskip("transformers", reason="needs transformers: pip install 'prefbench[hf]'")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from prefbench.training.encoding import encode_pair
    from prefbench.training.pairs import Pair

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=270, initial_alphabet=alphabet, special_tokens=["<end>"], show_progress=False
    )
    raw.train_from_iterator([":\n\nA"] * 20, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<end>")
    sent = tokenizer("Answer:")["input_ids"]
    assert tokenizer("Answer:\n\nA")["input_ids"][: len(sent)] != sent
    row = encode_pair(tokenizer, Pair(prompt="Answer:", chosen="\n\nA", rejected=" B"))
    assert row["prompt_ids"] == sent
    assert tokenizer.decode(row["chosen_ids"]) == "\n\nA<end>"
