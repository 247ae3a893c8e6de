"""Keras's callbacks, called during a training that Keras does not run."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import keras
import numpy as np
from keras import ops

from ffnn.builders._keras._private import FIRST_PROFILED_BATCH, drop_model, overrides
from ffnn.builders._keras.source import assign
from ffnn.model import State
from ffnn.training.listeners import Listener, Run

if TYPE_CHECKING:
    from ffnn.builders._devices import ScopedModel

__all__ = ["KerasCallbacks", "check_callback"]

_SCHEDULES = "Give the estimator learning_rate=: ffnn.Cosine(1e-3), ffnn.Stepwise(...), or a function"
#: Keras's callbacks that need its optimizer or training loop, which are not used here, and the alternatives.
_UNSUITED = {
    "LearningRateScheduler": _SCHEDULES,
    "ReduceLROnPlateau": _SCHEDULES,
    "SwapEMAWeights": "Use early_stopping=True to keep the weights of the best epoch",
    "BackupAndRestore": "Use warm_start=True, or partial_fit, and joblib.dump the estimator after each call",
}
#: Parameters of Keras's callbacks that could require a call per batch: the allowed value, and its attribute.
_EPOCHWISE: dict[str, dict[str, tuple[Any, str]]] = {
    "ModelCheckpoint": {"save_freq": ("epoch", "save_freq")},
    "OrbaxCheckpoint": {"save_freq": ("epoch", "save_freq")},
    "TensorBoard": {
        "update_freq": ("epoch", "update_freq"),
        "profile_batch": (0, FIRST_PROFILED_BATCH),
        "write_steps_per_second": (False, "write_steps_per_second"),
    },
}
_BATCH_HOOKS = tuple(f"on_{kind}batch_{end}" for kind in ("", "train_", "test_") for end in ("begin", "end"))
_LOGS = {"validation_loss": "val_loss", "validation_score": "val_score"}


class _Used(list[Any]):
    """The callbacks of a training; pickled and copied as an empty list, since they hold files, writers and models."""

    def __reduce__(self) -> Any:
        return _Used, ()


def check_callback(callback: Any, name: str) -> None:
    """Refuse an object that is not a callback, or a callback for events that do not occur here.

    Raises
    ------
    TypeError, ValueError
        The error names the callback and the remedy.
    """
    kind = type(callback).__name__
    if not isinstance(callback, keras.callbacks.Callback) or isinstance(callback, type):
        raise TypeError(
            f"{name}={callback!r}: expected an instance of keras.callbacks.Callback; got {kind}. A callback of "
            "scikit-learn's goes to set_callbacks, a function to fit(..., monitor=)."
        )
    for unsuited, remedy in _UNSUITED.items():
        if isinstance(callback, getattr(keras.callbacks, unsuited, ())):
            raise ValueError(
                f"{name} is a {kind}: it needs Keras's optimizer and loop, and here the estimator's solver trains. "
                f"{remedy}; or leave it out."
            )
    for found, parameters in _EPOCHWISE.items():
        for parameter, (expected, attribute) in parameters.items():
            value = getattr(callback, attribute, expected)
            if isinstance(callback, getattr(keras.callbacks, found, ())) and value != expected:
                raise ValueError(
                    f"{name} is a {kind} with {parameter}={value!r}; expected {expected!r}: an epoch is one call into "
                    "the engine, so nothing can be called in between."
                )
    for hook in _BATCH_HOOKS:
        method = getattr(callback, hook)
        # Keras's own callbacks use these only for the parameters above, or on NaN, which is an error here anyway
        if overrides(method) and not str(method.__module__).startswith("keras."):
            raise ValueError(
                f"{name} is a {kind} with a method {hook}, which is never called: an epoch is one call into the "
                f"engine. Use on_epoch_begin and on_epoch_end; for learning rates {_SCHEDULES[0].lower()}"
                f"{_SCHEDULES[1:]}."
            )


class KerasCallbacks(Listener):
    """Runs copies of a builder's callbacks with a ``keras.Model``.

    The model has the current weights whenever a callback is called, and the training takes over weights that a callback
    assigns to it.

    Parameters
    ----------
    callbacks : sequence of keras.callbacks.Callback
        The builder's callbacks. They are not changed: each fit has copies of them.
    run : Run
        The training.
    """

    def __init__(self, callbacks: Sequence[Any], run: Run) -> None:
        self._given = callbacks
        self._run = run
        self._trained = cast("ScopedModel", run.model)  # all models of the Keras builder are
        self._callbacks = _Used()
        self._shown: Any = None
        self._state = State({})
        self._stale = True  # whether the callbacks' model may lack the current weights
        self._logs: dict[str, float] = {}

    def begin(self) -> None:
        """Copy the callbacks, give them the model, and call ``on_train_begin``."""
        for i, callback in enumerate(self._given):
            try:
                self._callbacks.append(copy.deepcopy(callback))
            except Exception as error:  # a user's object may raise anything
                raise TypeError(
                    f"KerasBuilder.callbacks[{i}]={callback!r} cannot be copied, but each fit needs a copy: "
                    f"{type(error).__name__}: {error}. Open files and connections in on_train_begin."
                ) from error
        run = self._run
        run.attributes["callbacks_"] = self._callbacks
        with self._trained.scope():
            shown = self._shown = self._trained.native
            shown.stop_training = False
            if not hasattr(shown, "optimizer"):
                shown.optimizer = None  # some of Keras's callbacks read it
            for callback in self._callbacks:
                callback.set_model(shown)
                callback.set_params({"epochs": run.epochs.stop, "steps": run.n_batches, "verbose": int(run.verbose)})
        self._tell("on_train_begin")

    def begin_epoch(self, epoch: int) -> None:
        """Call ``on_epoch_begin``."""
        self._tell("on_epoch_begin", epoch)

    def end_epoch(self, epoch: int, stats: dict[str, float]) -> bool:
        """Call ``on_epoch_end`` with Keras's names; return whether a callback has set ``model.stop_training``."""
        self._stale = True
        self._logs = {_LOGS.get(name, name): value for name, value in stats.items()}
        tested = {name: value for name, value in self._logs.items() if name.startswith("val_")}
        if tested:
            self._tell("on_test_begin")
            self._tell("on_test_end", {name.removeprefix("val_"): value for name, value in tested.items()})
        self._tell("on_epoch_end", epoch, dict(self._logs))
        return bool(self._shown.stop_training)

    def end(self) -> None:
        """Call ``on_train_end``."""
        self._stale = True  # the best epoch's weights may have been restored
        self._tell("on_train_end", dict(self._logs))

    def close(self) -> None:
        """Remove the model from the callbacks, which stay with the estimator."""
        for callback in self._callbacks:
            drop_model(callback)
        self._shown = None

    def _tell(self, hook: str, *arguments: Any) -> None:
        hooks = [getattr(callback, hook) for callback in self._callbacks]
        acting = [method for method in hooks if overrides(method)]
        if acting:
            with self._trained.scope():
                self._show()
                for method in acting:
                    method(*arguments)
                self._take()

    def _show(self) -> None:
        """Give the callbacks' model the current weights."""
        if self._stale:
            self._state, self._stale = self._trained.get_state(), False
            assign(self._variables, self._state.weights)

    def _take(self) -> None:
        """Take over weights that a callback has assigned to the model."""
        named = zip(self._state.weights.items(), self._variables, strict=True)
        weights = {name: (value, np.asarray(ops.convert_to_numpy(variable))) for (name, value), variable in named}
        if not all(np.array_equal(old, new) for old, new in weights.values()):
            self._state.weights = {name: new.copy() for name, (_, new) in weights.items()}
            self._trained.set_state(self._state)

    @property
    def _variables(self) -> list[Any]:
        """The model's variables, in the order of a state's weights."""
        return [*self._shown.trainable_variables, *self._shown.non_trainable_weights]
