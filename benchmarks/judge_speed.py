"""How many responses a second the offline judge reads on one core, at realistic lengths.

    python benchmarks/judge_speed.py

Records are made from the project's own prompt bank: 10 answers each, put together from hedging and
committing sentences with a fixed seed, 2 to 30 sentences long. The figure is CPU time of one thread, the
best of a few passes, since the machine may be shared.
"""

from __future__ import annotations

import json
import random
import time
from importlib.resources import files

from prefbench.judges.lexical import LexicalJudge
from prefbench.records import Response, ResponseRecord

SEED = 20_260
RECORDS = 500
SAMPLES = 10
PASSES = 5
LENGTHS = (2, 4, 6, 10, 16, 30)  # sentences an answer
SENTENCES = (
    "As an AI language model, I don't have personal preferences or feelings about this.",
    "Both options have their own charm, and the choice depends on what you are looking for.",
    "There is something about the way the light falls that makes it feel quiet and complete.",
    "If I had to choose, I'd go with {option}, because it leaves more room for surprise.",
    "Some people find comfort in routine, while others thrive when every day is different.",
    "However, it's important to consider the context in which the decision is made.",
    "On the one hand it offers stability; on the other hand it can become monotonous over time.",
    "I think {option} is more beautiful, though I can see why others might disagree.",
    "1. **Context**: the setting matters a great deal for how the experience is received.",
    "Ultimately, the answer is a matter of personal taste, and there is no right or wrong choice.",
    "The history of the form shows how artists returned to the same questions in every century.",
    "What about you? Which one would you choose?",
)


def read_prompts() -> list[dict[str, object]]:
    folder = files("prefbench").joinpath("data", "prompts")
    tables = sorted(
        (path for path in folder.iterdir() if path.name.endswith(".jsonl")), key=lambda path: path.name
    )
    return [json.loads(line) for path in tables for line in path.read_text(encoding="utf-8").splitlines()]


def make_records() -> list[ResponseRecord]:
    rng = random.Random(SEED)
    prompts = read_prompts()
    records = []
    for number in range(RECORDS):
        item = prompts[rng.randrange(len(prompts))]
        options = item.get("options") or ["the first thing that comes to mind"]
        texts = [
            " ".join(
                rng.choice(SENTENCES).format(option=rng.choice(options)) for _ in range(rng.choice(LENGTHS))
            )
            for _ in range(SAMPLES)
        ]
        records.append(
            ResponseRecord.model_validate(
                {**item, "tags": [], "id": str(number), "temperature": 1.0, "n_samples": SAMPLES, "timestamp": "",
                 "responses": [Response(text=text) for text in texts]}
            )
        )  # fmt: skip
    return records


def main() -> None:
    records = make_records()
    characters = sum(len(response.text) for record in records for response in record.responses)
    responses = RECORDS * SAMPLES
    judge = LexicalJudge()
    list(judge.judge(records[:20]))
    seconds = min(time_pass(judge, records) for _ in range(PASSES))
    print(
        f"{responses} responses, mean {characters / responses:.0f} characters; best of {PASSES} passes, one core"
    )
    print(f"{responses / seconds:,.0f} responses/s, {RECORDS / seconds:,.0f} records/s")
    print(f"{1e3 * seconds / RECORDS:.2f} ms of CPU a record of {SAMPLES} responses")


def time_pass(judge: LexicalJudge, records: list[ResponseRecord]) -> float:
    """Return the CPU seconds that judging all records takes."""
    start = time.process_time()
    judged = sum(len(judgement.verdicts) for judgement in judge.judge(records))
    seconds = time.process_time() - start
    if judged != RECORDS * SAMPLES:
        raise RuntimeError(f"{judged} responses were judged, not {RECORDS * SAMPLES}")
    return seconds


if __name__ == "__main__":
    main()
