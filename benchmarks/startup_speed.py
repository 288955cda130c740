"""How long `prefbench --help` takes beside a bare interpreter and a bare typer app, in one run."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

REPEATS = 9
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "a bare typer app --help": [
        sys.executable,
        "-c",
        "import sys, typer; sys.argv = ['app', '--help']; app = typer.Typer(); app.command()(lambda: None); app()",
    ],
    "prefbench --help": [sys.executable, "-m", "prefbench", "--help"],
    "prefbench sample --help": [sys.executable, "-m", "prefbench", "sample", "--help"],
}


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(REPEATS):
        for name, command in COMMANDS.items():
            seconds[name].append(cpu_seconds(command))
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    bare = medians["a bare typer app --help"]
    for name, median in medians.items():
        print(f"{name:26} {median:.3f} s CPU, {median / bare:.2f} x a bare typer app")


def cpu_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
