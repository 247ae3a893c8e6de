"""The base classes of solvers, which train a network.

A stochastic solver's update is written once, in terms of a builder's operations. The size of each step (schedule × bias
correction) is computed here in float64 and passed to the builder, since engines that compute it themselves drift apart.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

from sklearn.base import BaseEstimator

from ffnn._utils.checks import check_number
from ffnn._utils.documentation import DocumentedMixin
from ffnn._utils.keys import parameters_key
from ffnn.model import Array, EpochPlan, Model

if TYPE_CHECKING:
    from ffnn.lazy_rows import LazyRows
    from ffnn.ops import Ops, Tensor

__all__ = ["Solver", "StochasticSolver", "Training", "clipped"]


class Training(Protocol):
    """A call of ``fit`` or ``partial_fit``, as a solver sees it."""

    model: Model
    epochs: range
    weight_decay: float

    def plan(self, epoch: int, solver: StochasticSolver, first_step: int) -> EpochPlan:
        """Return the plan of an epoch."""
        ...

    def begin_epoch(self) -> None:
        """Announce that the next epoch begins; :meth:`end_epoch` does so where it was not called."""
        ...

    def end_epoch(self, loss: float) -> bool:
        """Record an epoch's loss; return whether to stop."""
        ...

    def finish(self, loss: float) -> None:
        """Record the loss of a run that ended where it began, without an epoch."""
        ...


#: Of ``n_epochs="auto"``: the epochs for large data, which are the talk's, and the steps for small data, in no more
#: epochs than scikit-learn's. ``benchmarks/defaults.py`` measures them.
_FEW_EPOCHS, _N_STEPS, _MANY_EPOCHS = 10, 1000, 200


class Solver(DocumentedMixin, BaseEstimator, ABC):
    """Trains a network."""

    #: Whether ``weight_decay`` shrinks the weights directly, at the learning rate, instead of adding the gradient of
    #: ``weight_decay / 2 * sum(weight ** 2)``.
    decoupled: ClassVar[bool] = False
    #: The dtype for ``dtype="auto"``, or None to choose it by the data.
    dtype: ClassVar[str | None] = None
    #: Whether it trains by batches, so that ``partial_fit`` is available.
    stochastic: ClassVar[bool] = True
    #: Whether the update of each entry of a weight depends on that entry, its gradient and its slots only, so that a
    #: builder may put several weights into one array.
    elementwise: ClassVar[bool] = False

    def check(self) -> None:
        """Check the solver's own parameters.

        Raises
        ------
        TypeError, ValueError
            If one is out of range.
        """

    @abstractmethod
    def train(self, training: Training) -> None:
        """Train the model, calling ``training.end_epoch(loss)`` after each epoch until it returns True."""

    def epochs_for(self, n_batches: int) -> int:
        """Return the number of epochs for ``n_epochs="auto"``.

        Parameters
        ----------
        n_batches : int
            The batches of an epoch.

        Returns
        -------
        int
            10, or as many as make up 1,000 steps, if that is more, but at most 200.
        """
        return max(_FEW_EPOCHS, min(_MANY_EPOCHS, -(-_N_STEPS // n_batches)))

    @property
    def slots(self) -> Mapping[str, float]:
        """The names of the arrays that the solver keeps for each weight array, and their initial values."""
        return {}

    def structure(self) -> Hashable:
        """Return a key of everything that a traced program depends on."""
        return parameters_key(self)


class StochasticSolver(Solver):
    """A solver that takes one step per batch.

    For gradient clipping, a subclass only takes ``clip_norm`` and ``clip_value`` in ``__init__`` and stores them.
    """

    #: The largest norm of the gradient over all weights, and the largest absolute value of an entry; None for no bound.
    clip_norm: float | None = None
    clip_value: float | None = None

    def check(self) -> None:
        """Check the bounds; overriding methods must call this one.

        Raises
        ------
        TypeError, ValueError
            If a parameter is out of range, or both bounds are given.
        """
        name = type(self).__name__
        for bound in ("clip_norm", "clip_value"):
            if getattr(self, bound) is not None:
                remedy = "It bounds the gradient; use None for no bound."
                check_number(f"{name}.{bound}", getattr(self, bound), remedy, positive=True)
        if self.clip_norm is not None and self.clip_value is not None:
            raise ValueError(
                f"{name}.clip_norm={self.clip_norm!r} and clip_value={self.clip_value!r}: expected one of them at "
                "most. Set the other to None."
            )

    def structure(self) -> Hashable:
        """Return a key of the traced program: all parameters but the bounds, which it takes as tensors."""
        return parameters_key(self, without=("clip_norm", "clip_value"))

    def step_sizes(self, learning_rates: Array, first_step: int) -> Array:
        """Return the learning rates times the bias correction of steps ``first_step``, ``first_step + 1``, …, from 0.

        Parameters
        ----------
        learning_rates : float64 ndarray of shape (n_steps,)
            The scheduled rates.
        first_step : int
            The number of previous steps.

        Returns
        -------
        float64 ndarray of shape (n_steps,)
        """
        return learning_rates

    def train(self, training: Training) -> None:
        """Train epoch by epoch, by the plans of ``training``."""
        model = training.model
        step = model.get_step()
        for epoch in training.epochs:
            training.begin_epoch()
            plan = training.plan(epoch, self, step)
            step += plan.n_batches
            if training.end_epoch(model.train_epoch(plan)):
                break

    def lazy_rows(self) -> LazyRows | None:
        """Return the closed form of many steps with zero gradients, or None, the default, if there is none."""
        return None

    @abstractmethod
    def update(
        self, ops: Ops, weight: Tensor, gradient: Tensor, slots: Mapping[str, Tensor], step_size: Tensor, dtype: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weight and its slots after one step, without changing the arguments.

        Parameters
        ----------
        ops : Ops
            The builder's array operations.
        weight, gradient : tensor
            The weight and its gradient, of the same shape.
        slots : mapping of str to tensor
            Tensors of the weight's shape, by the names in :attr:`slots`.
        step_size : scalar tensor
            The learning rate times the bias correction.
        dtype : str
            The dtype of all tensors.
        """


def clipped(
    ops: Ops,
    gradients: Sequence[Tensor],
    dtype: str,
    *,
    clip_norm: Tensor | None = None,
    clip_value: Tensor | None = None,
) -> list[Tensor]:
    """Return a step's gradients, clipped.

    Parameters
    ----------
    ops : Ops
        The builder's array operations.
    gradients : sequence of tensor
        The gradients of the mean loss, one per weight, without weight decay.
    dtype : str
        The network's dtype, in which norms are computed.
    clip_norm : scalar tensor, optional
        The bound of the norm of all gradients as one vector; if it is exceeded, all are scaled down (as by
        ``torch.nn.utils.clip_grad_norm_`` and Keras's ``global_clipnorm``; R. Pascanu, T. Mikolov and Y. Bengio (2013),
        "On the difficulty of training recurrent neural networks", ICML).
    clip_value : scalar tensor, optional
        The bound of the absolute value of each entry.
    """
    if clip_value is not None:
        bounds = [ops.cast(clip_value, g.dtype) for g in gradients]
        return [ops.maximum(ops.minimum(g, bound), -bound) for g, bound in zip(gradients, bounds, strict=True)]
    if clip_norm is not None:
        squares = [ops.sum(ops.square(ops.cast(g, dtype))) for g in gradients]
        scale = clip_norm / ops.maximum(ops.sqrt(sum(squares)), clip_norm)
        return [g * ops.cast(scale, g.dtype) for g in gradients]
    return list(gradients)
