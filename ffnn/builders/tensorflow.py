"""The builder called ``tf``: a raw TensorFlow graph, without a Keras object in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ffnn._utils.checks import check_device
from ffnn._utils.forks import note_running
from ffnn.builder import Builder
from ffnn.builders._devices import check_found, tensorflow_devices
from ffnn.builders._engines import check_tensorflow, import_engine
from ffnn.model import Model

if TYPE_CHECKING:
    from ffnn.network import Network
    from ffnn.solver import Solver

__all__ = ["TensorFlowBuilder"]


class TensorFlowBuilder(Builder):
    """Builds a raw TensorFlow graph: ``tf.function``, variables, gradients.

    An epoch is one call into TensorFlow. Networks of the same architecture share one traced program in a process.
    TensorFlow prints errors only, unless the environment variable ``TF_CPP_MIN_LOG_LEVEL`` says otherwise: 0 shows
    everything.

    Parameters
    ----------
    device : str, optional
        Where to compute: ``"cpu"``, ``"gpu"`` or, where there are several, ``"gpu:1"``; None is TensorFlow's choice.
        The estimator's parameter ``device`` stands for it.
    """

    engine = "tensorflow"
    requirement = "tensorflow"
    otherwise = ", which has releases for Python 3.11 to 3.13. Or use builder='native' or 'auto'."

    def __init__(self, device: str | None = None) -> None:
        self.device = device

    def check_installed(self, parameter: str = "builder") -> None:
        check_device("TensorFlowBuilder.device", self.device)
        super().check_installed(parameter)

    def check_running(self) -> None:
        check_tensorflow()

    def import_engine(self) -> None:
        import_engine("tensorflow")

    def model(self, network: Network, solver: Solver) -> Model:
        self.import_engine()
        note_running("tensorflow")
        from ffnn.builders._tensorflow.model import TensorFlowModel

        device = None if self.device is None else check_found(self.device, tensorflow_devices())
        return TensorFlowModel(network, solver, device)
