"""The builder called ``keras``: real Keras layers, on the engine that Keras runs on."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from ffnn.builder import Builder, Model
from ffnn.builders._quiet import quieten_tensorflow
from ffnn.parameters import unknown_name

if TYPE_CHECKING:
    from ffnn.network import Network
    from ffnn.solver import Solver

__all__ = ["KerasBuilder"]

_ENGINES = {
    "tensorflow": "ffnn.builders._keras_tensorflow:KerasTensorFlowModel",
    "jax": "ffnn.builders._keras_jax:KerasJaxModel",
    "torch": "ffnn.builders._keras_torch:KerasTorchModel",
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
        ``build(network)`` returns a new ``keras.Model`` that takes ``network.n_features`` values a row and returns
        ``network.n_outputs``; ``network.output.activation`` is the activation that suits the targets. It is called
        whenever a model is needed, with layers' unnamed seeds drawn from the estimator's ``random_state``. The
        estimator's ``hidden_units``, ``dropout``, ``activation`` and ``block`` describe ``network.stages`` and act only
        where the function reads them; ``solver`` and the loss of the targets train the model, not what ``compile`` was
        given.
    returns : {"auto", "scores", "probabilities"}
        What that model returns for a classifier: with "auto", probabilities if its last layer ends in a sigmoid or a
        softmax, otherwise scores. It must be said for a subclassed model, whose last layer cannot be seen.
    """

    engine = "keras"
    requirement = "keras tensorflow"

    def __init__(self, build: Callable[[Network], Any] | None = None, returns: str = "auto") -> None:
        # not self.build, which is what every builder does
        self._build = build
        self.returns = returns

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"build": self._build, "returns": self.returns}

    def set_params(self, **params: Any) -> Self:
        if "build" in params:
            self._build = params.pop("build")
        super().set_params(**params)
        return self

    def check_installed(self, parameter: str = "builder") -> None:
        if self._build is not None and not callable(self._build):
            raise TypeError(
                f"KerasBuilder.build={self._build!r}: expected a function build(network) that returns a new "
                f"keras.Model; got {type(self._build).__name__}. Each fit needs a model of its own."
            )
        if self.returns not in _RETURNS:
            raise unknown_name("KerasBuilder.returns", self.returns, _RETURNS, "leave it at 'auto'")
        super().check_installed(parameter)

    def build(self, network: Network, solver: Solver) -> Model:
        quieten_tensorflow()
        import keras

        from ffnn.builders._keras_source import NetworkSource, Source

        model = _model_on(keras.backend.backend())
        source: Source = NetworkSource(network)
        if self._build is not None:
            from ffnn.builders._keras_user import UserSource

            source = UserSource(network, self._build, self.returns)
        return model(network, solver, source)


def _model_on(engine: str) -> Any:
    """Return the class of the models on an engine of Keras's.

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
    # a .keras file with a layer that Keras does not have loads once this class is imported; Keras only then
    if name == "NetworkLayer":
        from ffnn.builders._keras_layer import NetworkLayer

        return NetworkLayer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
