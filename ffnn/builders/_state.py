"""What every builder's model does with a state, whatever the engine's variables are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ffnn.model import Arrays, State
from ffnn.solver import Solver, StochasticSolver

__all__ = ["Specs", "check_weights", "fill_slots"]

Specs = Mapping[str, tuple[tuple[int, ...], str]]
"""Shape and dtype of weights by name."""


def check_weights(weights: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights of another architecture.

    Raises
    ------
    ValueError
        If names or shapes differ.
    """
    arrived = {name: tuple(array.shape) for name, array in weights.items()}
    expected = {name: tuple(shape) for name, shape in shapes.items()}
    if arrived != expected:
        raise ValueError(
            f"The weights are those of another architecture: expected {expected}, got {arrived}. "
            "Fit the estimator anew."
        )


def fill_slots(
    state: State,
    solver: Solver,
    names: Iterable[str],
    slots: Sequence[Sequence[Any]],
    assign: Callable[[Any, Any], Any],
) -> None:
    """Assign a state's slots, where it has any, to the variables of each weight's slots."""
    if not state.slots or not isinstance(solver, StochasticSolver):
        return
    for name, variables in zip(names, slots, strict=True):
        for slot, variable in zip(solver.slots, variables, strict=True):
            assign(variable, state.slots[f"{name}/{slot}"])
