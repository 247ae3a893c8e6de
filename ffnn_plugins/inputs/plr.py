"""The ``plr`` input: embeds each feature by sinusoids of learned frequencies, a linear map and a rectifier.

Y. Gorishniy, I. Rubachev and A. Babenko (2022), "On embeddings for numerical features in tabular deep learning",
NeurIPS, arXiv 2203.05556: periodic, linear, ReLU.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.utils import Tags

from ffnn._utils.checks import check_flag, check_integer, check_number
from ffnn.layer import Context, Weight
from ffnn.model import Rows
from ffnn.ops import Ops, Tensor
from ffnn_plugins.inputs.dense import DenseInput

__all__ = ["PLRInput"]


class PLRInput(DenseInput):
    """Takes a dense X and embeds each of its numbers: ``relu(linear([cos(2πcx), sin(2πcx)]))``.

    The frequencies c are learned, separately for each feature. Scale the features first, for instance with
    ``sklearn.preprocessing.StandardScaler`` or ``QuantileTransformer``. The network's first layer takes
    ``n_features * n_dims`` values per row. The dropout of the first block acts on the embeddings.

    Parameters
    ----------
    n_frequencies : int, default=48
        The number of frequencies for each feature.
    sigma : float, default=0.05
        The standard deviation of the initial, normally distributed frequencies. The most important parameter; the
        paper tunes it between 0.01 and 100.
    n_dims : int, default=24
        The width of each feature's embedding.
    lite : bool, default=False
        Whether all features share one linear map, with ``n_features`` times fewer weights.
    """

    def __init__(self, n_frequencies: int = 48, sigma: float = 0.05, n_dims: int = 24, lite: bool = False) -> None:
        self.n_frequencies = n_frequencies
        self.sigma = sigma
        self.n_dims = n_dims
        self.lite = lite

    def prepare(self, X: Any, dtype: str) -> Rows:
        if scipy.sparse.issparse(X):
            raise TypeError(
                "input_layer='plr': X is sparse; expected a dense array, since zeros are embedded too. "
                "Use X.toarray(), or input_layer='sparse'."
            )
        return super().prepare(X, dtype)

    def adjust_tags(self, tags: Tags) -> None:
        tags.input_tags.sparse = False

    def n_outputs(self, n_features: int) -> int:
        check_integer("PLRInput.n_frequencies", self.n_frequencies, "It is the number of frequencies; 48 is usual.")
        check_integer("PLRInput.n_dims", self.n_dims, "It is the width of an embedding; 24 is usual.")
        check_number("PLRInput.sigma", self.sigma, "It is the spread of the initial frequencies.", positive=True)
        check_flag("PLRInput.lite", self.lite)
        return n_features * int(self.n_dims)

    def weights(self, n_features: int) -> dict[str, Weight]:
        # the axis of the features is in the middle, since an initializer takes fan_in from the first axis
        own = () if self.lite else (n_features,)
        k, n_dims = int(self.n_frequencies), int(self.n_dims)  # NumPy's small integers would overflow
        return {
            "frequencies": Weight((k, n_features), "standard_normal", scale=float(self.sigma)),
            "weight": Weight((2 * k, *own, n_dims), "he_uniform", decays=True),
            "bias": Weight((*own, n_dims), "zeros"),
        }

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        k, n_features, n_dims = int(self.n_frequencies), weights["frequencies"].shape[1], int(self.n_dims)
        frequencies = ops.reshape(ops.transpose(weights["frequencies"], (1, 0)), (n_features, 1, k))
        values = ops.reshape(ops.transpose(x, (1, 0)), (n_features, -1, 1))
        angles = 2 * math.pi * values * frequencies  # (n_features, n_rows, k)
        periodic = ops.concatenate([ops.cos(angles), ops.sin(angles)], 2)
        if self.lite:
            linear = ops.matmul(ops.reshape(periodic, (-1, 2 * k)), weights["weight"]) + weights["bias"]
            linear = ops.reshape(linear, (n_features, -1, n_dims))
        else:
            bias = ops.reshape(weights["bias"], (n_features, 1, n_dims))
            linear = ops.matmul(periodic, ops.transpose(weights["weight"], (1, 0, 2))) + bias
        return ops.reshape(ops.transpose(ops.relu(linear), (1, 0, 2)), (-1, n_features * n_dims))

    def to_keras(self, keras: Any, x: Any, name: str, dtype: str) -> Any:
        # zeros: the core draws the weights
        zeros = {"kernel_initializer": "zeros", "dtype": dtype}
        layers, n_features, n_dims = keras.layers, x.shape[-1], int(self.n_dims)
        shape = (n_features, int(self.n_frequencies))
        angles = layers.EinsumDense("bn,kn->bnk", shape, name=f"{name}_waves", **zeros)(x)
        # Keras would round a Python float to float32
        angles = layers.Rescaling(np.float64(2 * math.pi), name=f"{name}_angles", dtype=dtype)(angles)
        waves = [keras.ops.cos(angles), keras.ops.sin(angles)]
        periodic = layers.Concatenate(name=f"{name}_periodic", dtype=dtype)(waves)
        equation, bias_axes = ("bnj,jd->bnd", "d") if self.lite else ("bnj,jnd->bnd", "nd")
        linear = layers.EinsumDense(
            equation, (n_features, n_dims), bias_axes=bias_axes, activation="relu", name=f"{name}_linear", **zeros
        )
        return layers.Reshape((n_features * n_dims,), name=name, dtype=dtype)(linear(periodic))

    def structure(self) -> Hashable:
        # sigma affects the initial weights only
        return (type(self), self.n_frequencies, self.n_dims, self.lite)
