"""A test class that lacks something is refused when it is collected, with what was expected and an example."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from ffnn.testing._base import installed_builders
from ffnn.testing.builders import BuilderSuite
from ffnn.testing.executors import ExecutorSuite
from ffnn.testing.inputs import InputSuite
from ffnn.testing.layers import LayerSuite
from ffnn.testing.outputs import OutputSuite
from ffnn.testing.schedules import ScheduleSuite
from ffnn.testing.solvers import SolverSuite
from ffnn_plugins.layers.affine import Affine
from ffnn_plugins.layers.residual import Residual
from tests.conftest import BUILDERS
from tests.plugins.test_registry import hook

SUITES = [BuilderSuite, InputSuite, LayerSuite, OutputSuite, ScheduleSuite, SolverSuite]


def collect(suite, **attributes):
    """Do as pytest does when it collects a test of the class."""
    cls = type("TestMine", (suite,), {"__module__": "test_mine", **attributes})
    cls().pytest_generate_tests(SimpleNamespace(fixturenames=()))


def refusal(suite, **attributes):
    with pytest.raises(pytest.fail.Exception) as caught:
        collect(suite, **attributes)
    return str(caught.value)


def test_our_builders_are_those_that_the_suites_run_on():
    assert set(BUILDERS) <= set(installed_builders())


def test_without_tensorflow_what_needs_its_operations_is_skipped(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    suite = type("Suite", (LayerSuite,), {"name": "affine"})()
    with pytest.raises(pytest.skip.Exception, match="TensorFlow, whose operations this test uses, is not installed"):
        suite.test_numpy_and_the_engine_agree(False)
    assert "tf" not in installed_builders()


@pytest.mark.parametrize("suite", SUITES)
def test_a_name_is_needed(suite):
    kind = suite.__name__.removesuffix("Suite").lower()
    assert refusal(suite) == (
        f"TestMine: {suite.__name__} needs `name`, the name that the {kind} is registered under. For example:\n\n"
        '    name = "example"\n'
    )


@pytest.mark.parametrize("suite", SUITES)
def test_the_name_must_be_registered(suite):
    message = refusal(suite, name="gone")
    assert "got 'gone'." in message
    assert message.endswith("(The suite tests what is installed: python -m pip install -e .)")


def test_targets_are_needed():
    expected = "an array of about 24 targets that the output takes"
    example = "For example:\n\n    y = np.arange(24) % 3\n"
    assert refusal(OutputSuite, name="binary") == f"TestMine: OutputSuite needs `y`, {expected}. {example}"
    given = {"of type list": [0, 1], "an array of 2": np.arange(2)}
    for got, y in given.items():
        message = refusal(OutputSuite, name="binary", y=y)
        assert message == f"TestMine: the attribute `y` must be {expected}; it is {got}. {example}"
    collect(OutputSuite, name="binary", y=np.arange(24) % 2)


def test_an_executor_must_be_made():
    assert refusal(ExecutorSuite) == (
        "TestMine: ExecutorSuite needs `make`, a method that makes an executor with that number of workers. "
        "For example:\n\n    def make(self, n_workers):\n        return MyExecutor(n_workers)\n"
    )


def test_a_class_is_no_instance():
    assert refusal(LayerSuite, name="affine", layer=Affine) == (
        "TestMine: the attribute `layer` must be an instance of Layer, or None to make one by its name; "
        "got the class Affine."
    )


def test_a_plugin_that_needs_arguments_is_given_or_made(install):
    source = hook("layer", "return {'needy': 'stranger:Needy'}")
    source += "from ffnn.layer import Layer\nclass Needy(Layer):\n    def __init__(self, rate): pass\n"
    install("stranger", "any = stranger", stranger=source + "    forward = None\n")
    assert "give layer an instance, Needy(...), instead of its name" in refusal(LayerSuite, name="needy")
    collect(LayerSuite, name="needy", make=lambda self: None)
    collect(LayerSuite, name="residual", layer=Residual(("affine",)))
