"""A Keras layer around a layer of ffnn that has no native form in Keras."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from types import SimpleNamespace
from typing import Any

import keras
from sklearn.base import BaseEstimator

from ffnn.builders._keras_ops import backend_ops
from ffnn.input import Input, SparseRows
from ffnn.layer import Layer

__all__ = ["NetworkLayer"]


@keras.saving.register_keras_serializable("ffnn")
class NetworkLayer(keras.layers.Layer):
    """Calls the ``forward`` of a layer or an input of ffnn.

    A ``.keras`` file with such a layer loads where this class and the wrapped one are imported first.

    Parameters
    ----------
    wrapped : Layer or Input
        The description.
    n_inputs : int
        The width of what enters.
    traced : bool, default=False
        Whether the fields that the layer names in ``tensors`` are variables, whose values a template is given in each
        call, or the numbers that they are.
    """

    def __init__(self, wrapped: Layer | Input, n_inputs: int, *, traced: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wrapped = wrapped
        self.n_inputs = n_inputs
        self.traced = traced
        self.scalars: dict[str, Any] = {}
        self._p: dict[str, Any] = {}
        if wrapped.random:
            self.seed_generator = keras.random.SeedGenerator(0)

    def build(self, input_shape: Any) -> None:
        # zeros: the core draws the weights
        for name, weight in self.wrapped.weights(self.n_inputs).items():
            self._p[name] = self.add_weight(name=name, shape=weight.shape, initializer="zeros", dtype=self.dtype)
        for name in self.wrapped.tensors if self.traced else ():
            self.scalars[name] = self.add_weight(
                name=name, shape=(), initializer="zeros", dtype=self.dtype, trainable=False
            )
        self.built = True

    def call(self, x: Any, training: bool = False) -> Any:
        ops = backend_ops()
        p = SimpleNamespace(**{name: keras.ops.convert_to_tensor(v) for name, v in self._p.items()})
        if training:
            for name in self.wrapped.tensors:
                value = self.scalars.get(name, getattr(self.wrapped, name))
                setattr(p, name, keras.ops.cast(value, self.compute_dtype))
            if self.wrapped.random:
                p.seed = self.seed_generator.next()
        if isinstance(self.wrapped, Input) and self.wrapped.sparse:
            rows, columns = keras.ops.nonzero(x)
            flat = keras.ops.cast(rows, "int64") * self.n_inputs + keras.ops.cast(columns, "int64")
            values = keras.ops.take(keras.ops.reshape(x, (-1,)), flat)
            x = SparseRows(rows, columns, values, (keras.ops.shape(x)[0], self.n_inputs))
        y = self.wrapped.forward(ops, x, p, training=bool(training))
        return y.dense(ops) if isinstance(y, SparseRows) else y

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.wrapped.n_outputs(self.n_inputs))

    def get_config(self) -> dict[str, Any]:
        wrapped = self.wrapped
        if isinstance(wrapped, BaseEstimator):
            parameters = wrapped.get_params(deep=False)
        else:
            parameters = {f.name: getattr(wrapped, f.name) for f in dataclasses.fields(wrapped)}
        kind = type(wrapped)
        described = {"of": f"{kind.__module__}:{kind.__qualname__}", "parameters": parameters}
        return {**super().get_config(), "wrapped": described, "n_inputs": self.n_inputs}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> NetworkLayer:
        config = keras.saving.deserialize_keras_object(config)
        described = config.pop("wrapped")
        wrapped = _find(described["of"])(**described["parameters"])
        return cls(wrapped, **config)


def _find(path: str) -> Any:
    """Return the class of a saved layer; a file may name only what is imported already or comes with ffnn.

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
