"""A Keras layer around a layer of ffnn that has no native form in Keras."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
from sklearn.base import BaseEstimator

from ffnn.builders._keras.ops import backend_ops
from ffnn.input import Input
from ffnn.layer import Context, Layer
from ffnn.ops import SparseRows

__all__ = ["NetworkLayer", "weighing_rows"]


_row_weight: ContextVar[Any] = ContextVar("row_weight", default=None)


@contextmanager
def weighing_rows(weight: Any) -> Iterator[None]:
    """Pass the batch's row weights to the layers called inside the context; Keras has no argument for them."""
    token = _row_weight.set(weight)
    try:
        yield
    finally:
        _row_weight.reset(token)


@keras.saving.register_keras_serializable("ffnn")
class NetworkLayer(keras.layers.Layer):
    """Calls the ``forward`` of a layer or an input of ffnn.

    To load a ``.keras`` file with such a layer, import this class and the wrapped one first.

    Parameters
    ----------
    wrapped : Layer or Input
        The description.
    n_inputs : int
        The number of input values per row.
    traced : bool, default=False
        Whether the layer's scalars are variables, which get their values in each call, rather than constants.
    """

    def __init__(self, wrapped: Layer | Input, n_inputs: int, *, traced: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wrapped = wrapped
        self.n_inputs = n_inputs
        self.traced = traced
        self.scalars: dict[str, Any] = {}
        self._arrays: dict[str, Any] = {}
        if wrapped.traits.random:
            self.seed_generator = keras.random.SeedGenerator(0)

    def build(self, input_shape: Any) -> None:
        # zeros: the core draws the weights
        for name, weight in self.wrapped.weights(self.n_inputs).items():
            self._arrays[name] = self.add_weight(
                name=name, shape=weight.shape, initializer="zeros", dtype=self.dtype, trainable=weight.trainable,
                autocast=False,
            )  # fmt: skip
        for name in self.wrapped.traits.scalars if self.traced else ():
            self.scalars[name] = self.add_weight(
                name=name, shape=(), initializer="zeros", dtype=self.dtype, trainable=False, autocast=False
            )
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        ops = backend_ops()
        weights = {name: keras.ops.convert_to_tensor(v) for name, v in self._arrays.items()}
        context = self._training_context(x) if training else Context()
        if isinstance(self.wrapped, Input) and self.wrapped.sparse:
            rows, columns = keras.ops.nonzero(x)
            flat = keras.ops.cast(rows, "int64") * self.n_inputs + keras.ops.cast(columns, "int64")
            values = keras.ops.take(keras.ops.reshape(x, (-1,)), flat)
            lengths = keras.ops.sum(keras.ops.cast(x != 0, "int32"), axis=1)
            splits = keras.ops.concatenate([keras.ops.zeros_like(lengths[:1]), keras.ops.cumsum(lengths)])
            x = SparseRows(splits, columns, values, (keras.ops.shape(x)[0], self.n_inputs))
        y = self.wrapped.forward(ops, x, weights, context)
        for name, value in context.updates.items():
            self._arrays[name].assign(value)
        return y.dense(ops) if isinstance(y, SparseRows) else y

    def _training_context(self, x: Any) -> Context:
        traits, weight = self.wrapped.traits, _row_weight.get()
        values = zip(traits.scalars, self.wrapped.scalars(), strict=True)
        return Context(
            training=True,
            seed=self.seed_generator.next() if traits.random else None,
            row_weight=keras.ops.ones_like(x[:, 0], dtype=self.dtype) if weight is None else weight,
            scalars={name: keras.ops.cast(self.scalars.get(name, value), self.dtype) for name, value in values},
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.wrapped.n_outputs(self.n_inputs))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "wrapped": _described(self.wrapped), "n_inputs": self.n_inputs}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> NetworkLayer:
        config = keras.saving.deserialize_keras_object(config)
        return cls(_made(config.pop("wrapped")), **config)


def _described(value: Any) -> Any:
    """Return a layer or an input, with the layers inside it, as values that can be saved."""
    if isinstance(value, tuple):
        return [_described(item) for item in value]
    if isinstance(value, BaseEstimator):
        parameters = value.get_params(deep=False)
    elif isinstance(value, Layer):
        parameters = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    else:
        return value
    kind = type(value)
    described = {name: _described(parameter) for name, parameter in parameters.items()}
    return {"of": f"{kind.__module__}:{kind.__qualname__}", "parameters": described}


def _made(value: Any) -> Any:
    """Return the layer or input that :func:`_described` described."""
    if isinstance(value, list):
        return tuple(_made(item) for item in value)
    if isinstance(value, dict) and value.keys() == {"of", "parameters"}:
        return _find(value["of"])(**{name: _made(parameter) for name, parameter in value["parameters"].items()})
    return value


def _find(path: str) -> Any:
    """Return the class of a saved layer, if it is already imported or is part of ffnn: a file must not import code.

    Raises
    ------
    ValueError
        If it is neither.
    """
    module, _, name = path.partition(":")
    if module.partition(".")[0] == "ffnn_plugins":
        importlib.import_module(module)
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, (Layer, Input))):
        raise ValueError(f"The file needs the layer {path}, which is not imported. Import {module} before loading it.")
    return found
