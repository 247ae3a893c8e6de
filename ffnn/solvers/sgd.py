"""The ``sgd`` solver."""

from __future__ import annotations

from collections.abc import Mapping

from ffnn._utils.checks import check_flag
from ffnn.lazy_rows import LazyRows
from ffnn.ops import Ops, Tensor
from ffnn.solver import StochasticSolver
from ffnn.solvers._checks import check_decay_rates

__all__ = ["SGD"]


class SGD(StochasticSolver):
    """Stochastic gradient descent, optionally with momentum.

    Parameters
    ----------
    momentum : float
        The fraction of the previous step added to the next one, in [0, 1).
    nesterov : bool
        Whether to use Nesterov's momentum (Y. Nesterov, 1983; in the form of I. Sutskever et al., 2013).
    clip_norm : float, optional
        The largest norm of a step's gradient over all weights; a larger gradient is scaled down. None for no bound.
    clip_value : float, optional
        The largest absolute value of an entry of the gradient, an alternative to ``clip_norm``. None for no bound.
    """

    elementwise = True

    def __init__(
        self,
        momentum: float = 0.9,
        nesterov: bool = True,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        self.momentum = momentum
        self.nesterov = nesterov
        self.clip_norm = clip_norm
        self.clip_value = clip_value

    def check(self) -> None:
        super().check()
        check_decay_rates(self, "momentum")
        check_flag("SGD.nesterov", self.nesterov)

    @property
    def slots(self) -> Mapping[str, float]:
        return {"velocity": 0.0} if self.momentum else {}

    def update(
        self, ops: Ops, weight: Tensor, gradient: Tensor, slots: Mapping[str, Tensor], step_size: Tensor, dtype: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        step = step_size * gradient
        if not self.momentum:
            return weight - step, {}
        velocity = self.momentum * slots["velocity"] - step
        return weight + (self.momentum * velocity - step if self.nesterov else velocity), {"velocity": velocity}

    def lazy_rows(self) -> LazyRows | None:
        if not self.momentum:
            return LazyRows({})
        lazy_rows = LazyRows({"velocity": self.momentum}, (self.momentum,), self._directions, by_step_size=False)
        return lazy_rows if lazy_rows.ends else None

    def _directions(self, ops: Ops, slots: Mapping[str, Tensor]) -> list[Tensor]:
        return [slots["velocity"] * (self.momentum if self.nesterov else 1.0)]
