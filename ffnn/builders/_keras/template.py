"""A Keras model as a pure function of its variables.

Keras never frees a model completely, so a new one for every fit would leak memory. There is one model per architecture,
the template; each fit has its own arrays, which replace the model's variables during a call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ffnn.builders._forward import Outputs, StepInputs
from ffnn.builders._keras._private import all_layers, free_value, seed_unseeded
from ffnn.builders._keras.layer import weighing_rows
from ffnn.builders._state import Specs
from ffnn.ops import Tensor

__all__ = ["Template", "is_seed"]

Link = Callable[[Tensor], Tensor]


def is_seed(variable: Any) -> bool:
    """Return whether a variable is the state of one of Keras's random generators."""
    return variable.name == "seed_generator_state"


class Template:
    """A Keras model as a function.

    Parameters
    ----------
    model : keras.Model
        The model whose layers compute; the values of its own variables are not used.
    names : sequence of str
        The names of its trained variables, followed by those of its extras, which are not trained by gradients.
    decays : sequence of bool
        Whether weight decay acts on each trained variable.
    dtype : str
        The dtype of the scores.
    first_random : int
        The number of random stages before the model's first layer: the model's k-th random generator draws with the
        seed of the network's random stage ``first_random + k``.
    to_scores : callable, optional
        The function that turns the model's outputs into scores.
    scalars : sequence of keras.Variable, optional
        The model's variables for the network's last scalars, in order.
    values : sequence of KerasTensor, optional
        The model's values after each of its stages, if it has stages.
    """

    def __init__(
        self,
        model: Any,
        names: Sequence[str],
        decays: Sequence[bool],
        dtype: str,
        *,
        first_random: int = 0,
        to_scores: Link | None = None,
        scalars: Sequence[Any] = (),
        values: Sequence[Any] = (),
    ) -> None:
        self._model = model
        self._values_after = tuple(values)
        self._parts: dict[int, Any] = {}
        self._dtype = dtype
        self._first_random = first_random
        self._to_scores = to_scores
        self._trained = list(model.trainable_variables)
        self._others = list(model.non_trainable_variables)
        self._scalars = [id(v) for v in scalars]
        weights = {id(v) for v in model.non_trainable_weights} - {*self._scalars}
        self._extras = [v for v in self._others if id(v) in weights]
        variables = [*self._trained, *self._extras]
        self.specs: Specs = {
            name: (tuple(v.shape), keras.backend.standardize_dtype(v.dtype))
            for name, v in zip(names, variables, strict=True)
        }
        self.trainable = dict(zip(names, decays, strict=False))
        for layer in all_layers(model):
            for generator in vars(layer).values():
                seed_unseeded(generator)
        # Keras's layers are traced by one thread at a time
        self._lock = threading.RLock()

    def __call__(
        self,
        weights: Sequence[Tensor],
        extras: Sequence[Tensor],
        x: Tensor,
        *,
        training: StepInputs | None = None,
        n_stages: int | None = None,
    ) -> Outputs:
        """Return the scores of a dense batch, the new extras, and the sum of the layers' losses, if any, as penalty.

        The arguments are those of :class:`~ffnn.builders._tensorflow.forward.Forward`.

        Raises
        ------
        ValueError
            If ``n_stages`` is given for a model without stages.
        """
        if n_stages is not None:
            return Outputs(self._after(n_stages, weights, extras, x), [], None)
        scalars, seed, row_weight = (None, None, None) if training is None else training
        values = self._values(weights, extras, seed, scalars)
        with self._lock, keras.StatelessScope(values, collect_losses=True, initialize_variables=False) as scope:
            with weighing_rows(row_weight):
                outputs = self._model(x, training=training is not None)
            losses = self._model.losses
            scores = self._to_scores(outputs) if self._to_scores else outputs
            penalty = ops.cast(sum(losses), self._dtype) if losses else None
        updates = [scope.get_current_value(v) for v in self._extras]
        return Outputs(ops.cast(scores, self._dtype), updates, penalty)

    def _after(self, n_stages: int, weights: Sequence[Tensor], extras: Sequence[Tensor], x: Tensor) -> Tensor:
        """Return the values after some stages, in prediction."""
        if not self._values_after:
            raise ValueError(
                "builder=KerasBuilder(build=...): ffnn does not know the hidden layers of a Keras model of your own. "
                "Take them from model_: keras.Model(model_.inputs, model_.layers[i].output)."
            )
        if n_stages <= 0:
            return x  # all of these stages come before the model
        values = self._values(weights, extras, None, None)
        with self._lock:
            if n_stages not in self._parts:
                part = keras.Model(self._model.inputs, self._values_after[n_stages - 1], name="hidden")
                part.autocast = False
                self._parts[n_stages] = part
            with keras.StatelessScope(values, initialize_variables=False):
                return ops.cast(self._parts[n_stages](x, training=False), self._dtype)

    def _values(
        self, weights: Sequence[Tensor], extras: Sequence[Tensor], seed: Tensor | None, scalars: Tensor | None
    ) -> list[Any]:
        """Return each variable of the model with its value in this call."""
        of_extras = dict(zip(map(id, self._extras), extras, strict=True))
        values = list(zip(self._trained, weights, strict=True))
        n_random = self._first_random
        for v in self._others:
            if id(v) in of_extras:
                value = of_extras[id(v)]
            elif scalars is not None and id(v) in self._scalars:
                value = scalars[self._scalars.index(id(v)) - len(self._scalars)]
            elif seed is not None and is_seed(v):
                value = ops.cast(seed, v.dtype) + ops.convert_to_tensor(np.array([0, n_random]), dtype=v.dtype)
                n_random += 1
            else:
                value = ops.zeros(v.shape, v.dtype)
            values.append((v, value))
        return values

    def release(self) -> None:
        """Free the memory of the model's own values, which no call reads."""
        for v in [*self._trained, *self._others]:
            free_value(v)
