"""The builder called ``native``: compiled kernels for a CPU, without an engine to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ffnn._utils.checks import check_device
from ffnn.builder import Builder
from ffnn.exceptions import EngineNotInstalledError
from ffnn.model import Model

if TYPE_CHECKING:
    from ffnn.network import Network
    from ffnn.solver import Solver

__all__ = ["NativeBuilder"]


class NativeBuilder(Builder):
    """Trains and predicts by kernels in C that come with ffnn, on the CPU.

    An epoch is one call into C. Nothing is traced, compiled or imported before the first one. Results do not depend on
    the number of threads, but may differ in the last digit from processor to processor. Dropout draws from a stream
    of its own, so that its masks are not those of the other builders.

    It has the built-in activations, losses and solvers, and the layers and inputs that say what they are by a method
    ``to_native``. Other networks are refused by name.

    Parameters
    ----------
    device : str, optional
        ``"cpu"`` or None, which are the same here.
    """

    engine = "ffnn_plugins"
    requirement = "ffnn"
    survives_fork = True

    def __init__(self, device: str | None = None) -> None:
        self.device = device

    def check_installed(self, parameter: str = "builder") -> None:
        from ffnn_plugins.builders._native.library import is_there

        if check_device("device", self.device) not in (None, "cpu", "cpu:0"):
            raise ValueError(
                f"device={self.device!r}: expected 'cpu' or None, as builder='native' computes on the CPU alone. Use "
                "builder='tf', which computes on a GPU, too."
            )
        if not is_there():
            raise EngineNotInstalledError(
                f"{parameter}={self!r} needs its compiled kernels, which this installation was built without. Install "
                "a C compiler, then ffnn anew; or use builder='tf'."
            )

    def import_engine(self) -> None:
        from ffnn_plugins.builders._native import sparse  # noqa: F401  # and all that it imports

    def model(self, network: Network, solver: Solver) -> Model:
        from ffnn_plugins.builders._native.model import NativeModel

        made = NativeModel
        if network.input.sparse:
            from ffnn_plugins.builders._native.sparse import SparseAdamModel

            made = SparseAdamModel if SparseAdamModel.takes(network, solver) else NativeModel
        return cast("Model", made(network, solver))
