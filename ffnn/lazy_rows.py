"""A solver's steps at a zero gradient, by which rows that no batch touches can be left for later.

In a very sparse X a batch touches few features. The rows of the other features' weights have a zero gradient, and still
a solver with slots moves them. As each such step multiplies the slots by constants, many of them can be made up for at
once, when the row is next touched or read. So a step costs what the batch has stored, however wide X is.
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


#: A step's part in a sum is left out when it has shrunk to this.
_NOTHING = 1e-10
#: Rows are left for later only if a solver forgets a gradient within this number of steps.
_LONGEST = 1000
#: The most segments and steps that rows wait for: each segment adds to a row's cost when it is touched, each step
#: takes 24 bytes.
_MOST_SEGMENTS = 64
_MOST_STEPS = 2**18
#: A step's part in a sum must shrink by this from step to step, or the sum grow by no more than that.
_SHRINKING = 0.99
_GROWTH = 1e4


@dataclass(frozen=True)
class LazyRows:
    """A solver's steps at a zero gradient.

    The j-th of such steps in a row moves the weight by ``size_j`` times the sum of ``ratio**j * direction`` over some
    ratios, where ``size_j`` is the step size or, if not ``by_step_size``, 1; and it multiplies each slot by its decay.

    Parameters
    ----------
    decays : mapping of str to float
        What a step multiplies each slot by, for all slots in their order.
    ratios : tuple of float
        In [0, 1); none where the weight stays.
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
        """Whether such a step changes more than the scale of the weight."""
        return bool(self.ratios) or any(decay != 1 for decay in self.decays.values())

    @property
    def ends(self) -> bool:
        """Whether :attr:`memory` is short enough to record each step."""
        return max(self.ratios, default=0.0) < 1 and self.memory <= _LONGEST


class StepHistory:
    """Records the steps since all rows were up to date, and says how far each waiting row has to move.

    Steps come in segments: an epoch is one, or several. A row that waits from one segment into the next is brought to
    the end of the first, then on from there. So it ends, to the last bit, where it would have ended had all rows been
    brought up to date in between, and no result depends on when the weights are read.

    Within a segment, a waiting row moves from step a to step b by ``kept * sums[a] - ratio**(b - a) * sums[b]`` along
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
        Before each step of a segment, and at its end: how far the steps from there to its end move a row, as if none of
        them shrank it. After step t, of segment k, it is row t + k.
    logs : float64 ndarray of shape (now + n_segments,)
        The logarithm of the factor by which the segment's steps have shrunk a waiting row until then.
    """

    def __init__(self, lazy_rows: LazyRows) -> None:
        self._lazy_rows = lazy_rows
        self.reset()

    def reset(self) -> None:
        """Record that all rows are up to date."""
        self.ends = np.zeros(0, np.int32)
        self.sums = np.zeros((0, len(self._lazy_rows.ratios)))
        self.logs = np.zeros(0)

    @property
    def now(self) -> int:
        """The number of steps since all rows were up to date."""
        return int(self.ends[-1]) if len(self.ends) else 0

    @property
    def is_full(self) -> bool:
        """Whether all rows should be brought up to date, before the record takes too much memory or time."""
        return len(self.ends) >= _MOST_SEGMENTS or self.now >= _MOST_STEPS

    def segments(self, plan: EpochPlan, shrinks: bool) -> list[EpochPlan]:
        """Divide an epoch into segments; nearly always it is one.

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
        # sums would grow from step to step, and their differences be lost in rounding
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
    """Return, for each step, how far the steps from it to the last move a row, before they shrink it."""
    sums = [0.0]
    for size, k in zip(sizes[::-1].tolist(), kept[::-1].tolist(), strict=True):
        sums.append(ratio * (size + sums[-1]) / k)
    return sums[::-1]
