"""What a solver is: how a network is trained.

A stochastic solver's formula is written once, over a builder's operations. The step size (schedule × bias correction)
is computed in the core, in float64, and given to the builder one a step: engines that compute it themselves drift
apart.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from sklearn.base import BaseEstimator

from ffnn._utils.checks import check_number
from ffnn._utils.documentation import DocumentedMixin
from ffnn._utils.keys import parameters_key
from ffnn.model import Array

if TYPE_CHECKING:
    from ffnn.lazy_rows import LazyRows
    from ffnn.ops import Ops, Tensor
    from ffnn.training.epochs import Training

__all__ = ["Solver", "StochasticSolver", "clipped"]


class Solver(DocumentedMixin, BaseEstimator, ABC):
    """How a network is trained."""

    #: Whether ``weight_decay`` shrinks the weights themselves, at the learning rate, rather than adding the gradient
    #: of ``weight_decay / 2 * sum(weight ** 2)``.
    decoupled: ClassVar[bool] = False
    #: The dtype that ``dtype="auto"`` means whatever the data, or None.
    dtype: ClassVar[str | None] = None
    #: What ``n_epochs="auto"`` means.
    n_epochs: ClassVar[int] = 10
    #: Whether it trains by batches, so that ``partial_fit`` exists.
    stochastic: ClassVar[bool] = True
    #: Whether a step of each entry of a weight depends on that entry, its gradient and its slots alone: then a builder
    #: may put several weights into one array.
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
        """Train the model, calling ``training.end_epoch(loss)`` after each epoch until it says to stop."""

    def structure(self) -> Hashable:
        """Return what a traced program depends on."""
        return parameters_key(self)


class StochasticSolver(Solver):
    """A solver that takes one step a batch.

    A subclass whose ``__init__`` takes and keeps ``clip_norm`` and ``clip_value`` has its gradients clipped, without
    more.
    """

    #: The largest norm of the gradient over all weights, and the largest size of an entry; None is no bound.
    clip_norm: float | None = None
    clip_value: float | None = None

    def check(self) -> None:
        """Check the bounds; a subclass that has more to check calls this too.

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
        """Return what a traced program depends on: all parameters but the bounds, which it takes as tensors."""
        return parameters_key(self, without=("clip_norm", "clip_value"))

    @property
    def slots(self) -> Mapping[str, float]:
        """The names of the arrays that the solver keeps for each weight array, and their initial value."""
        return {}

    def step_sizes(self, learning_rates: Array, first_step: int) -> Array:
        """Return the learning rates times the bias correction of steps ``first_step``, ``first_step + 1``, …, from 0.

        Parameters
        ----------
        learning_rates : float64 ndarray of shape (n_steps,)
            The scheduled rates.
        first_step : int
            The number of steps taken before.

        Returns
        -------
        float64 ndarray of shape (n_steps,)
        """
        return learning_rates

    def train(self, training: Training) -> None:
        """Train epoch by epoch, as the training plans them."""
        model = training.model
        step = model.get_step()
        for epoch in training.epochs:
            training.begin_epoch()
            plan = training.plan(epoch, self, step)
            step += plan.n_batches
            if training.end_epoch(model.train_epoch(plan)):
                break

    def lazy_rows(self) -> LazyRows | None:
        """Return the solver's steps at a zero gradient, if many can be made up for at once; None by default."""
        return None

    @abstractmethod
    def update(
        self, ops: Ops, weight: Tensor, gradient: Tensor, slots: Mapping[str, Tensor], step_size: Tensor, dtype: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weight and its slots after one step; none of the arguments is changed.

        Parameters
        ----------
        ops : Ops
            The builder's array operations.
        weight, gradient : tensor
            Of the same shape.
        slots : mapping of str to tensor
            By the names in :attr:`slots`, of the weight's shape.
        step_size : scalar tensor
            The learning rate times the bias correction.
        dtype : str
            The dtype of all of them.
        """


def clipped(
    ops: Ops,
    gradients: Sequence[Tensor],
    dtype: str,
    *,
    clip_norm: Tensor | None = None,
    clip_value: Tensor | None = None,
) -> list[Tensor]:
    """Return a step's gradients within their bound.

    Parameters
    ----------
    ops : Ops
        The builder's array operations.
    gradients : sequence of tensor
        Of the mean loss, one a weight; weight decay is not in them yet.
    dtype : str
        The network's, in which norms are computed.
    clip_norm : scalar tensor, optional
        If the norm of all of them together, as one vector, is larger, all are scaled down to it. (As
        ``torch.nn.utils.clip_grad_norm_`` and Keras's ``global_clipnorm`` do; R. Pascanu, T. Mikolov and Y. Bengio
        (2013), "On the difficulty of training recurrent neural networks", ICML.)
    clip_value : scalar tensor, optional
        Entries beyond it, or below its negative, are set to it.
    """
    if clip_value is not None:
        bounds = [ops.cast(clip_value, g.dtype) for g in gradients]
        return [ops.maximum(ops.minimum(g, bound), -bound) for g, bound in zip(gradients, bounds, strict=True)]
    if clip_norm is not None:
        squares = [ops.sum(ops.square(ops.cast(g, dtype))) for g in gradients]
        scale = clip_norm / ops.maximum(ops.sqrt(sum(squares)), clip_norm)
        return [g * ops.cast(scale, g.dtype) for g in gradients]
    return list(gradients)
