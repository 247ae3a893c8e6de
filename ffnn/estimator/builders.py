"""The builder of an estimator: named by its parameter or, for ``"auto"``, the most suitable one."""

from __future__ import annotations

import contextlib
import copy
import functools
import warnings
from typing import Any

from ffnn._utils.checks import check_device
from ffnn.builder import Builder
from ffnn.exceptions import EngineNotInstalledError, FfnnError
from ffnn.network import Network
from ffnn.plugins import registry
from ffnn.solver import Solver

__all__ = ["builder_for", "builder_of", "named_builder"]

#: The candidates of ``builder="auto"``, in this order. Third-party builders are not among them, since asking them would
#: import their engines.
_CANDIDATES = ("native", "tf")


def named_builder(estimator: Any) -> Builder | None:
    """Return the builder named by the estimator's parameter, with an installed engine; None for ``"auto"``.

    Raises
    ------
    TypeError, ValueError
        If there is no such builder, its engine is not installed, or it has no parameter ``device``.
    """
    if isinstance(estimator.builder, str) and estimator.builder == "auto":
        check_device("device", estimator.device)
        return None
    return _ready(estimator.builder, estimator.device)


def builder_for(estimator: Any, network: Network, solver: Solver, n_rows: int, batch_size: int) -> tuple[str, Builder]:
    """Return the builder to train a network with, and its name.

    ``"auto"`` keeps ``builder_``, the builder that has trained the estimator before, if possible.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        The estimator, with its parameters ``builder`` and ``device``, and ``builder_`` if it is fitted.
    network : Network
        The description.
    solver : Solver
        The solver.
    n_rows, batch_size : int
        The number of samples, and the number per step.

    Raises
    ------
    TypeError, ValueError
        If there is no such builder, or it cannot build the network.
    """
    named = named_builder(estimator)
    if named is not None:
        named.check_network(network, solver)
        given = estimator.builder
        return given if isinstance(given, str) else type(given).__name__, named
    before = getattr(estimator, "builder_", None)
    if before is not None:
        with contextlib.suppress(FfnnError, ValueError):  # not installed here, or the parameters have changed
            builder = _ready(before, estimator.device)
            if not estimator._fitted.is_on(builder):
                builder.check_network(network, solver)
            return before, builder
    return _chosen(estimator.device, network, solver, n_rows, batch_size)


def builder_of(estimator: Any) -> Builder:
    """Return the builder of a fitted estimator, for its predictions."""
    named = named_builder(estimator)
    if named is not None:
        return named
    return builder_for(estimator, estimator.network_, estimator._fitted.solver, n_rows=1, batch_size=1)[1]


def _ready(spec: Any, device: str | None) -> Builder:
    """Return the builder for a name or an instance, on the device, if it is installed."""
    builder: Builder = registry.resolve("builder", spec, "builder", Builder)
    if check_device("device", device) is not None:
        if "device" not in builder.get_params(deep=False):
            raise ValueError(
                f"device={device!r}: {builder!r} has no parameter device. Use None, which leaves the choice to it."
            )
        builder = copy.copy(builder).set_params(device=device)
    builder.check_installed()
    return builder


def _chosen(device: str | None, network: Network, solver: Solver, n_rows: int, batch_size: int) -> tuple[str, Builder]:
    """Return the first candidate that suits the training, or else the last that can train the network."""
    able: list[tuple[str, Builder]] = []
    refusals: dict[str, Exception] = {}
    for name in _CANDIDATES:
        try:
            builder = _ready(name, device)
            builder.check_network(network, solver)
        except (FfnnError, ValueError) as error:
            refusals[name] = error
            continue
        able.append((name, builder))
        if builder.suits(network, solver, n_rows, batch_size):
            break
    if not able:
        reasons = "".join(f"\n  {error}" for error in refusals.values())
        raise EngineNotInstalledError(f"builder='auto': none of its builders can train this network here.{reasons}")
    for refusal in refusals.values():
        if isinstance(refusal, EngineNotInstalledError):
            _warn_once(f"builder='auto' takes {able[-1][0]!r} instead of another builder that is not there: {refusal}")
    return able[-1]


@functools.cache
def _warn_once(message: str) -> None:
    warnings.warn(message, stacklevel=2)
