"""Facts about X before scikit-learn validates it, since validation needs the dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from ffnn._utils._private import num_features, num_samples

__all__ = ["n_values", "with_shape"]


def with_shape(X: Any) -> Any:
    """Return ``X``, converted to an array if ``__array__`` is its only interface, so that it is converted once."""
    return np.asarray(X) if hasattr(X, "__array__") and not hasattr(X, "shape") else X


def n_values(X: Any) -> float:
    """Return the number of values in ``X`` without reading them."""
    try:
        shape = getattr(X, "shape", None)
        if shape is not None:
            return float(np.prod(shape, dtype=np.float64))
        return float(num_samples(X) * num_features(X))
    except (TypeError, ValueError):  # validation will raise an error
        return 0.0
