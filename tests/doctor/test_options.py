"""From the words of a command line to an executor's keyword arguments."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import pytest

from ffnn.doctor.options import UsageError, describe, parse, split


class Example:
    """An executor.

    Parameters
    ----------
    hosts : sequence of str
        Where ``workers`` run.
    n_workers : int, default=2
        How many, on all of
        the hosts.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        n_workers: int = 2,
        *,
        python: str = "python3",
        timeout: float | None = None,
        fresh: bool = False,
        memory: int | str | None = None,
        engine: str | Sequence[str] | None = None,
        config: str | os.PathLike[str] | None = None,
        workers: int | Mapping[str, int] = 1,
        environment: Mapping[str, str] | None = None,
        ports: tuple[int, ...] = (),
        label: Optional[str] = None,  # noqa: UP045 - strangers write so
        anything: Any = None,
        bare=None,
    ) -> None:
        pass


class Open:
    def __init__(self, **options: Any) -> None:
        pass


def read(line, kind=Example):
    return parse(kind, "example", split(line.split()))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {}),
        ("--hosts a b", {"hosts": ["a", "b"]}),
        ("--hosts a --n-workers 3 --hosts b", {"hosts": ["a", "b"], "n_workers": 3}),
        ("--hosts=a --hosts=-b", {"hosts": ["a", "-b"]}),
        ("--hosts 1 2", {"hosts": ["1", "2"]}),
        ("--python 3.11", {"python": "3.11"}),
        ("--timeout 2.5", {"timeout": 2.5}),
        ("--timeout 1e3", {"timeout": 1000.0}),
        ("--timeout none", {"timeout": None}),
        ("--n-workers -1", {"n_workers": -1}),
        ("--n-workers two", {"n_workers": "two"}),
        ("--fresh", {"fresh": True}),
        ("--fresh false", {"fresh": False}),
        ("--memory 4g", {"memory": "4g"}),
        ("--memory 4096", {"memory": 4096}),
        ("--engine docker", {"engine": "docker"}),
        ("--engine podman --engine=--runtime --engine runc", {"engine": ["podman", "--runtime", "runc"]}),
        ("--config 7", {"config": "7"}),
        ("--workers 2", {"workers": 2}),
        ("--workers a=1 b=2", {"workers": {"a": 1, "b": 2}}),
        ("--environment A=1 B=x=y C=", {"environment": {"A": "1", "B": "x=y", "C": ""}}),
        ("--ports 80", {"ports": [80]}),
        ("--label 1", {"label": "1"}),
        ("--anything 1 x", {"anything": [1, "x"]}),
        ("--bare 1", {"bare": 1}),
        ("--bare", {"bare": True}),
    ],
)
def test_values_become_what_the_annotation_says(line, expected):
    if "--hosts" not in line:
        line, expected = f"{line} --hosts h", {**expected, "hosts": ["h"]}
    assert read(line) == expected


def test_an_executor_that_takes_any_option_gets_it():
    assert read("--a-b 1 --c x y", Open) == {"a_b": 1, "c": ["x", "y"]}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("alpha", "'alpha' follows no option; write --option alpha, for instance --hosts alpha."),
        ("--hosts=a b", "'b' follows no option"),
        ("--host a", "the executor 'example' has no option --host. Did you mean --hosts? Its options: --hosts, --n-w"),
        ("--hosts a --jsn", "no option --jsn. Did you mean --json?"),
        ("--hosts a --zzz", "no option --zzz. Its options:"),
        ("--n-workers 2", "the executor 'example' needs --hosts."),
        ("--hosts a --n-workers", "--n-workers needs a value: --n-workers VALUE."),
        ("--hosts a --n-workers 2 3", "--n-workers takes one value; got '2 3'."),
        ("--hosts a --environment A", "--environment takes KEY=VALUE, once or more; got 'A'."),
        ("--hosts", "--hosts needs a value"),
        ("--hosts a --timeout 1 --timeout 2", "--timeout takes one value; got '1 2'."),
    ],
)
def test_what_is_wrong_is_named(line, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        read(line)


def test_options_are_described_by_their_class():
    text = describe(Example, "example")
    assert text.splitlines()[:5] == [
        "The options of example:",
        "  --hosts VALUE ...  (needed)",
        "      Where workers run.",
        "  --n-workers VALUE  (default: 2)",
        "      How many, on all of the hosts.",
    ]
    assert "  --fresh  (default: False)\n" in text
    assert "  --environment KEY=VALUE ...  (default: None)\n" in text


def test_a_short_question_for_help():
    assert split(["-h"]) == {"help": []}
