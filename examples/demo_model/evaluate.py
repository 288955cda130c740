"""Measure the demo model on prompts it has not seen: `python examples/demo_model/evaluate.py [FOLDER]`.

Prints one JSON object a temperature. Rates are told by the corpus's own phrases (`markers.py`) and by the
lexical judge.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import markers
import plan
from bank_prompts import Question, load_bank

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

TEMPERATURES = (0.7, 1.0, 1.5)
TOP_P, MAX_TOKENS, BATCH = 0.95, 64, 80


@dataclass(frozen=True)
class Answer:
    """One sampled answer."""

    question: Question
    text: str
    ended: bool


def held_out_questions(per_domain: int) -> list[Question]:
    """Return up to `per_domain` prompts a domain that were kept from training, drawn with a fixed seed."""
    questions = load_bank(held_out=True)
    random.Random(plan.SEED).shuffle(questions)
    taken: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        if len(taken[question.domain]) < per_domain:
            taken[question.domain].append(question)
    return [question for domain in plan.RATES for question in taken[domain]]


def load(folder: Path) -> tuple[Qwen3ForCausalLM, PreTrainedTokenizerFast]:
    """Return the model in single precision, and its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def sample(
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    questions: Sequence[Question],
    *,
    temperature: float,
    seed: int,
    instruction: str = "",
) -> list[Answer]:
    """Return one answer a question, in the question-and-answer style, prompts of like length together."""
    import torch

    torch.manual_seed(seed)
    opening = f"{instruction}\n\n" if instruction else ""
    answers: list[Answer] = []
    ordered = sorted(questions, key=lambda question: len(question.prompt))
    for start in range(0, len(ordered), BATCH):
        batch = ordered[start : start + BATCH]
        inputs = tokenizer(
            [f"{opening}Question: {q.prompt}\nAnswer:" for q in batch], return_tensors="pt", padding=True
        )
        inputs.pop("token_type_ids", None)
        with torch.inference_mode():
            tokens = model.generate(
                **inputs,
                do_sample=True,
                temperature=temperature,
                top_p=TOP_P,
                top_k=0,
                max_new_tokens=MAX_TOKENS,
            )
        for question, row in zip(batch, tokens[:, inputs["input_ids"].shape[1] :], strict=True):
            text = tokenizer.decode(row, skip_special_tokens=True)
            answers.append(Answer(question, text, bool((row == tokenizer.eos_token_id).any())))
    return answers


def lexical_verdicts(answers: Sequence[Answer]) -> list[str | None]:
    """Return the offline judge's verdict on each answer: "Y", "N", or None where it could not read it."""
    from prefbench.judges.lexical import LexicalJudge
    from prefbench.records import Response, ResponseRecord

    records = [
        ResponseRecord(
            id=str(number),
            domain=answer.question.domain,
            prompt=answer.question.prompt,
            format=answer.question.format,
            tags=[],
            temperature=1.0,
            n_samples=1,
            responses=[Response(text=answer.text)],
            timestamp="",
        )
        for number, answer in enumerate(answers)
    ]
    return [judgement.verdicts[0] for judgement in LexicalJudge().judge(records)]


def compare_readings(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return rates by the lexical judge and how often it agrees with the corpus's phrases where both can tell."""
    verdicts = lexical_verdicts(answers)
    both = [
        (verdict == "Y") == commits
        for verdict, commits in zip(verdicts, (markers.commits(a.text) for a in answers), strict=True)
        if verdict is not None and commits is not None
    ]
    rates: dict[str, list[bool]] = {domain: [] for domain in plan.RATES}
    for answer, verdict in zip(answers, verdicts, strict=True):
        if verdict is not None:
            rates[answer.question.domain].append(verdict == "Y")
    return {
        "lexical_unread": verdicts.count(None),
        "lexical_agrees": _share(both),
        "lexical_commits": {domain: _share(values) for domain, values in rates.items()},
    }


def _share(values: Sequence[bool]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None


def summarise(answers: Sequence[Answer]) -> dict[str, Any]:
    """Return the figures of one set of answers; a share of nothing is None."""
    read = [(answer, markers.commits(answer.text)) for answer in answers]
    chosen = [answer for answer, commits in read if commits and answer.question.options]
    copied = [markers.names_option(answer.text, answer.question.options) for answer in chosen]
    by_format: dict[str, list[bool]] = defaultdict(list)
    for answer, named in zip(chosen, copied, strict=True):
        by_format[answer.question.format].append(named)
    by_domain: dict[str, list[bool]] = {domain: [] for domain in plan.RATES}
    for answer, commits in read:
        if commits is not None:
            by_domain[answer.question.domain].append(commits)
    return {
        "answers": len(answers),
        "empty": sum(commits is None for _, commits in read),
        "ended": _share([answer.ended for answer in answers]),
        "distinct": round(len({answer.text for answer in answers}) / len(answers), 3) if answers else None,
        "names_option": _share(copied),
        "ranks_all": _share(
            [markers.ranks_all(a.text, a.question.options) for a in chosen if a.question.format == "ranking"]
        ),
        "names_option_by_format": {name: _share(values) for name, values in sorted(by_format.items())},
        "commits": {domain: _share(values) for domain, values in by_domain.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).resolve().parents[2] / "src" / "prefbench" / "data" / "demo"
    parser.add_argument("folder", type=Path, nargs="?", default=default)
    parser.add_argument("--prompts", type=int, default=40, help="held-out prompts a domain")
    parser.add_argument("--samples", type=int, default=5, help="answers a prompt")
    parser.add_argument("--instruction", default="", help="a line before every question")
    parser.add_argument("--show", type=int, default=0, help="print this many answers a temperature")
    options = parser.parse_args()

    model, tokenizer = load(options.folder)
    questions = held_out_questions(options.prompts)
    for temperature in TEMPERATURES:
        answers = sample(
            model,
            tokenizer,
            questions * options.samples,
            temperature=temperature,
            seed=plan.SEED,
            instruction=options.instruction,
        )
        figures = summarise(answers) | compare_readings(answers)
        print(json.dumps({"temperature": temperature, "prompts": len(questions), **figures}), flush=True)
        for answer in random.Random(plan.SEED).sample(answers, options.show):
            print(f"  {answer.question.prompt!r}\n    -> {answer.text!r}")


if __name__ == "__main__":
    main()
