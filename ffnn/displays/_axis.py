"""The positions of a parameter's values on an axis."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from ffnn.model import Array

__all__ = ["Axis"]

#: The ratio of the largest to the smallest number from which an axis is logarithmic.
_LOG_RATIO = 50
#: Up to so many different numbers are all written at an axis; of more, the smallest and the largest.
_MAX_TICKS = 6


class Axis:
    """The positions of values on an axis: numbers at their value, anything else one after the other.

    Parameters
    ----------
    values : sequence
        The value of each candidate.

    Attributes
    ----------
    places : float64 ndarray of shape (n_candidates,)
        Where they are.
    texts : list of str
        The values in words.
    distinct : list of str
        Those that differ, in the order of their places.
    """

    def __init__(self, values: Sequence[Any]) -> None:
        self.numeric = all(isinstance(v, numbers.Real) and not isinstance(v, bool) for v in values)
        self.texts = [str(v) for v in values]
        if self.numeric:
            self.places = np.asarray(values, dtype=float)
            self.distinct = [self.texts[i] for i in np.unique(self.places, return_index=True)[1]]
        else:
            self.distinct = list(dict.fromkeys(self.texts))
            self.places = np.array([self.distinct.index(text) for text in self.texts], dtype=float)

    @property
    def logarithmic(self) -> bool:
        """Whether the numbers span orders of magnitude."""
        return bool(self.numeric and self.places.min() > 0 and self.places.max() > _LOG_RATIO * self.places.min())

    def label(self, axis: Any, name: str) -> None:
        """Write the name, and the values that are no numbers, at an axis of matplotlib's."""
        axis.set_label_text(name)
        if not self.numeric:
            axis.set_ticks(range(len(self.distinct)), self.distinct)
        elif self.logarithmic:
            axis.axes.set(**{f"{axis.axis_name}scale": "log"})

    def shares(self) -> tuple[Array, dict[str, float]]:
        """Return the places as shares of the axis, from 0 to 1, and those of the values to write at it."""
        places = np.log(self.places) if self.logarithmic else self.places
        low, span = places.min(), np.ptp(places)
        shares = (places - low) / span if span else np.full(len(places), 0.5)
        known = {
            f"{place:.3g}" if self.numeric else text: float(share)
            for place, text, share in zip(self.places, self.texts, shares, strict=True)
        }
        if self.numeric and len(known) > _MAX_TICKS:
            known = {text: share for text, share in known.items() if share in (0.0, 1.0)}
        return shares, known
