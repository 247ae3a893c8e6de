"""The seam between the core and an engine: a model, its state, the plan of an epoch, a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

__all__ = ["Array", "Arrays", "EpochPlan", "Model", "Rows", "State"]

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, Array]


@dataclass(frozen=True)
class Rows:
    """A data set, prepared by its input for a model.

    Parameters
    ----------
    arrays : tuple of ndarray
        The arrays that the input gathers batches from.
    n_rows : int
        The number of samples.
    """

    arrays: tuple[np.ndarray[Any, Any], ...]
    n_rows: int


@dataclass
class State:
    """The state of a model, as plain arrays: everything that training changes.

    Parameters
    ----------
    weights : dict of str to ndarray
        The weights by name, including those that are not trained by gradients, such as moving means.
    slots : dict of str to ndarray
        The solver's arrays for each weight, by ``"<weight>/<slot>"``. Empty before the first step.
    step : int
        The number of steps taken.
    """

    weights: Arrays
    slots: Arrays = field(default_factory=dict)
    step: int = 0


@dataclass(frozen=True)
class EpochPlan:
    """The plan of an epoch, which the core makes, so that all builders train in the same way.

    Parameters
    ----------
    order : int32 or int64 ndarray of shape (n_rows,)
        The rows in the order of training. Batch i is ``order[i * batch_size:(i + 1) * batch_size]``.
    batch_size : int
        The rows of a batch; the last one may be smaller.
    step_sizes : float64 ndarray of shape (n_batches,)
        The learning rate of each step times the solver's bias correction.
    learning_rates : float64 ndarray of shape (n_batches,)
        The learning rate of each step, for decoupled weight decay.
    seeds : int32 ndarray of shape (n_batches, 2)
        The seed of each step's random draws.
    weight_decay : float
        The strength of the weight decay; see :attr:`ffnn.solver.Solver.decoupled`.
    horizon : int
        The epoch at which the training ends; builders may compile programs for long trainings.
    clip_norm, clip_value : float, optional
        The bound of each step's gradient, see :func:`ffnn.solver.clipped`; at most one of them.
    """

    order: Array
    batch_size: int
    step_sizes: Array
    learning_rates: Array
    seeds: Array
    weight_decay: float
    horizon: int
    clip_norm: float | None = None
    clip_value: float | None = None

    @property
    def clipping(self) -> dict[str, float]:
        """The bound of the gradient by its name; empty without one."""
        bounds = {"clip_norm": self.clip_norm, "clip_value": self.clip_value}
        return {name: bound for name, bound in bounds.items() if bound is not None}

    @property
    def n_batches(self) -> int:
        """The number of steps."""
        return len(self.step_sizes)

    def steps(self, start: int, stop: int) -> EpochPlan:
        """Return the plan of some of the steps."""
        span = slice(start, stop)
        return replace(
            self,
            order=self.order[start * self.batch_size : stop * self.batch_size],
            step_sizes=self.step_sizes[span],
            learning_rates=self.learning_rates[span],
            seeds=self.seeds[span],
        )

    def batch(self, i: int) -> Array:
        """Return the rows of batch ``i``."""
        return self.order[i * self.batch_size : (i + 1) * self.batch_size]


class Model(Protocol):
    """A network on an engine, with the weights of one fit; all fits of an architecture share programs.

    It does not depend on scikit-learn. Its state is exchanged as NumPy arrays; nothing else is pickled.
    """

    @property
    def trainable(self) -> Mapping[str, bool]:
        """The names of the trained weights, in order, and whether weight decay acts on each."""
        ...

    def initial_weights(self, rng: np.random.Generator) -> Arrays:
        """Return new initial weights, which depend on the generator's state only."""
        ...

    def set_state(self, state: State) -> None:
        """Set weights, slots (to their initial values if missing) and step.

        Raises
        ------
        ValueError
            If the names or shapes of the arrays are not those of this model.
        """
        ...

    def get_state(self) -> State:
        """Return a copy of the whole state."""
        ...

    def get_step(self) -> int:
        """Return the number of steps taken."""
        ...

    def is_finite(self) -> bool:
        """Return whether the whole state is finite, and the squares of the trained weights are, too.

        With larger weights, scores overflow. This is called once after the last step of a training; only the answer
        should be transferred from the engine.
        """
        ...

    def load(self, x: Rows, targets: Array, weight: Array) -> None:
        """Load a data set for :meth:`train_epoch` and :meth:`loss_and_gradient`.

        Parameters
        ----------
        x : Rows
            The samples, prepared by the network's input.
        targets : ndarray of shape (n_rows,) or (n_rows, n_outputs)
            The targets, encoded by the network's output.
        weight : ndarray of shape (n_rows,)
            The sample weights.
        """
        ...

    def unload(self) -> None:
        """Release the data set."""
        ...

    def train_epoch(self, plan: EpochPlan) -> float:
        """Train one epoch; return the weighted mean of the losses of its batches before their steps."""
        ...

    def loss_and_gradient(self, weights: Arrays) -> tuple[float, Arrays]:
        """Return the mean loss over the data set at the given weights, without dropout, and its gradient.

        The model keeps these weights.
        """
        ...

    def forward(self, x: Rows, layer: int | None = None) -> Array:
        """Return the scores, of shape (n_rows, n_outputs), computed in tiles of a fixed number of rows.

        So a row's scores do not depend on the other rows.

        Parameters
        ----------
        x : Rows
            The samples, prepared by the network's input.
        layer : int, optional
            The number of a hidden layer, from 0, whose values of shape (n_rows, n_units) are returned instead.
        """
        ...

    def input_gradient(self, x: Rows) -> Array:
        """Return the gradients of the scores with respect to X, of shape (n_rows, n_outputs, n_features).

        They are computed without dropout, in tiles as in :meth:`forward`. Every feature has a gradient, also those that
        sparse rows do not store.
        """
        ...

    @property
    def native(self) -> Any:
        """The engine's own object, which the estimator returns as ``model_``."""
        ...
