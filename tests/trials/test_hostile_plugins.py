"""Plugins whose objects raise at every touch: each costs itself, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest

import ffnn.exceptions as errors
from ffnn import MLPClassifier
from ffnn.plugins import registry

COMMAND = Path(sys.executable).with_name("ffnn")

HEADER = """
from collections.abc import Mapping
from ffnn.plugins import hookimpl

class Stop(BaseException):
    pass

class Loud(Exception):
    def __str__(self):
        raise Stop("str")
    __repr__ = __str__

def fail(*arguments):
    raise Loud

class Fails:
    __repr__ = __str__ = __eq__ = __hash__ = __len__ = __iter__ = __bool__ = __getattr__ = fail
    __class__ = property(fail)

class Name(str):
    __repr__ = __str__ = __eq__ = __len__ = __bool__ = __contains__ = __format__ = __lt__ = fail
    __hash__ = str.__hash__

class Meta(type):
    __name__ = property(fail)
    __repr__ = fail

class Nameless(Exception, metaclass=Meta):
    pass

class Items(Mapping):
    def __init__(self, items):
        self._items = items
    __getitem__ = __len__ = __iter__ = fail
    def items(self):
        return self._items()
"""

HOSTILE = {
    "an object whose repr raises": "return Fails()",
    "a mapping whose items raises": "return Items(fail)",
    "a mapping whose items raises half way": "return Items(lambda: iter([('scale', 'a:B'), fail]))",
    "a mapping of single values": "return Items(lambda: iter([1]))",
    "a mapping without end": "import itertools; return Items(lambda: ((f'n{i}', 'a:B') for i in itertools.count()))",
    "a key whose methods raise": "return Items(lambda: [(Fails(), 'a:B')])",
    "a target whose methods raise": "return {'scale': Fails()}",
    "a name of a hostile class": "return {'sound': 'a:B', Name('bad name '): 'a:B'}",
    "an error whose str raises": "raise Loud",
    "an error whose type has no name": "raise Nameless",
    "a BaseException": "raise Stop('no')",
    "GeneratorExit": "raise GeneratorExit",
    "recursion": "from ffnn.plugins import registry; registry.entries(); return ffnn_layers()",
    "a number too long to show": "return 10 ** 5000",
    "a newline": "return {'scale\\nexecutor  mine': 'a:B'}",
    "a terminal's escape": "return {'scale\\x1b[2J': 'a:B'}",
    "text from right to left": "return {'scale\\u202e': 'a:B'}",
    "a lone surrogate": "return {'scale\\ud800': 'a:B'}",
    "spaces": "return {' affine': 'a:B'}",
    "a long name": "return {'n' * 101: 'a:B'}",
}  # fmt: skip


def layers(body: str) -> str:
    return HEADER + f"\n@hookimpl\ndef ffnn_layers():\n    {body}\n"


def listed() -> list[registry.Entry]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.PluginWarning)
        return registry.entries()


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_a_hook_returns_or_raises_costs_that_plugin_alone(name, install):
    install("hostile", "any = hostile", hostile=layers(HOSTILE[name]))
    install("sound", "any = sound", sound=layers("return {'other': 'sound:Other'}"))
    entries = listed()
    problems = [entry for entry in entries if entry.error]
    assert [entry.distribution for entry in problems] == ["hostile"]
    assert all(f"{entry.label}: {entry.error}".isprintable() for entry in entries)
    assert {"affine", "other"} <= set(registry.names("layer"))
    assert MLPClassifier(n_epochs=1).fit([[0.0], [1.0]], [0, 1]).n_iter_ == 1


def test_a_name_of_a_hostile_class_becomes_plain_text(install):
    install("hostile", "any = hostile", hostile=layers("return {Name('scale'): Name('hostile:Stop')}"))
    (entry,) = [entry for entry in listed() if entry.distribution == "hostile"]
    assert entry == registry.Entry("layer", "scale", "hostile:Stop", "hostile", "1.2", None)
    assert {type(entry.name), type(entry.target)} == {str}


@pytest.mark.parametrize("source", ["raise Stop", "raise Loud", "raise Nameless", "raise GeneratorExit"])
def test_a_plugin_that_raises_anything_while_it_is_imported_is_reported(source, install):
    install("hostile", "any = hostile", hostile=f"{HEADER}\n{source}")
    (entry,) = [entry for entry in listed() if entry.error]
    assert entry.error.startswith("could not be loaded: ")


def test_a_plugin_object_that_cannot_be_compared_leaves_the_next_plugin_alone(install):
    source = HEADER + textwrap.dedent("""
        class Hooks:
            __eq__ = __repr__ = fail
            @hookimpl
            def ffnn_layers(self):
                return {'scale': 'a:B'}
        hooks = Hooks()
        """)
    install("aaa", "any = aaa:hooks", aaa=source)
    install("sound", "any = sound", sound=layers("return {'other': 'sound:Other'}"))
    listed()
    assert "other" in registry.names("layer")


def test_one_object_under_two_entry_points_keeps_its_names(install):
    install("twice", "one = twice", "two = twice", twice=layers("return {'scale': 'a:B'}"))
    (entry,) = [entry for entry in listed() if entry.error]
    assert (entry.name, entry.error) == (
        "two",
        "is the same object as that of another entry point; remove one of the two",
    )
    assert "scale" in registry.names("layer")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"[ffnn]\nno equals sign\n"])
def test_a_distribution_with_unreadable_entry_points_leaves_the_others(content, install):
    site = install("broken")
    install("sound", "any = sound", sound=layers("return {'other': 'sound:Other'}"))
    (site / "broken-1.2.dist-info" / "entry_points.txt").write_bytes(content)
    listed()
    assert {"affine", "other"} <= set(registry.names("layer"))


def test_metadata_that_is_no_text_is_shown_on_one_line(install):
    site = install("odd", "any = odd", odd="raise ImportError('one\\ntwo\\x1b[2J')")
    (site / "odd-1.2.dist-info" / "METADATA").write_bytes(b"Metadata-Version: 2.1\nName: odd\xff\nVersion: 1\x1b[2J\n")
    (entry,) = [entry for entry in listed() if entry.error]
    assert entry.error == r"could not be loaded: ImportError: one two\x1b[2J"
    assert entry.label.isprintable()


CHOOSERS = {
    "raises": "accepts = classmethod(fail)",
    "has no such method": "accepts = None",
    "stops": "@classmethod\n    def accepts(cls, *arguments):\n        raise Stop",
    "answers with an array": "@classmethod\n    def accepts(cls, *arguments):\n        return Fails()",
    "cannot be made": "accepts = classmethod(lambda *arguments: True)\n    __init__ = fail",
    "is something else": "accepts = classmethod(lambda *arguments: True)",
}


@pytest.mark.parametrize("name", CHOOSERS)
def test_a_class_that_fails_when_it_is_asked_is_passed_over(name, install):
    source = HEADER + textwrap.dedent("""
        @hookimpl
        def ffnn_outputs():
            return {'mine': 'hostile:Mine'}

        class Mine(metaclass=META):
            estimator_type = 'classifier'
            BODY
        """).replace("BODY", CHOOSERS[name]).replace("META", "Meta" if name == "raises" else "type")
    install("hostile", "any = hostile", hostile=source)
    y = np.array([[0, 1], [2, 1]])  # no output of ours takes it
    match = "the output 'mine' is skipped: "
    with pytest.warns(errors.PluginWarning, match=match), pytest.raises(ValueError, match="no output takes a y"):
        MLPClassifier(n_epochs=1).fit([[0.0], [1.0]], y)


def test_ffnn_plugins_lists_the_others_beside_hostile_ones(install, monkeypatch):
    install("hostile", "any = hostile", hostile=layers("return Items(lambda: [(Fails(), 'a:B'), ('b\\nc', 'a:B')])"))
    site = install("sound", "any = sound", sound=layers("return {'other': 'sound:Other'}"))
    monkeypatch.setenv("PYTHONPATH", str(site))
    for command in (["plugins"], ["doctor", "--help", "--executor", "multiprocessing"]):
        done = subprocess.run([COMMAND, *command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0
        assert "Traceback" not in done.stderr
        if command == ["plugins"]:
            assert "sound:Other" in done.stdout
            assert len(done.stderr.splitlines()) == 2
