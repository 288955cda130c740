"""Calibrate the offline judge on a public gold set, as `prefbench judge calibrate` does.

    python benchmarks/judge_calibration.py

XSTest, `partial` left out; the halves of benchmarks/judge_agreement.py stand in the place of domains, the models
that answered in that of conditions. The gold file is not part of the project; without it the script says so.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from judge_agreement import DATA, GOLD_SETS, in_tuning_half

from prefbench.calibration import calibrate_judge
from prefbench.cli.calibration_tables import print_calibration
from prefbench.importing import read_rows

NAME = "gold_xstest"


def write_halves(source: Path, target: Path) -> None:
    with target.open("w", encoding="utf-8") as file:
        for _, row in read_rows(source):
            half = "tuning" if in_tuning_half(row["prompt"]) else "held out"
            file.write(json.dumps(row | {"domain": half}) + "\n")


def main() -> int:
    source = DATA / f"{NAME}.jsonl.gz"
    if not source.exists():
        print(f"skipped: the gold set is not there ({source.name})")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / f"{NAME}.jsonl"
        write_halves(source, table)
        start = time.perf_counter()
        result = calibrate_judge(
            table,
            study=folder,
            judge="lexical",
            columns={"condition": "model"},
            readings=GOLD_SETS[NAME],
        )
    print_calibration(result)
    print(f"{result.tables['agreement']['n_labels'][0]:,} labels in {time.perf_counter() - start:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
