"""Which judges there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from prefbench.folders import check_judge_name
from prefbench.judges.base import Judge
from prefbench.plugins import check_options, load_plugin, refuse_keys

JUDGES: Mapping[str, str] = {
    "lexical": "prefbench.judges.lexical:LexicalJudge",
    "claude": "prefbench.judges.llm.judge:ClaudeJudge",
    "anthropic": "prefbench.judges.llm.judge:AnthropicJudge",
    "openai": "prefbench.judges.llm.judge:OpenAIJudge",
    "hf": "prefbench.judges.llm.judge:HfJudge",
    "vllm": "prefbench.judges.llm.judge:VllmJudge",
}
GROUP = "prefbench.judges"


def open_judge(name: str, *, options: Mapping[str, Any]) -> Judge:
    """Open a judge. Raises ConfigError for an unknown judge or option, with the nearest known name, and for a name
    of its own that its folder cannot have.
    """
    judge_class = load_plugin("judge", name, builtins=JUDGES, group=GROUP)
    refuse_keys(options)
    check_options(f"judge {name!r}", judge_class, options)
    judge = cast("Judge", judge_class(**options))
    check_judge_name(judge.name)
    return judge
