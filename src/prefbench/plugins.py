"""Names to classes: one visible table of built-ins for each kind, and entry points for third parties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from inspect import Parameter, signature
from numbers import Integral, Real
from os import PathLike
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

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
    """Raise ConfigError for an option that is no keyword of the class `made`, of another type, or not for users."""
    parameters = signature(made).parameters.values()
    for parameter in parameters:
        if parameter.kind is Parameter.POSITIONAL_OR_KEYWORD and parameter.name in options:
            raise ConfigError(f"{parameter.name} is no option of {owner}: it has a place of its own")
    _check_types(owner, made, options)
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters if parameter.kind is Parameter.KEYWORD_ONLY]
    for option in options:
        if option not in known:
            raise unknown_name(f"option of {owner}", option, known)


_KINDS: Mapping[type, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((Integral,), "a whole number"),
    float: ((Real,), "a number"),
    str: ((str, PathLike), "text"),
}
"""What a keyword of each type takes, and what that is called."""


def _check_types(owner: str, made: Any, options: Mapping[str, Any]) -> None:
    """Raise ConfigError for an option that its annotation does not take; what says nothing simple takes anything."""
    try:
        hints = get_type_hints(getattr(made, "__init__" if isinstance(made, type) else "__call__"))
    except (NameError, TypeError):  # annotated with what is only imported for type checkers
        return
    for name, value in options.items():
        hint = hints.get(name, Any)
        members = get_args(hint) if isinstance(hint, UnionType) or get_origin(hint) is Union else (hint,)
        kinds = [_KINDS[member] for member in members if member in _KINDS]
        others = tuple(member for member in members if member not in _KINDS)
        if not kinds or not all(isinstance(member, type) for member in others) or isinstance(value, others):
            continue
        taken = [what for types, what in kinds if isinstance(value, types)]
        if not taken or (isinstance(value, bool) and bool not in members):
            wanted = " or ".join(what for _, what in kinds)
            cure = f"; write it as {name}='\"{value}\"'" if members[0] is str else ""
            raise ConfigError(f"option {name} of {owner} takes {wanted}, not {value!r}{cure}")


def refuse_keys(options: Iterable[str]) -> None:
    """Raise ConfigError if an option's name is that of a key: keys stay out of study files and command lines."""
    for name in options:
        if name.lower().replace("-", "_") in ("api_key", "key", "auth_token", "token"):
            raise ConfigError(
                f"{name} is no option: keys come from the environment only (ANTHROPIC_API_KEY, OPENAI_API_KEY); "
                "take it out of the command or the study file"
            )
