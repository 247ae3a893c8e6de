"""What a solver does to a weight while its gradient is zero: how rows that no batch meets can be left for later.

In a very sparse X a batch meets few features. The rows of the other features' weights have a zero gradient, and still a
solver with a memory moves them. As each such step multiplies its slots by constants, many of them can be made up for at
once, when the row is next met or looked at. So a step costs what the batch has stored, however wide X is.
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

__all__ = ["Clock", "LazyRows"]


#: A step's part in a sum is left out when it has shrunk to this.
_NOTHING = 1e-10
#: Steps of which it is worth remembering each one.
_LONGEST = 1000


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
        """The number of steps after which nothing moves any more."""
        longest = max(self.ratios, default=0.0)
        return int(np.ceil(np.log(_NOTHING) / np.log(longest))) if longest > 0 else 0

    @property
    def ends(self) -> bool:
        """Whether that is soon enough for each step to be remembered."""
        return max(self.ratios, default=0.0) < 1 and self.memory <= _LONGEST


class Clock:
    """Counts steps since all rows were up to date, and says how far each idle row has to move.

    Parameters
    ----------
    idling : LazyRows
        The solver's.
    """

    def __init__(self, idling: LazyRows) -> None:
        self._idling = idling
        self.reset()

    def reset(self) -> None:
        """Say that all rows are up to date."""
        self._sizes = np.zeros(0)
        #: The logarithm of what the steps up to each one have multiplied an idle weight by.
        self.logs = np.zeros(1)

    @property
    def now(self) -> int:
        """The number of steps since then."""
        return len(self._sizes)

    def advance(self, plan: EpochPlan, shrinks: bool) -> tuple[Array, Array]:
        """Count the steps of an epoch.

        Parameters
        ----------
        plan : EpochPlan
            What the epoch does.
        shrinks : bool
            Whether each step multiplies the weights by 1 - learning rate × weight decay, too.

        Returns
        -------
        moves : float64 ndarray of shape (n_batches + 1, memory + 1, n_ratios)
            What a row moves by along each direction: before step i of the epoch, after k idle steps.
        logs : float64 ndarray of shape (now + 1,)
            The logarithm of what all steps up to each one have multiplied an idle weight by.
        """
        start = self.now
        sizes = plan.step_sizes if self._idling.by_step_size else np.ones(plan.n_batches)
        rates = plan.learning_rates * plan.weight_decay if shrinks else np.zeros(plan.n_batches)
        self._sizes = np.concatenate([self._sizes, sizes])
        self.logs = np.concatenate([self.logs, self.logs[-1] + np.cumsum(np.log1p(-rates))])
        return self.moves(np.arange(start, self.now + 1)), self.logs

    def moves(self, times: Array) -> Array:
        """Return what rows move by until each of the given times, after 0, 1, … idle steps before it."""
        ratios, memory = np.array(self._idling.ratios), self._idling.memory
        moves = np.zeros((len(times), memory + 1, len(ratios)))
        for k in range(1, memory + 1):
            step = times - k  # the first of k idle steps; what comes after it shrinks its move as well
            known = step >= 0
            later = np.exp(self.logs[times[known]] - self.logs[step[known] + 1])
            moves[known, k] = ratios * ((self._sizes[step[known]] * later)[:, None] + moves[known, k - 1])
        return moves
