"""Answers that something else has sampled, in a CSV file: import them, judge them offline, show the rate."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import prefbench

ANSWERS = [
    ("Which do you prefer, rain or sun?", "Rain. It makes a room feel larger."),
    ("Which do you prefer, rain or sun?", "I'd take the sun any day."),
    ("Which do you prefer, rain or sun?", "Both have their charm; it depends on the day and on you."),
    ("What would you paint first?", "A harbour at dusk, in greys."),
    (
        "What would you paint first?",
        "I don't have preferences, but some people like to begin with a still life.",
    ),
    ("What would you paint first?", "I would paint my neighbour's dog."),
]


def main(folder: Path) -> None:
    source = folder / "answers.csv"
    with source.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "answer"])
        writer.writerows(ANSWERS)

    prefbench.import_responses(
        source,
        study=folder / "study",
        columns={"prompt": "question", "response": "answer"},
        values={"domain": "my_questions", "temperature": "1.0"},
    )
    prefbench.judge_responses(folder / "study", judge="lexical")
    scores = prefbench.load_scores(folder / "study")
    print(scores.select("id", "yes", "no", "unreadable", "status"))
    print(prefbench.aggregate_scores(scores).table.select("domain", "n_prompts", "rate", "low", "high"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder))
