"""The progress bar of ``verbose=1``: epochs, losses and the time left."""

from __future__ import annotations

import sys
from typing import Any

from ffnn._utils.bars import progress_bar
from ffnn.training.listeners import Listener

__all__ = ["EpochProgressBar"]


class EpochProgressBar(Listener):
    """Shows a progress bar of epochs.

    Parameters
    ----------
    n_epochs : int
        The epochs to come.
    name : str
        What stands before it.
    """

    def __init__(self, n_epochs: int, name: str) -> None:
        self._bar: Any = progress_bar(total=n_epochs, desc=name, unit="epoch", dynamic_ncols=True, file=sys.stderr)

    can_go_on = True

    def end_epoch(self, epoch: int, stats: dict[str, float]) -> bool:
        """Advance the bar, and show the figures of the epoch."""
        shown = {key: f"{value:.4g}" for key, value in stats.items() if key != "learning_rate"}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()
        return False

    def close(self) -> None:
        """Close the bar."""
        self._bar.close()
