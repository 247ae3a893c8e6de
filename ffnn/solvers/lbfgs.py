"""The ``lbfgs`` solver: SciPy's L-BFGS over the whole data set."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning

from ffnn._utils.checks import check_integer, check_number
from ffnn.model import Array, Arrays
from ffnn.solver import Solver

if TYPE_CHECKING:
    from ffnn.solver import Training

__all__ = ["LBFGS"]


#: SciPy's status when the iterations or evaluations have reached their limit, and when a line search has failed.
_LIMIT, _FAILED = 1, 2


class LBFGS(Solver):
    """L-BFGS over the whole data set, by ``scipy.optimize``; ``n_epochs`` bounds its iterations (200 by default).

    It issues a ``ConvergenceWarning`` if it ends without finding a minimum. Dropout is off, since the objective must
    not change between calls. The learning rate is not used, since a line search finds the step.

    D. C. Liu and J. Nocedal (1989), "On the limited memory BFGS method for large scale optimization".

    Parameters
    ----------
    memory : int
        The number of past steps used to approximate the curvature.
    tol : float
        Iterations end when the largest absolute entry of the gradient is below it.
    max_evaluations : int
        The largest number of evaluations of the loss in each iteration's line search.
    """

    dtype: ClassVar[str | None] = "float64"
    stochastic = False

    def __init__(self, memory: int = 10, tol: float = 1e-5, max_evaluations: int = 20) -> None:
        self.memory = memory
        self.tol = tol
        self.max_evaluations = max_evaluations

    def epochs_for(self, n_batches: int) -> int:
        return 200  # scikit-learn's limit of iterations

    def check(self) -> None:
        remedy = "It is the number of past steps remembered; 10 is usual."
        check_integer("LBFGS.memory", self.memory, remedy, most=1000)
        check_number("LBFGS.tol", self.tol, "It is the gradient at which to stop; 1e-5 is usual.")
        check_integer(
            "LBFGS.max_evaluations", self.max_evaluations, "It bounds a line search; 20 is usual.", most=10_000
        )

    def train(self, training: Training) -> None:
        model, decay = training.model, training.weight_decay
        state = model.get_state()
        names = list(model.trainable)
        loss = 0.0

        def objective(vector: Array) -> tuple[float, Array]:
            nonlocal loss
            training.begin_epoch()  # at every evaluation, since only SciPy knows which one begins an iteration
            weights = _unflatten(vector, names, state.weights)
            loss, gradient = model.loss_and_gradient(weights)
            penalty = 0.0
            for name in names:
                if decay and model.trainable[name]:
                    penalty += decay / 2 * float(np.sum(np.square(weights[name], dtype=np.float64)))
                    gradient[name] = gradient[name] + decay * weights[name]
            return loss + penalty, _flatten(gradient, names)

        def end_iteration(intermediate_result: scipy.optimize.OptimizeResult) -> None:
            # the accepted point is the last one evaluated, so the model already has its weights
            if training.end_epoch(loss):
                raise StopIteration

        result = scipy.optimize.minimize(
            objective,
            _flatten(state.weights, names),
            jac=True,
            method="L-BFGS-B",
            callback=end_iteration,
            options={
                "maxiter": len(training.epochs),
                "maxcor": int(self.memory),
                "maxls": int(self.max_evaluations),
                "maxfun": len(training.epochs) * int(self.max_evaluations),
                "gtol": self.tol,
                "ftol": 64 * np.finfo(np.float64).eps,
            },
        )
        training.finish(loss)
        _warn_unless_converged(result, len(training.epochs))
        state.weights.update(_unflatten(result.x, names, state.weights))
        state.step += int(result.nit)
        model.set_state(state)


def _warn_unless_converged(result: scipy.optimize.OptimizeResult, n_epochs: int) -> None:
    """Warn if the iterations ended before a minimum was found, unless a listener, such as a monitor, stopped them."""
    if result.status not in (_LIMIT, _FAILED):
        return
    if result.status == _FAILED:
        reason = "ended in a line search that found no smaller loss"
        remedy = (
            "Scale X, or raise LBFGS.max_evaluations; in float32 use dtype='float64'; for a loss with kinks use "
            "another solver, such as 'adam'"
        )
    elif result.nit >= n_epochs:
        reason, remedy = "has not converged: n_epochs is too small", "Raise n_epochs, or scale X"
    else:
        reason = "has used up its evaluations of the loss"
        remedy = "Raise LBFGS.max_evaluations or n_epochs, or scale X"
    warnings.warn(
        f"solver='lbfgs' {reason}, after {result.nit} iterations. {remedy}.", ConvergenceWarning, stacklevel=2
    )


def _flatten(arrays: Arrays, names: list[str]) -> Array:
    return np.concatenate([arrays[name].ravel() for name in names]).astype(np.float64, copy=False)


def _unflatten(vector: Array, names: list[str], like: Arrays) -> Arrays:
    """Return the slices of ``vector`` in the shapes and dtypes of ``like``."""
    ends = np.cumsum([like[name].size for name in names])
    parts = np.split(vector, ends[:-1])
    return {
        name: part.reshape(like[name].shape).astype(like[name].dtype, copy=False)
        for name, part in zip(names, parts, strict=True)
    }
