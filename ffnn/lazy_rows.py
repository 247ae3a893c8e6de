"""A solver's steps at a zero gradient, which rows that no batch touches can postpone.

If X is very sparse, a batch touches few features. The weights of the other features have a zero gradient, but a solver
with slots still changes them. Since each such step multiplies the slots by constants, many of them can be computed at
once, when the row is next touched or read. So the cost of a step depends on the stored values of the batch, and not on
the width of X.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ffnn.model import Array

if TYPE_CHECKING:
    from ffnn.model import EpochPlan
    from ffnn.ops import Ops, Tensor

__all__ = ["LazyRows", "StepHistory"]


#: A step's contribution to a sum is neglected when it has shrunk to this factor.
_NOTHING = 1e-10
#: Rows postpone steps only if a solver forgets a gradient within this number of steps.
_LONGEST = 1000
#: The most segments and steps that rows postpone: each segment adds to the cost of touching a row, and each step takes
#: 24 bytes.
_MOST_SEGMENTS = 64
_MOST_STEPS = 2**18
#: A step's contribution to a sum must shrink by the first factor from step to step, or the sum may grow by the second.
_SHRINKING = 0.99
_GROWTH = 1e4


@dataclass(frozen=True)
class LazyRows:
    """A solver's steps at a zero gradient.

    The j-th consecutive step moves the weight by ``size_j`` times the sum of ``ratio**j * direction`` over the ratios,
    where ``size_j`` is the step size or, if not ``by_step_size``, 1. It also multiplies each slot by its decay.

    Parameters
    ----------
    decays : mapping of str to float
        The factor by which a step multiplies each slot, for all slots in their order.
    ratios : tuple of float
        In [0, 1); empty if the weight does not move.
    directions : callable, optional
        ``directions(ops, slots)`` returns a tensor of the weight's shape for each ratio.
    by_step_size : bool
        Whether a move is proportional to the step size.
    shrinks : bool
        Whether weight decay may multiply the weight in each step.
    """

    decays: Mapping[str, float]
    ratios: tuple[float, ...] = ()
    directions: Callable[[Ops, Mapping[str, Tensor]], Sequence[Tensor]] | None = None
    by_step_size: bool = True
    shrinks: bool = False

    @property
    def memory(self) -> int:
        """The number of steps after which the weight no longer moves."""
        longest = max(self.ratios, default=0.0)
        return int(np.ceil(np.log(_NOTHING) / np.log(longest))) if longest > 0 else 0

    @property
    def moves(self) -> bool:
        """Whether a step changes more than the scale of the weight."""
        return bool(self.ratios) or any(decay != 1 for decay in self.decays.values())

    @property
    def ends(self) -> bool:
        """Whether :attr:`memory` is short enough to record each step."""
        return max(self.ratios, default=0.0) < 1 and self.memory <= _LONGEST


class StepHistory:
    """Records the steps since all rows were up to date, from which the postponed steps of a row are computed.

    Steps are divided into segments, one or several per epoch. A row that postpones steps of several segments takes them
    segment by segment. So the result is the same, to the bit, as if all rows had been brought up to date at the end of
    each segment, and does not depend on when the weights are read.

    Within a segment, a row moves from step a to step b by ``kept * sums[a] - ratio**(b - a) * sums[b]`` along
    the direction of each ratio, where ``kept = exp(logs[b] - logs[a])``, and each of its slots is multiplied by its
    decay b - a times.

    Parameters
    ----------
    lazy_rows : LazyRows
        The solver's steps at a zero gradient.

    Attributes
    ----------
    ends : int32 ndarray of shape (n_segments,)
        The number of steps at the end of each segment.
    sums : float64 ndarray of shape (now + n_segments, n_ratios)
        For each step of a segment, and for its end: how far the steps from there to its end move a row, without weight
        decay. After step t of segment k it is row t + k.
    logs : float64 ndarray of shape (now + n_segments,)
        The logarithm of the factor by which weight decay has shrunk a row in the segment until then.
    """

    def __init__(self, lazy_rows: LazyRows) -> None:
        self._lazy_rows = lazy_rows
        self.reset()

    def reset(self) -> None:
        """Record that all rows are up to date."""
        self.ends: Array = np.zeros(0, np.int32)
        self.sums: Array = np.zeros((0, len(self._lazy_rows.ratios)))
        self.logs: Array = np.zeros(0)

    @property
    def now(self) -> int:
        """The number of steps since all rows were up to date."""
        return int(self.ends[-1]) if len(self.ends) else 0

    @property
    def is_full(self) -> bool:
        """Whether all rows should be brought up to date, as the record would take too much memory or time."""
        return len(self.ends) >= _MOST_SEGMENTS or self.now >= _MOST_STEPS

    def segments(self, plan: EpochPlan, shrinks: bool) -> list[EpochPlan]:
        """Divide an epoch into segments, in nearly all cases one.

        Parameters
        ----------
        plan : EpochPlan
            The epoch.
        shrinks : bool
            Whether each step multiplies the weights by 1 - learning rate × weight decay, too.
        """
        most = float(_rates(plan, shrinks).max(initial=0.0))
        growth = max(self._lazy_rows.ratios, default=0.0) / max(1 - most, 1e-3)
        if growth <= _SHRINKING:
            return [plan]
        # the sums would grow from step to step, and their differences lose precision
        n = int(np.clip(np.log(_GROWTH) / max(np.log(growth), 1e-3), 1, _LONGEST))
        return [plan.steps(start, start + n) for start in range(0, plan.n_batches, n)]

    def advance(self, plan: EpochPlan, shrinks: bool) -> None:
        """Record the steps of an epoch; the parameters are those of :meth:`segments`."""
        for part in self.segments(plan, shrinks):
            sizes = part.step_sizes if self._lazy_rows.by_step_size else np.ones(part.n_batches)
            rates = _rates(part, shrinks)
            sums = np.stack([_sums(r, sizes, 1 - rates) for r in self._lazy_rows.ratios] or [[]], axis=1)
            logs = np.concatenate([[0.0], np.cumsum(np.log1p(-rates))])
            self.ends = np.append(self.ends, np.int32(self.now + part.n_batches))
            self.sums = np.concatenate([self.sums, sums.reshape(len(logs), -1)])
            self.logs = np.concatenate([self.logs, logs])


def _rates(plan: EpochPlan, shrinks: bool) -> Array:
    return plan.learning_rates * plan.weight_decay if shrinks else np.zeros(plan.n_batches)


def _sums(ratio: float, sizes: Array, kept: Array) -> list[float]:
    """Return, for each step, how far the steps from it to the last move a row, without weight decay."""
    sums = [0.0]
    for size, k in zip(sizes[::-1].tolist(), kept[::-1].tolist(), strict=True):
        sums.append(ratio * (size + sums[-1]) / k)
    return sums[::-1]
