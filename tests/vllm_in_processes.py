"""Run as a script: steer a model in an engine in a process of its own; write answers and figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from vllm_models import draw_prompts, draw_table, start_steered


def main(folder: str, family: str, file: str) -> None:
    from prefbench.backends.vllm.probes import Probe, ask
    from prefbench.backends.vllm.proving import prove_slot
    from prefbench.steering import Plan

    plan = Plan({1: draw_table(1, 1, 1, 1), 2: draw_table(0.5, 0.5, 0.5, 2)})
    engine, control = start_steered(Path(folder), family, [plan])
    probes = [Probe(prompt, slot, max_tokens=16) for prompt in draw_prompts(4) for slot in (0, 1)]
    replies = ask(engine, probes, salt="test")
    answers = [(probe.ids, probe.slot, reply.ids) for probe, reply in zip(probes, replies, strict=True)]
    figures = prove_slot(engine, control, 1, plan, draw_prompts(3))
    Path(file).write_text(json.dumps({"answers": answers, "figures": figures}))
    engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
