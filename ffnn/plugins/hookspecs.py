"""The hooks through which a distribution registers what it has, one hook a kind of plugin.

A hook returns names and where their classes live, as text, and imports none of them: listing all plugins of a
machine starts no engine.
"""

# a specification has no body
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Final, Literal

import pluggy

__all__ = ["GROUP", "HOOKS", "Kind", "hookimpl", "hookspec"]

GROUP: Final = "ffnn"
"""The entry-point group, and pluggy's name of the project."""

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
"""The hook of each kind, in the order in which they are listed."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)
"""Marks a function as one of the hooks below: ``@ffnn.plugins.hookimpl``."""


@hookspec
def ffnn_builders() -> dict[str, str]:
    """Register builders: what turns a network into a trainable model on one engine.

    Returns
    -------
    dict of str to str
        ``{name: "package.module:Class"}``; the class derives from ``ffnn.builder.Builder`` and is selected by
        ``MLPClassifier(builder=name)``.
    """


@hookspec
def ffnn_inputs() -> dict[str, str]:
    """Register inputs: what takes X as the user gave it to the engine.

    Returns
    -------
    dict of str to str
        ``{name: "package.module:Class"}``; the class derives from ``ffnn.input.Input`` and is selected by
        ``MLPClassifier(input_layer=name)``, or by what it accepts where ``input_layer="auto"``.
    """


@hookspec
def ffnn_layers() -> dict[str, str]:
    """Register layers: one step of a hidden block.

    Returns
    -------
    dict of str to str
        ``{name: "package.module:Class"}``; the class derives from ``ffnn.layer.Layer`` and is selected by
        ``MLPClassifier(block=("dropout", name, "activation"))``.
    """


@hookspec
def ffnn_outputs() -> dict[str, str]:
    """Register outputs: what owns the targets, their encoding, their loss and their decoding.

    Returns
    -------
    dict of str to str
        ``{name: "package.module:Class"}``; the class derives from ``ffnn.output.Output`` and is selected by
        ``MLPClassifier(output_layer=name)``, or by the targets that it takes where ``output_layer="auto"``.
    """


@hookspec
def ffnn_solvers() -> dict[str, str]:
    """Register solvers: how a network is trained.

    Returns
    -------
    dict of str to str
        ``{name: "package.module:Class"}``; the class derives from ``ffnn.solver.Solver`` and is selected by
        ``MLPClassifier(solver=name)``.
    """


@hookspec
def ffnn_schedules() -> dict[str, str]:
    """Register schedules: how the learning rate changes while a network is trained.

    Returns
    -------
    dict of str to str
        ``{name: "package.module:Class"}``; the class derives from ``ffnn.schedule.Schedule`` and is selected by
        ``MLPClassifier(learning_rate=name)``.
    """


@hookspec
def ffnn_executors() -> dict[str, str]:
    """Register executors: what runs tasks somewhere else.

    Returns
    -------
    dict of str to str
        ``{name: "package.module:Class"}``; the class derives from ``ffnn.executor.Executor`` and is selected
        by ``ffnn.pool(name)``.
    """
