"""The hooks through which distributions register plugins, one for each kind.

A hook returns names and the locations of their classes as text and imports none of them, so listing all plugins of
a machine starts no engine.
"""

# hook specifications have no body
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Final, Literal

import pluggy

__all__ = ["GROUP", "HOOKS", "Kind", "hookimpl", "hookspec"]

GROUP: Final = "ffnn"
"""The entry-point group, and the name of the project for pluggy."""

Kind = Literal["builder", "input", "layer", "output", "solver", "schedule", "executor"]
"""The kinds of plugin."""

HOOKS: Final[dict[Kind, str]] = {
    "builder": "ffnn_builders",
    "input": "ffnn_inputs",
    "layer": "ffnn_layers",
    "output": "ffnn_outputs",
    "solver": "ffnn_solvers",
    "schedule": "ffnn_schedules",
    "executor": "ffnn_executors",
}
"""The hook of each kind, in the order of the listing."""

hookspec: Final[pluggy.HookspecMarker] = pluggy.HookspecMarker(GROUP)
hookimpl: Final[pluggy.HookimplMarker] = pluggy.HookimplMarker(GROUP)
"""Marks a function as one of the hooks below: ``@ffnn.plugins.hookimpl``."""


@hookspec
def ffnn_builders() -> dict[str, str]:
    """Register builders, which turn a network into a trainable model of an engine.

    Returns
    -------
    dict of str to str
        ``{name: "package.module:Class"}``; the class derives from ``ffnn.builder.Builder`` and is selected by
        ``MLPClassifier(builder=name)``.
    """


@hookspec
def ffnn_inputs() -> dict[str, str]:
    """Register inputs, which convert the user's X for the engine.

    Returns
    -------
    dict of str to str
        ``{name: "package.module:Class"}``; the class derives from ``ffnn.input.Input`` and is selected by
        ``MLPClassifier(input_layer=name)``, or with ``input_layer="auto"`` if it accepts X.
    """


@hookspec
def ffnn_layers() -> dict[str, str]:
    """Register layers, the steps of a hidden block.

    Returns
    -------
    dict of str to str
        ``{name: "package.module:Class"}``; the class derives from ``ffnn.layer.Layer`` and is selected by
        ``MLPClassifier(block=("dropout", name, "activation"))``.
    """


@hookspec
def ffnn_outputs() -> dict[str, str]:
    """Register outputs, which define the encoding of the targets, the loss and the decoding of predictions.

    Returns
    -------
    dict of str to str
        ``{name: "package.module:Class"}``; the class derives from ``ffnn.output.Output`` and is selected by
        ``MLPClassifier(output_layer=name)``, or with ``output_layer="auto"`` if it accepts the targets.
    """


@hookspec
def ffnn_solvers() -> dict[str, str]:
    """Register solvers, which train a network.

    Returns
    -------
    dict of str to str
        ``{name: "package.module:Class"}``; the class derives from ``ffnn.solver.Solver`` and is selected by
        ``MLPClassifier(solver=name)``.
    """


@hookspec
def ffnn_schedules() -> dict[str, str]:
    """Register schedules, which set the learning rate of each step.

    Returns
    -------
    dict of str to str
        ``{name: "package.module:Class"}``; the class derives from ``ffnn.schedule.Schedule`` and is selected by
        ``MLPClassifier(learning_rate=name)``.
    """


@hookspec
def ffnn_executors() -> dict[str, str]:
    """Register executors, which run tasks in other processes or on other machines.

    Returns
    -------
    dict of str to str
        ``{name: "package.module:Class"}``; the class derives from ``ffnn.executor.Executor`` and is selected
        by ``ffnn.pool(name)``.
    """
