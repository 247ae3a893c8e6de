"""The builder called ``tf``: a raw TensorFlow graph, without a Keras object in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ffnn.builder import Builder, Model
from ffnn.builders._quiet import quieten_tensorflow

if TYPE_CHECKING:
    from ffnn.network import Network
    from ffnn.solver import Solver

__all__ = ["TensorFlowBuilder"]


class TensorFlowBuilder(Builder):
    """Builds a raw TensorFlow graph: ``tf.function``, variables, gradients.

    An epoch is one call into TensorFlow. Networks of the same architecture share one traced program in a process.
    TensorFlow prints errors only, unless the environment variable ``TF_CPP_MIN_LOG_LEVEL`` says otherwise.
    """

    engine = "tensorflow"
    requirement = "tensorflow"

    def build(self, network: Network, solver: Solver) -> Model:
        quieten_tensorflow()
        from ffnn.builders._tensorflow_model import TensorFlowModel

        return TensorFlowModel(network, solver)
