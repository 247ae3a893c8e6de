"""The builder called ``keras``: real Keras layers, on the engine that Keras runs on."""

from __future__ import annotations

import copy
import importlib
import sys
from collections.abc import Callable, Hashable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

from ffnn._utils.checks import check_device, unknown_name
from ffnn._utils.forks import check_not_forked, note_running
from ffnn._utils.keys import parameters_key
from ffnn.builder import Builder, can_be_found
from ffnn.builders._devices import check_found, keras_devices
from ffnn.builders._engines import check_tensorflow, import_engine, keras_backend
from ffnn.exceptions import EngineNotInstalledError
from ffnn.model import Model

if TYPE_CHECKING:
    from ffnn.builders._keras.source import Source
    from ffnn.network import Network
    from ffnn.solver import Solver
    from ffnn.training.listeners import Listener, Run

__all__ = ["KerasBuilder"]

_ENGINES = {
    "tensorflow": "ffnn.builders._keras.tensorflow:KerasTensorFlowModel",
    "jax": "ffnn.builders._keras.jax:KerasJaxModel",
    "torch": "ffnn.builders._keras.torch:KerasTorchModel",
}
_RETURNS = ("auto", "scores", "probabilities")


class KerasBuilder(Builder):
    """Builds a network of real Keras layers, or trains a Keras model of the user's.

    The estimator's ``model_`` is a ``keras.Model`` with the weights of that moment, whose ``summary()`` and ``.keras``
    file are what a Keras user expects. Keras runs on the engine that ``KERAS_BACKEND`` names: on TensorFlow an epoch
    is one call into the engine; on JAX and on torch it goes batch by batch. On torch, Keras multiplies matrices in
    float32, whatever ``dtype`` says.

    Parameters
    ----------
    build : callable, optional
        ``build(network)`` returns a new ``keras.Model`` that takes ``network.n_features`` values per row and returns
        ``network.n_outputs``; ``network.output.activation`` is the activation that suits the targets. It is called
        whenever a model is needed, with layers' unnamed seeds drawn from the estimator's ``random_state``. The
        estimator's ``hidden_units``, ``dropout``, ``activation`` and ``block`` describe ``network.stages``, and have an
        effect only if the function reads them. ``solver`` and the loss of the targets train the model; the arguments of
        ``compile`` are not used.
    returns : {"auto", "scores", "probabilities"}
        The meaning of that model's outputs for a classifier. "auto" means probabilities if its last layer ends in a
        sigmoid or a softmax, otherwise scores; it is refused for a subclassed model, whose last layer is unknown.
    callbacks : sequence of keras.callbacks.Callback, optional
        Called at the beginning and end of training and of each epoch, with the logs ``loss``, ``learning_rate`` and, if
        there is validation data, ``val_loss`` and ``val_score``; ``model.stop_training = True`` ends the training. Each
        fit uses copies of them, which the estimator keeps as ``callbacks_``. Callbacks that need batches, or Keras's
        optimizer, are refused.
    device : str, optional
        Where to compute: ``"cpu"``, ``"gpu"`` or, where there are several, ``"gpu:1"``; None is the engine's choice.
        The estimator's parameter ``device`` stands for it.
    """

    engine = "keras"
    requirement = "keras tensorflow"
    otherwise = ". Or use builder='native' or 'auto'."

    def __init__(
        self,
        build: Callable[[Network], Any] | None = None,
        returns: str = "auto",
        callbacks: Sequence[Any] | None = None,
        device: str | None = None,
    ) -> None:
        self.build = build
        self.returns = returns
        self.callbacks = callbacks
        self.device = device

    def check_installed(self, parameter: str = "builder") -> None:
        if self.build is not None and not callable(self.build):
            raise TypeError(
                f"KerasBuilder.build={self.build!r}: expected a function build(network) that returns a new "
                f"keras.Model; got {type(self.build).__name__}. Each fit needs a model of its own."
            )
        if self.returns not in _RETURNS:
            raise unknown_name("KerasBuilder.returns", self.returns, _RETURNS, "leave it at 'auto'")
        check_device("KerasBuilder.device", self.device)
        super().check_installed(parameter)
        if "keras" not in sys.modules:
            self._check_backend(parameter)
        self._check_callbacks()

    def _check_backend(self, parameter: str) -> None:
        """Refuse a backend of Keras that is not installed, before Keras is imported for it."""
        backend = keras_backend()
        if backend in _ENGINES and not can_be_found(backend):
            there = next((name for name in _ENGINES if can_be_found(name)), None)
            remedy = f"export KERAS_BACKEND={there}" if there else "pip install jax, and export KERAS_BACKEND=jax"
            raise EngineNotInstalledError(
                f"{parameter}={self!r}: Keras runs on {backend!r}, which is not installed. Before Keras is imported: "
                f"{remedy}. Or use builder='native' or 'auto'."
            )

    def _check_callbacks(self) -> None:
        callbacks: Any = self.callbacks
        if callbacks is None:
            return
        if not isinstance(callbacks, Sequence) or isinstance(callbacks, str):
            raise TypeError(
                f"KerasBuilder.callbacks={callbacks!r}: expected a list of keras.callbacks.Callback, or None; got "
                f"{type(callbacks).__name__}."
            )
        if callbacks and "keras" in sys.modules:  # otherwise none of them can be a Keras callback
            from ffnn.builders._keras.callbacks import check_callback

            for i, callback in enumerate(callbacks):
                check_callback(callback, f"KerasBuilder.callbacks[{i}]")
        elif callbacks:
            raise TypeError(
                f"KerasBuilder.callbacks[0]={callbacks[0]!r}: expected an instance of keras.callbacks.Callback; got "
                f"{type(callbacks[0]).__name__}."
            )

    def structure(self) -> Hashable:
        return parameters_key(copy.copy(self).set_params(callbacks=None))  # callbacks do not change a model's structure

    def listeners(self, run: Run) -> Sequence[Listener]:
        if not self.callbacks:
            return ()
        from ffnn.builders._keras.callbacks import KerasCallbacks

        return [KerasCallbacks(self.callbacks, run)]

    def check_running(self) -> None:
        backend = getattr(sys.modules.get("keras"), "backend", None)
        if backend is None:  # no model has been made yet
            return
        if backend.backend() == "tensorflow":
            check_tensorflow()
        check_not_forked(backend.backend())

    def import_engine(self) -> None:
        import_engine("keras")

    def model(self, network: Network, solver: Solver) -> Model:
        self.import_engine()
        import keras

        self.check_running()  # again, now that Keras's engine is known
        note_running(keras.backend.backend())
        device = None if self.device is None else check_found(self.device, keras_devices())
        model = _model_on(keras.backend.backend())
        with nullcontext() if device is None else keras.device(device):
            return cast("Model", model(network, solver, self.source(network), device))

    def source(self, network: Network) -> Source:
        """Return the source of the Keras models: the network's description or the user's function."""
        from ffnn.builders._keras.source import NetworkSource

        if self.build is None:
            return NetworkSource(network)
        from ffnn.builders._keras.user import UserSource

        return UserSource(network, self.build, self.returns)


def _model_on(engine: str) -> Any:
    """Return the class of models on one of Keras's backends.

    Raises
    ------
    ValueError
        If ffnn cannot train there.
    """
    if engine not in _ENGINES:
        raise ValueError(
            f"builder='keras': Keras runs on {engine!r} here, on which ffnn cannot train; expected one of "
            f"{', '.join(_ENGINES)}. Set the environment variable KERAS_BACKEND to one before Keras is imported."
        )
    module, _, name = _ENGINES[engine].partition(":")
    return getattr(importlib.import_module(module), name)


def __getattr__(name: str) -> Any:
    # importing this class lets Keras load files with such a layer; until then this module does not import Keras
    if name == "NetworkLayer":
        from ffnn.builders._keras.layer import NetworkLayer

        return NetworkLayer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
