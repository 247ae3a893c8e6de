"""The ``adamw`` solver."""

from __future__ import annotations

from ffnn.solvers.adam import Adam

__all__ = ["AdamW"]


class AdamW(Adam):
    """Adam with decoupled weight decay: each step also shrinks the weights by learning rate × ``weight_decay``.

    I. Loshchilov and F. Hutter (2019), "Decoupled weight decay regularization", ICLR.
    """

    decoupled = True
