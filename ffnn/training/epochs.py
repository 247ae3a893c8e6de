"""Training: epochs, the order of rows, seeds and step sizes; knows no engine.

Everything random is a function of (root seed, epoch), so that a run that is interrupted, pickled and resumed equals one
that is not, on every engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ffnn.exceptions import TrainingDivergedError
from ffnn.model import Array, EpochPlan, Model

if TYPE_CHECKING:
    from ffnn.schedules import Schedule
    from ffnn.solver import StochasticSolver

__all__ = ["Training", "epoch_plan", "initial_generator"]


def initial_generator(root_seed: int) -> np.random.Generator:
    """Return the generator of the initial weights."""
    return np.random.default_rng([root_seed, 0])


def epoch_plan(
    rows: Array,
    *,
    batch_size: int,
    root_seed: int,
    epoch: int,
    first_step: int,
    solver: StochasticSolver,
    schedule: Schedule,
    horizon: int,
    weight_decay: float,
) -> EpochPlan:
    """Return what an epoch does.

    Parameters
    ----------
    rows : integer ndarray of shape (n_rows,)
        The rows to train on.
    batch_size : int
        The rows of a batch; the last one may have fewer, and no batch is empty.
    root_seed : int
        The estimator's seed.
    epoch, first_step : int
        The number of epochs and of steps done before.
    solver : StochasticSolver
        What corrects the step sizes and bounds the gradient.
    schedule : Schedule
        The learning rate.
    horizon : int
        The epoch at which the schedule ends.
    weight_decay : float
        The estimator's.
    """
    # 1 + epoch: [root_seed, 0] draws the initial weights
    rng = np.random.default_rng([root_seed, 1 + epoch])
    n_batches = -(-len(rows) // batch_size)
    steps = np.arange(n_batches)
    learning_rates = schedule.rates(first_step + steps, epoch + steps / n_batches, float(horizon))
    return EpochPlan(
        order=rng.permutation(rows),
        batch_size=batch_size,
        step_sizes=solver.step_sizes(learning_rates, first_step),
        learning_rates=learning_rates,
        seeds=rng.integers(0, 2**31 - 1, size=(n_batches, 2), dtype=np.int32),
        weight_decay=weight_decay,
        horizon=horizon,
        clip_norm=solver.clip_norm,
        clip_value=solver.clip_value,
    )


@dataclass
class Training:
    """One call of ``fit`` or ``partial_fit``, as a solver sees it.

    Parameters
    ----------
    model : Model
        The model, its state set and its data loaded.
    rows : integer ndarray
        The rows of the data to train on: those of positive sample weight.
    epochs : range
        The epochs to do, counted from the estimator's first.
    batch_size, weight_decay
        The estimator's.
    schedule : Schedule
        The learning rate.
    horizon : int
        The epoch at which the schedule ends.
    root_seed : int
        What all random numbers are a function of, with the epoch.
    on_epoch : callable
        Called as ``on_epoch(epoch, loss)``; a true answer stops the training.
    on_begin : callable
        Called as ``on_begin(epoch)`` before each epoch.
    """

    model: Model
    rows: Array
    epochs: range
    batch_size: int
    schedule: Schedule
    horizon: int
    weight_decay: float
    root_seed: int
    on_epoch: Callable[[int, float], bool]
    on_begin: Callable[[int], None] = lambda epoch: None
    n_done: int = field(default=0, init=False)
    learning_rate: float | None = field(default=None, init=False)
    _n_begun: int = field(default=0, init=False)

    def plan(self, epoch: int, solver: StochasticSolver, first_step: int) -> EpochPlan:
        """Return the plan of an epoch; :attr:`learning_rate` is then that of its last step."""
        plan = epoch_plan(
            self.rows,
            batch_size=self.batch_size,
            root_seed=self.root_seed,
            epoch=epoch,
            first_step=first_step,
            solver=solver,
            schedule=self.schedule,
            horizon=self.horizon,
            weight_decay=self.weight_decay,
        )
        self.learning_rate = float(plan.learning_rates[-1])
        return plan

    def begin_epoch(self) -> None:
        """Say that the next epoch begins; once is enough, and :meth:`end_epoch` does it where nobody did."""
        if self._n_begun == self.n_done:
            self._n_begun += 1
            self.on_begin(self.epochs.start + self.n_done)

    def end_epoch(self, loss: float) -> bool:
        """Record an epoch's loss; return whether to stop.

        Raises
        ------
        TrainingDivergedError
            If the loss is not finite.
        """
        self.begin_epoch()
        epoch = self.epochs.start + self.n_done
        if not np.isfinite(loss):
            raise TrainingDivergedError(
                f"The training loss became {loss} in epoch {epoch}. Lower learning_rate (it is {self.schedule}), and "
                "scale X, for instance with sklearn.preprocessing.StandardScaler."
            )
        self.n_done += 1
        return self.on_epoch(epoch, loss)

    def finish(self, loss: float) -> None:
        """Record the loss of a run that ended where it began, without an epoch."""
        if self.n_done == 0:
            self.end_epoch(loss)
