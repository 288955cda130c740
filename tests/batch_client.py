"""A client of batches that kills itself: for each line on stdin, a forked child judges and dies at the step named.

Steps are counted before and after everything that a crash could part: what the journal writes, what is sent to the
provider, what is appended to scores, details and ledger. The line back says how the child ended: a signal, or 0.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import anthropic  # noqa: F401 - imported before the fork, so that a child starts at once
import openai  # noqa: F401

from prefbench.backends import anthropic_batches, openai_batches
from prefbench.backends.remote import journal
from prefbench.judge import judge_responses
from prefbench.store import Appender

STEPS = {
    journal.Journal: ("write", "forget", "save_results"),
    anthropic_batches.AnthropicBatches: ("prepare", "begin", "find", "progress"),
    openai_batches.OpenAIBatches: ("prepare", "begin", "find", "progress"),
    Appender: ("append",),
}


def kill_at(step: int) -> None:
    """Have this process die with SIGKILL at a step, counted from 0."""
    count = 0

    def pass_by() -> None:
        nonlocal count
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1

    def wrap(method: Any) -> Any:
        def wrapped(*arguments: Any, **rest: Any) -> Any:
            pass_by()
            result = method(*arguments, **rest)
            pass_by()
            return result

        return wrapped

    for owner, names in STEPS.items():
        for name in names:
            setattr(owner, name, wrap(getattr(owner, name)))


def main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            if job["kill_at"] is not None:
                kill_at(job["kill_at"])
            judge_responses(job["study"], judge=job["judge"], judge_options=job["options"])
            os._exit(0)
        _, status = os.waitpid(child, 0)
        ended = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        sys.stdout.write(f"{ended}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
