"""One small plugin of each of ffnn's kinds. The hooks name classes as text, so that listing them imports none."""

from __future__ import annotations

from ffnn.plugins import hookimpl


@hookimpl
def ffnn_builders() -> dict[str, str]:
    """Name the builders."""
    return {"example": "ffnn_example.builder:TimedBuilder"}


@hookimpl
def ffnn_inputs() -> dict[str, str]:
    """Name the inputs."""
    return {"example": "ffnn_example.input:SignedLogInput"}


@hookimpl
def ffnn_layers() -> dict[str, str]:
    """Name the layers."""
    return {"example": "ffnn_example.layer:Scale"}


@hookimpl
def ffnn_outputs() -> dict[str, str]:
    """Name the outputs."""
    return {"example": "ffnn_example.output:LogCoshOutput"}


@hookimpl
def ffnn_solvers() -> dict[str, str]:
    """Name the solvers."""
    return {"example": "ffnn_example.solver:SignDescent"}


@hookimpl
def ffnn_schedules() -> dict[str, str]:
    """Name the schedules."""
    return {"example": "ffnn_example.schedule:HalfTime"}


@hookimpl
def ffnn_executors() -> dict[str, str]:
    """Name the executors."""
    return {"example": "ffnn_example.executor:ThreadExecutor"}
