"""Names to classes: one visible table of built-ins for each kind, and entry points for third parties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from inspect import Parameter, signature
from types import NoneType
from typing import Any, get_args

from prefbench.errors import ConfigError, unknown_name


def load_plugin(kind: str, name: str, *, builtins: Mapping[str, str], group: str) -> Any:
    """Return the class that `name` stands for; built-ins ("module:Class") come before entry points.

    Raises ConfigError with the nearest known name if there is none.
    """
    if name in builtins:
        module, _, attribute = builtins[name].partition(":")
        return getattr(import_module(module), attribute)
    found = entry_points(group=group)
    if name in found.names:
        return found[name].load()
    raise unknown_name(kind, name, known_names(builtins, group))


def known_names(builtins: Mapping[str, str], group: str) -> list[str]:
    """Return every name that `load_plugin` knows, sorted."""
    return sorted({*builtins, *entry_points(group=group).names})


def check_options(owner: str, made: Any, options: Mapping[str, Any]) -> None:
    """Raise ConfigError for an option that is no keyword of the class `made`, one not for users, or a wrong value."""
    parameters = signature(made).parameters.values()
    for parameter in parameters:
        if parameter.kind is Parameter.POSITIONAL_OR_KEYWORD and parameter.name in options:
            raise ConfigError(f"{parameter.name} is no option of {owner}: it has a place of its own")
    _check_kinds(owner, made, options)
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters if parameter.kind is Parameter.KEYWORD_ONLY]
    for option in options:
        if option not in known:
            raise unknown_name(f"option of {owner}", option, known)


_KINDS: Mapping[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
"""What an option may be declared to take, from the narrowest to the widest."""


def _check_kinds(owner: str, made: Any, options: Mapping[str, Any]) -> None:
    """Raise ConfigError for a value of another kind than its keyword is declared with; other kinds are not judged."""
    try:
        parameters = signature(made, eval_str=True).parameters
    except NameError:  # declared with names that are there for type checkers only
        return
    for name, value in options.items():
        declared = parameters[name].annotation if name in parameters else Parameter.empty
        kinds = set(get_args(declared) or [declared]) - {NoneType}
        if not kinds or not kinds <= set(_KINDS) or type(value) in kinds:
            continue
        if isinstance(value, bool | str) or not (float in kinds and isinstance(value, int)):
            wanted = " or ".join(words for kind, words in _KINDS.items() if kind in kinds)
            cure = f"; write it as {name}='\"{value}\"'" if kinds == {str} else ""
            raise ConfigError(f"option {name} of {owner} takes {wanted}, not {value!r}{cure}")


def refuse_keys(options: Iterable[str]) -> None:
    """Raise ConfigError if an option's name is that of a key: keys stay out of study files and command lines."""
    for name in options:
        if name.lower().replace("-", "_") in ("api_key", "key", "auth_token", "token"):
            raise ConfigError(
                f"{name} is no option: keys come from the environment only (ANTHROPIC_API_KEY, OPENAI_API_KEY); "
                "take it out of the command or the study file"
            )
