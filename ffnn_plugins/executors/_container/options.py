"""Checks of the options of the executor ``container``."""

from __future__ import annotations

import json
import math
import numbers
import os
import re
import shlex
from collections.abc import Mapping, Sequence

import numpy as np

from ffnn_plugins.executors._container.host import Mount

__all__ = [
    "check_engine",
    "check_environment",
    "check_fresh",
    "check_hosts",
    "check_mounts",
    "check_resources",
    "check_word",
    "check_words",
]

_MIB = 2**20
_UNITS = {"": 1, "b": 1, "k": 2**10, "m": _MIB, "g": 2**30, "t": 2**40}
_LEAST_MEMORY = 64 * _MIB
_LEAST_CPUS = 0.01
_MOST_ENVIRONMENT = 100_000  # bytes; the kernel takes 131,072 in one variable
_OWN = "/ffnn"  # where ffnn mounts its folders


def check_resources(cpus: object, memory: object, required: object) -> tuple[float, int]:
    """Return CPUs and bytes of memory, from `cpus` and `memory` or from `required_resources`."""
    if required is not None:
        example = "required_resources={'cpu': 2048, 'memory': 4096}, in 1/1024 of a CPU and in MiB"
        if not isinstance(required, Mapping):
            raise TypeError(f"required_resources must be a mapping; got {required!r}. Pass {example}.")
        for key, value in required.items():
            if key not in ("cpu", "memory"):
                raise ValueError(f"required_resources knows 'cpu' and 'memory'; got {key!r}. Pass {example}.")
            if isinstance(value, bool) or not isinstance(value, numbers.Real):
                raise TypeError(f"required_resources[{key!r}] must be a number; got {value!r}. Pass {example}.")
        for key, name, given in (("cpu", "cpus", cpus), ("memory", "memory", memory)):
            if key in required and given is not None:
                raise ValueError(
                    f"{name} must not be given beside required_resources[{key!r}]; got {name}={given!r}. Leave one out."
                )
        cpus = required["cpu"] / 1024 if "cpu" in required else cpus
        memory = int(required["memory"] * _MIB) if "memory" in required else memory
    return _cpus(1.0 if cpus is None else cpus), _memory(4 * 2**30 if memory is None else memory)


def _cpus(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"cpus must be a number; got {value!r} of type {type(value).__name__}. Pass cpus=2, or 0.5.")
    if not _LEAST_CPUS <= float(value) < math.inf:
        raise ValueError(f"cpus must be at least {_LEAST_CPUS}; got {value!r}. Pass cpus=1, for instance.")
    return float(value)


def _memory(value: object) -> int:
    advice = "Pass memory='4g', memory='512m' or a number of bytes"
    size: float
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?\s*", value.lower())
        if match is None:
            raise ValueError(
                f"memory must be a number of bytes, or one with a unit (k, m, g); got {value!r}. {advice}."
            )
        size = float(match[1]) * _UNITS[match[2]]
    elif isinstance(value, numbers.Integral) and not isinstance(value, bool):
        size = int(value)
    else:
        raise TypeError(f"memory must be an int or a str; got {value!r} of type {type(value).__name__}. {advice}.")
    if size < _LEAST_MEMORY:
        raise ValueError(f"memory must be at least 64m, or no worker starts; got {value!r}. {advice}.")
    return int(size)


def check_fresh(fresh: object, most: int | None) -> int | None:
    if not isinstance(fresh, bool | np.bool_):
        raise TypeError(f"fresh must be True or False; got {fresh!r}. Pass fresh=True for one container per task.")
    if fresh and most not in (None, 1):
        raise ValueError(f"max_tasks_per_child must be 1 where fresh=True; got {most!r}. Pass one of them.")
    return 1 if fresh else most


def check_word(name: str, value: object) -> str:
    """Check that a value is one word of a command line and not an option."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str; got {value!r} of type {type(value).__name__}. Pass {name}='...'.")
    if not value or value.startswith("-") or re.search(r"[\s\0]", value):
        raise ValueError(
            f"{name} must be one word that does not start with '-'; got {value!r}. "
            f"Pass the name of the {'image' if name == 'image' else 'Python in it'} alone."
        )
    return value


def check_words(name: str, value: object) -> tuple[str, ...]:
    """Check a list of words."""
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(word, str) for word in value):
        raise TypeError(f"{name} must be a list of str; got {value!r}. Pass for instance {name}=['--shm-size', '1g'].")
    if any("\0" in word for word in value):
        raise ValueError(f"{name} must not contain NUL; got {value!r}. Pass the words as a shell would.")
    return tuple(value)


def check_engine(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    try:
        words = tuple(shlex.split(value)) if isinstance(value, str) else check_words("engine", value)
    except ValueError as error:
        raise ValueError(f"engine must be a command; got {value!r} ({error}). Pass engine='podman'.") from None
    if not words or not words[0] or words[0].startswith("-"):
        raise ValueError(f"engine must be a command; got {value!r}. Pass engine='podman', or leave it out.")
    if "/" in words[0] and not words[0].startswith("/"):
        raise ValueError(
            f"engine must be on the PATH or have a full path; got {value!r}. Pass engine='/path/to/podman'."
        )
    return words


def check_mounts(value: object) -> tuple[Mount, ...]:
    example = "Pass mounts={'/path/of/the/host': '/path/in/the/container'}; append ':rw' to let workers write"
    if not isinstance(value, Mapping):
        raise TypeError(f"mounts must be a mapping of paths to paths; got {value!r}. {example}.")
    mounts = []
    for source, target in value.items():
        shown = f"{source!r}: {target!r}"
        if not isinstance(source, str | os.PathLike) or not isinstance(target, str | os.PathLike):
            raise TypeError(f"mounts must be a mapping of paths to paths; got {shown}. {example}.")
        path, _, mode = os.fspath(target).partition(":")
        if mode not in ("", "ro", "rw"):
            raise ValueError(f"mounts takes ':ro' and ':rw' after a path; got {shown}. {example}.")
        for one in (os.fspath(source), path):
            # the engines' own syntax has no way to write these
            if not one.startswith("/") or re.search(r"[,:\0\n\"]", one):
                raise ValueError(f'mounts must name full paths without any of , : "; got {shown}. {example}.')
        normal = os.path.normpath(path)
        if normal in ("/", _OWN) or normal.startswith(f"{_OWN}/"):
            raise ValueError(f"mounts must leave / and {_OWN} alone, which are ffnn's; got {shown}. {example}.")
        mounts.append(Mount(os.fspath(source), path, mode == "rw"))
    return tuple(mounts)


def check_environment(value: object) -> dict[str, str]:
    example = "Pass environment={'NAME': 'value'}"
    if not isinstance(value, Mapping):
        raise TypeError(f"environment must be a mapping of str to str; got {value!r}. {example}.")
    for name, text in value.items():
        # the value may be a secret: no message contains it
        if not isinstance(name, str) or not isinstance(text, str):
            raise TypeError(
                f"environment must be a mapping of str to str; got a {type(text).__name__} for {name!r}. {example}."
            )
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or "\0" in text:
            raise ValueError(f"environment must have names of letters, digits and _; got {name!r}. {example}.")
        if name.startswith("FFNN_"):
            raise ValueError(f"environment must leave alone what starts with FFNN_; got {name!r}. {example}.")
    if len(json.dumps(dict(value)).encode()) > _MOST_ENVIRONMENT:
        raise ValueError(
            f"environment must have at most {_MOST_ENVIRONMENT} bytes; got more. Put it in a file, and pass mounts=..."
        )
    return dict(value)


def check_hosts(hosts: object, n_workers: object) -> list[str]:
    """Check a list of hosts; their own class checks each address."""
    example = "Pass hosts=['alpha', 'user@beta:2222']"
    if isinstance(hosts, str) or not isinstance(hosts, Sequence):
        raise TypeError(f"hosts must be a list of str; got {hosts!r}. {example}.")
    if not hosts:
        raise ValueError(
            f"hosts must name at least one host; got {hosts!r}. {example}, or leave it out for this machine."
        )
    twice = [host for index, host in enumerate(hosts) if host in hosts[:index]]
    if twice:
        raise ValueError(f"hosts must name each host once; got {twice[0]!r} twice. Pass workers_per_host=2 instead.")
    if n_workers is not None:
        raise ValueError(
            f"n_workers counts containers on this machine; got {n_workers!r} beside hosts. "
            "Pass workers_per_host instead."
        )
    return list(hosts)
