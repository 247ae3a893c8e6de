"""What ``verbose=1`` shows: a bar of epochs with the losses and the time that is left."""

from __future__ import annotations

import sys
from typing import Any

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
        from tqdm.auto import tqdm

        self._bar: Any = tqdm(total=n_epochs, desc=name, unit="epoch", dynamic_ncols=True, file=sys.stderr)

    def end_epoch(self, epoch: int, stats: dict[str, float]) -> bool:
        """Count an epoch, and show what it brought."""
        shown = {key: f"{value:.4g}" for key, value in stats.items() if key != "learning_rate"}
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()
        return False

    def close(self) -> None:
        """Leave it as it is."""
        self._bar.close()
