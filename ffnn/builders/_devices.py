"""The devices of an engine, and the scope in which a model runs on one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from ffnn.model import Model

__all__ = ["ScopedModel", "check_found", "in_scope", "keras_devices", "tensorflow_devices"]

P = ParamSpec("P")
T = TypeVar("T")
Scoped = TypeVar("Scoped", bound="_HasScope")


class _HasScope(Protocol):
    def scope(self) -> AbstractContextManager[Any]: ...


class ScopedModel(Model, Protocol):
    """A model with a scope, for code outside the model that calls its engine, such as Keras's callbacks."""

    def scope(self) -> AbstractContextManager[Any]:
        """Return the context that sets the model's device, and the dtype of arrays that are made in it."""
        ...


def tensorflow_devices() -> list[str]:
    """Return the devices that TensorFlow has here, such as ``["cpu:0", "gpu:0", "gpu:1"]``."""
    import tensorflow as tf

    found = tf.config.list_logical_devices()
    return [d.name.removeprefix("/device:").lower() for d in found if d.device_type in ("CPU", "GPU")]


def keras_devices() -> list[str]:
    """Return the devices of the engine that Keras runs on."""
    import keras

    engine = keras.backend.backend()
    if engine == "jax":
        return [name for kind in ("cpu", "gpu") for name in _jax_devices(kind)]
    if engine == "torch":
        import torch

        return ["cpu:0", *(f"gpu:{i}" for i in range(torch.cuda.device_count()))]
    return tensorflow_devices()


def _jax_devices(kind: str) -> list[str]:
    import jax

    try:
        return [f"{kind}:{device.id}" for device in jax.local_devices(backend=kind)]
    except RuntimeError:  # it has none of this kind
        return []


def check_found(device: str, found: Sequence[str]) -> str:
    """Return the full name of a device.

    Raises
    ------
    ValueError
        If the device is not among those found.
    """
    name = device if ":" in device else f"{device}:0"
    if name not in found:
        raise ValueError(
            f"device={device!r}: expected one of {', '.join(found)}, which the engine has on this machine; or None, "
            "which leaves the choice to it."
        )
    return name


def in_scope(method: Callable[Concatenate[Scoped, P], T]) -> Callable[Concatenate[Scoped, P], T]:
    """Run a model's method within the model's ``scope()``, which sets its device and the dtype of its arrays."""

    @wraps(method)
    def run(self: Scoped, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self.scope():
            return method(self, *args, **kwargs)

    return run
