"""Converts command-line options to keyword arguments of any executor."""

from __future__ import annotations

import difflib
import inspect
import re
import textwrap
from collections.abc import Sequence
from typing import Any

__all__ = ["UsageError", "describe", "parse", "split"]

_LIST = re.compile(r"(?:Sequence|list|tuple|Collection|Iterable|set|frozenset)")
_MAPPING = re.compile(r"(?:Mapping|dict)")
_ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_CONSTANTS = {"true": True, "false": False, "none": None}


class UsageError(Exception):
    """The command line is invalid."""


def split(argv: Sequence[str]) -> dict[str, list[str]]:
    """Collect the values that follow each ``--option``, with dashes in the name replaced by underscores.

    Raises
    ------
    UsageError
        If a value follows no option.
    """
    found: dict[str, list[str]] = {}
    values: list[str] | None = None
    for word in argv:
        if word == "-h":
            word = "--help"
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            values = found.setdefault(name.replace("-", "_"), [])
            if equals:
                values.append(value)
                values = None  # words after --option=value are not its values
        elif values is None:
            raise UsageError(f"{word!r} follows no option; write --option {word}, for instance --hosts {word}.")
        else:
            values.append(word)
    return found


def parse(kind: type[Any], name: str, words: dict[str, list[str]]) -> dict[str, Any]:
    """Convert the words that follow each option to the arguments of an executor's class.

    Parameters
    ----------
    kind : type
        The executor's class, whose annotations tell lists, dictionaries and text apart.
    name : str
        The name that the user gave for it.
    words : dict
        The result of :func:`split`.

    Raises
    ------
    UsageError
        If an option is unknown or missing, or its values do not suit it.
    """
    parameters = inspect.signature(kind).parameters
    known = {
        key: found for key, found in parameters.items() if found.kind not in (found.VAR_POSITIONAL, found.VAR_KEYWORD)
    }
    takes_any = any(found.kind is found.VAR_KEYWORD for found in parameters.values())
    for option in words:
        if option not in known and not takes_any:
            near = difflib.get_close_matches(option, [*known, "executor", "json", "help"], n=1)
            hint = f" Did you mean {_dashed(near[0])}?" if near else ""
            raise UsageError(
                f"the executor {name!r} has no option {_dashed(option)}.{hint} "
                f"Its options: {', '.join(map(_dashed, known)) or '(none)'}."
            )
    missing = [_dashed(key) for key, found in known.items() if found.default is found.empty and key not in words]
    if missing:
        raise UsageError(f"the executor {name!r} needs {' and '.join(missing)}.")
    return {
        option: _value(option, values, _annotation(known[option]) if option in known else "")
        for option, values in words.items()
    }


def describe(kind: type[Any], name: str) -> str:
    """List an executor's options with their documentation."""
    documentation = f"{inspect.getdoc(kind)}\n"
    lines = [f"The options of {name}:"]
    for found in inspect.signature(kind).parameters.values():
        if found.kind in _ANY:
            continue
        types = _alternatives(_annotation(found))
        value = " KEY=VALUE ..." if _has(types, _MAPPING) else " VALUE ..." if _has(types, _LIST) else " VALUE"
        default = "needed" if found.default is found.empty else f"default: {found.default}"
        lines.append(f"  {_dashed(found.name)}{'' if types == ['bool'] else value}  ({default})")
        if said := re.search(rf"^{found.name} ?:.*\n((?:[ \t]+.*\n)+)", documentation, re.MULTILINE):
            text = " ".join(said[1].replace("``", "").split())
            lines += textwrap.wrap(text, 100, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def _value(option: str, words: list[str], annotation: str) -> Any:
    """Convert the words that follow an option to its value."""
    types = _alternatives(annotation)
    if not words:
        if not annotation or "bool" in types:
            return True
        raise UsageError(f"{_dashed(option)} needs a value: {_dashed(option)} VALUE.")
    if _has(types, _MAPPING) and all("=" in word for word in words):
        pairs = (word.partition("=") for word in words)
        return {key: _item(value, annotation) for key, _, value in pairs}
    if _has(types, _LIST) and (len(words) > 1 or "str" not in types):
        return [_item(word, annotation) for word in words]
    single = [name for name in types if name != "None" and not _MAPPING.fullmatch(name)]
    if len(words) == 1 and single:
        return _item(words[0], annotation)
    if not annotation or "Any" in types:
        return [_item(word, annotation) for word in words]
    got = " ".join(words)
    if _has(types, _MAPPING):
        raise UsageError(f"{_dashed(option)} takes KEY=VALUE, once or more; got {got!r}.")
    raise UsageError(f"{_dashed(option)} takes one value; got {got!r}. Quote it if it is one.")


def _item(word: str, annotation: str) -> Any:
    """Convert one word: unchanged if the annotation is text, else to a number or constant if it looks like one."""
    inner = re.findall(r"\[([^\[\]]*)\]", annotation)
    types = set(re.findall(r"\w+", inner[-1] if inner else annotation))
    if "str" in types and not types & {"int", "float", "bool"}:
        return word
    if word.lower() in _CONSTANTS:
        return _CONSTANTS[word.lower()]
    for number in (int, float):
        try:
            return number(word)
        except ValueError:
            continue
    return word


def _alternatives(annotation: str) -> list[str]:
    """Return the types of a union, without their modules and parameters."""
    flat = re.sub(r"^(?:typing\.)?Optional\[(.*)\]$", r"\1 | None", annotation)
    while (less := re.sub(r"\[[^\[\]]*\]", "", flat)) != flat:
        flat = less
    return [part.strip().rpartition(".")[2] for part in flat.split("|")]


def _has(types: Sequence[str], wanted: re.Pattern[str]) -> bool:
    return any(wanted.fullmatch(name) for name in types)


def _annotation(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return ""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _dashed(option: str) -> str:
    return "--" + option.replace("_", "-")
