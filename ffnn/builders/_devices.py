"""Where a model's arrays are and its operations run: each model on one device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any

from ffnn.model import Model

__all__ = ["check_found", "keras_devices", "placed", "tensorflow_devices"]


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
    """Return a device's full name, which is among those found.

    Raises
    ------
    ValueError
        If it is not.
    """
    name = device if ":" in device else f"{device}:0"
    if name not in found:
        raise ValueError(
            f"device={device!r}: expected one of {', '.join(found)}, which the engine has on this machine; or None, "
            "which leaves the choice to it."
        )
    return name


def placed(make: Callable[[], Model], scope: Callable[[], AbstractContextManager[Any]]) -> Any:
    """Return a model that is made, and does all that it is called for, within a context."""
    with scope():
        return _Placed(make(), scope)


class _Placed:
    def __init__(self, model: Model, scope: Callable[[], AbstractContextManager[Any]]) -> None:
        self._model = model
        self._scope = scope

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        with self._scope():
            value = getattr(self._model, name)
        if not callable(value) or name == "native":
            return value

        @wraps(value)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._scope():
                return value(*args, **kwargs)

        return call
