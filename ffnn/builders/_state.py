"""The variables of a fit, and what every builder's model does with a state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ffnn.model import Arrays, State
from ffnn.solver import Solver, StochasticSolver

__all__ = ["Specs", "Variables", "check_weights", "fill_slots"]

Specs = Mapping[str, tuple[tuple[int, ...], str]]
"""Shape and dtype of weights by name."""


class Variables(NamedTuple):
    """The variables of one fit, or arrays on an engine without variables.

    This is a named tuple since engines trace functions of nested tuples and lists.

    Parameters
    ----------
    weights : list
        The weights trained by gradients.
    extras : list
        The weights that are learned in other ways, such as moving means.
    slots : list of list
        The solver's slots, one list per trained weight.
    """

    weights: list[Any]
    extras: list[Any]
    slots: list[list[Any]]

    def without(self, k: int) -> Variables:
        """Return all but the trained weight at position ``k``, and its slots."""
        return Variables(
            [*self.weights[:k], *self.weights[k + 1 :]], self.extras, [*self.slots[:k], *self.slots[k + 1 :]]
        )

    def without_slots(self) -> Variables:
        """Return the weights and extras, which are all that a prediction reads."""
        return Variables(self.weights, self.extras, [])


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
    """Assign a state's slots, if it has any, to the variables of each weight's slots."""
    if not state.slots or not isinstance(solver, StochasticSolver):
        return
    for name, variables in zip(names, slots, strict=True):
        for slot, variable in zip(solver.slots, variables, strict=True):
            assign(variable, state.slots[f"{name}/{slot}"])
