"""Training: epochs, the order of rows, seeds and step sizes; knows no engine.

Everything random is a function of (root seed, epoch), so that a run that is interrupted, pickled and resumed equals one
that is not, on every engine.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse

from ffnn.exceptions import TrainingDivergedError
from ffnn.model import Array, EpochPlan, Model

if TYPE_CHECKING:
    from ffnn.schedules import Schedule
    from ffnn.solver import StochasticSolver

__all__ = ["TrainingLoop", "advice", "check_finite_targets", "epoch_plan", "initial_generator"]


#: Values beyond this are named where a training diverges.
_ORDINARY = 100.0
#: Up to so many rows, what is drawn for an epoch is kept for other fits; 512 epochs then take 8 MB.
_FEW = 2048


def advice(schedule: Schedule | None, data: Mapping[str, Any]) -> str:
    """Return the remedy for a training that diverged.

    Parameters
    ----------
    schedule : Schedule or None
        The learning rate; None for a solver that does not use it.
    data : mapping of str to array or sparse matrix
        The arrays that may be too large, by the names that a user knows.
    """
    sizes = {name: _largest(values) for name, values in data.items()}
    large = [f"{name} has values of up to {size:.2g}" for name, size in sizes.items() if not size <= _ORDINARY]
    how = "for instance with sklearn.preprocessing.StandardScaler"
    if not large:
        lower = "" if schedule is None else f"Lower learning_rate (it is {schedule}), and scale X, {how}."
        return lower or f"Scale X, {how}."
    lower = "" if schedule is None else f" If that is not enough, lower learning_rate (it is {schedule})."
    return f"{'; '.join(large)}. Scale what is so large, {how}, and look for outliers.{lower}"


def check_finite_targets(name: str, targets: Array, rows: Array | slice) -> None:
    """Refuse encoded targets that are not finite: numbers far larger than those of the first fit.

    Raises
    ------
    ValueError
        That names them.
    """
    if targets.dtype.kind == "f" and not np.isfinite(targets[rows]).all():
        raise ValueError(
            f"{name} has values that overflow {targets.dtype} when they are standardised by the mean and the standard "
            "deviation of the first fit's targets. Rescale them; or fit a new estimator, if the first were others."
        )


def _largest(values: Any) -> float:
    """Return the largest absolute value."""
    values = np.asarray(values.data if scipy.sparse.issparse(values) else values)
    return 0.0 if values.dtype.kind not in "fiu" or not values.size else float(max(values.max(), -values.min()))


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
    """Return the plan of an epoch.

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
        Corrects the step sizes and bounds the gradient.
    schedule : Schedule
        The learning rate.
    horizon : int
        The epoch at which the schedule ends.
    weight_decay : float
        The estimator's.
    """
    n_batches = -(-len(rows) // batch_size)
    if len(rows) <= _FEW:
        order, seeds = _kept_draws(rows.tobytes(), rows.dtype, root_seed, epoch, n_batches)
    else:
        order, seeds = _draws(rows, root_seed, epoch, n_batches)
    steps = np.arange(n_batches)
    learning_rates = schedule.rates(first_step + steps, epoch + steps / n_batches, float(horizon))
    return EpochPlan(
        order=order,
        batch_size=batch_size,
        step_sizes=solver.step_sizes(learning_rates, first_step),
        learning_rates=learning_rates,
        seeds=seeds,
        weight_decay=weight_decay,
        horizon=horizon,
        clip_norm=solver.clip_norm,
        clip_value=solver.clip_value,
    )


def _draws(rows: Array, root_seed: int, epoch: int, n_batches: int) -> tuple[Array, Array]:
    """Return the order of an epoch's rows, and the seeds of its batches."""
    # 1 + epoch: [root_seed, 0] draws the initial weights
    rng = np.random.default_rng([root_seed, 1 + epoch])
    return rng.permutation(rows), rng.integers(0, 2**31 - 1, size=(n_batches, 2), dtype=np.int32)


@functools.lru_cache(maxsize=512)
def _kept_draws(rows: bytes, dtype: np.dtype[Any], root_seed: int, epoch: int, n_batches: int) -> tuple[Array, Array]:
    """Return the same, drawn once for all fits: those of a search on one fold, say."""
    # a copy, as NumPy shuffles in place where there are no rows
    drawn = _draws(np.frombuffer(rows, dtype).copy(), root_seed, epoch, n_batches)
    for array in drawn:
        array.flags.writeable = False
    return drawn


@dataclass
class TrainingLoop:
    """The epochs of one call of ``fit`` or ``partial_fit``, which a solver runs.

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
        The seed of all random numbers, together with the epoch's number.
    on_epoch : callable
        Called as ``on_epoch(epoch, loss, learning_rate)``, with the rate of the last step, or None; a true answer stops
        the training.
    on_begin : callable
        Called as ``on_begin(epoch)`` before each epoch.
    advise : callable or None
        Returns the remedy for a training that has diverged; None names the learning rate and the scale of X.
    """

    model: Model
    rows: Array
    epochs: range
    batch_size: int
    schedule: Schedule
    horizon: int
    weight_decay: float
    root_seed: int
    on_epoch: Callable[[int, float, float | None], bool]
    on_begin: Callable[[int], None] = lambda epoch: None
    advise: Callable[[], str] | None = None
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
        """Announce that the next epoch begins, once; :meth:`end_epoch` does so where it was not called."""
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
        if not math.isfinite(loss):
            raise self._diverged(f"The training loss became {loss} in epoch {epoch}.")
        self.n_done += 1
        return self.on_epoch(epoch, loss, self.learning_rate)

    def check_finite(self) -> None:
        """Refuse a state that the last step has made useless: an epoch's loss is measured before its steps.

        Raises
        ------
        TrainingDivergedError
            If a weight is not finite, or so large that scores overflow.
        """
        if not self.model.is_finite():
            epoch = self.epochs.start + self.n_done - 1
            raise self._diverged(
                f"After the last step, in epoch {epoch}, there are weights that are not finite, or so large that the "
                "network's scores overflow."
            )

    def _diverged(self, what: str) -> TrainingDivergedError:
        advised = advice(self.schedule, {}) if self.advise is None else self.advise()
        return TrainingDivergedError(f"{what} {advised}")

    def finish(self, loss: float) -> None:
        """Record the loss of a run that ended where it began, without an epoch."""
        if self.n_done == 0:
            self.end_epoch(loss)
