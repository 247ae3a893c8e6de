"""The ``activation`` layer: an elementwise function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ffnn._utils.checks import check_choice
from ffnn.layer import Context, Layer, Traits
from ffnn.native import NativeOp
from ffnn.ops import Ops, Tensor

__all__ = ["ACTIVATIONS", "Activation"]

#: Parameter value → name of the builder's operation, and of Keras's activation.
ACTIVATIONS = {
    "elu": "elu",
    "gelu": "gelu",
    "leaky_relu": "leaky_relu",
    "logistic": "sigmoid",
    "mish": "mish",
    "relu": "relu",
    "selu": "selu",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "softplus": "softplus",
    "swish": "silu",
    "tanh": "tanh",
}
# Keras rounds the constants of these to float32, in float64 too
_ROUNDED = ("gelu", "leaky_relu")
_REMEDY = "Give a function of the builder's engine, such as tensorflow.tanh or keras.ops.tanh, or a name: 'tanh'."
_LINEAR = ("linear", "identity")


@dataclass(frozen=True)
class Activation(Layer):
    """Applies an elementwise function.

    Parameters
    ----------
    activation : str, callable or None
        A name in ``ACTIVATIONS``, or a function that takes a tensor of the builder's engine; None means the
        estimator's activation.
    """

    activation: str | Callable[[Any], Any] | None = None

    traits = Traits(bfloat16=True)

    def bind(self, values: Mapping[str, Any]) -> Layer | None:
        bound = super().bind(values)
        if not isinstance(bound, Activation) or bound.activation is None:
            return None
        if callable(bound.activation):
            return bound
        names = [*sorted(ACTIVATIONS), *_LINEAR]
        name = check_choice("activation", bound.activation, names, "a callable, or None for linear")
        return None if name in _LINEAR else bound

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        if callable(self.activation):
            return _checked(self.activation, x)
        name = ACTIVATIONS[str(self.activation)]
        return mish(ops, x) if name == "mish" else getattr(ops, name)(x)

    def to_native(self, n_inputs: int) -> tuple[NativeOp, ...] | None:
        if callable(self.activation):
            return None
        return (NativeOp("function", function=ACTIVATIONS[str(self.activation)]),)

    def to_keras(self, keras: Any, x: Any, name: str, dtype: str) -> Any:
        if dtype == "float64" and self.activation in _ROUNDED:
            return NotImplemented
        if callable(self.activation):  # Keras's layer assumes that the function keeps the shape
            _checked(self.activation, keras.ops.zeros((1, x.shape[-1]), dtype=x.dtype))
        function = self.activation if callable(self.activation) else ACTIVATIONS[str(self.activation)]
        return _call(self.activation, keras.layers.Activation(function, name=name, dtype=dtype), x)


def mish(ops: Ops, x: Tensor) -> Tensor:
    """Return ``x * tanh(softplus(x))``.

    D. Misra (2020), "Mish: a self regularized non-monotonic activation function", BMVC.
    """
    return x * ops.tanh(ops.softplus(x))


def _call(activation: Any, function: Callable[[Any], Any], x: Tensor) -> Tensor:
    """Return ``function(x)``; name the activation if it fails."""
    try:
        return function(x)
    except Exception as error:  # engines raise anything for a function of another engine
        raise TypeError(
            f"activation={activation!r} failed on the builder's {type(x).__name__}: {type(error).__name__}: {error} "
            f"{_REMEDY}"
        ) from error


def _checked(activation: Callable[[Any], Any], x: Tensor) -> Tensor:
    """Return ``activation(x)``; refuse a result of another shape or dtype."""
    result = _call(activation, activation, x)
    before, after = _shape_of(x), _shape_of(result)
    if not _compatible(before, after) or ("bfloat16" not in str(x.dtype) and result.dtype != x.dtype):
        got = repr(result) if after is None else f"{after} and {_name(result.dtype)}"
        raise TypeError(
            f"activation={activation!r}: expected a function whose result has the shape and dtype of its argument, "
            f"{before} and {_name(x.dtype)}; it returned {got}. {_REMEDY}"
        )
    return result


def _name(dtype: Any) -> str:
    return str(getattr(dtype, "name", dtype))


def _shape_of(tensor: Any) -> tuple[int | None, ...] | None:
    """Return a tensor's shape, () if it is not known yet; None for anything but a tensor."""
    if not hasattr(tensor, "shape") or not hasattr(tensor, "dtype"):
        return None
    try:
        return tuple(tensor.shape)
    except ValueError:
        return ()


def _compatible(before: Any, after: Any) -> bool:
    """Return whether the shape of a result is compatible with the shape of its argument."""
    if not before or not after:
        return after is not None and (after == () or not before)
    return len(before) == len(after) and all(None in (n, m) or n == m for n, m in zip(before, after, strict=True))
