"""The builder called ``native``: compiled kernels for a CPU, without an engine to import."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

from ffnn._utils.checks import check_device
from ffnn.builder import Builder
from ffnn.exceptions import EngineNotInstalledError
from ffnn.model import Model

if TYPE_CHECKING:
    from ffnn.network import Network
    from ffnn.solver import Solver

__all__ = ["NativeBuilder"]

# The limits of `suits`, from CPU times on two cores with AVX-512, with Adam unless another solver is named. Below
# them, dense layers took from a sixth of TensorFlow's time (16 units) to about the same (4,096 units), in batches of 16
# to 512; with both held to AVX2, too.

#: From this number of features on, sparse rows that are made dense took twice the time of TensorFlow, which multiplies
#: only the stored entries (50,000 features, 0.2 % stored, SGD, or Adam in float64).
_WIDE = 10_000
#: From this number of rows per batch and of weights per layer on, it took 1.6 times TensorFlow's time (1,024 by 1,024
#: in batches of 4,096, 2,048 by 2,048 and 4,096 by 4,096 in batches of 1,024), in float64 2.1 times.
_LARGE_BATCH = 1024
_LARGE_LAYER = 2**20
#: The number of rows times weights from which that costs more, in ten epochs, than the four seconds for TensorFlow's
#: import and tracing.
_LONG = 1e10
#: The number of stored entries of X from which the kernel for Adam cannot be used.
_MOST_STORED = 2**31


class NativeBuilder(Builder):
    """Trains and predicts by kernels in C that come with ffnn, on the CPU.

    An epoch is one call into C, a very long one several. Nothing is traced, compiled or imported before the first one.
    Results do not depend on the number of threads, but may differ in the last digit from processor to processor. The
    masks of dropout are not those of the other builders.

    It supports the built-in activations, losses and solvers, and layers and inputs with a method ``to_native``. Other
    networks are refused; the error names the part that is not supported.

    Parameters
    ----------
    device : str, optional
        ``"cpu"`` or None, which mean the same.
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
        from ffnn_plugins.builders._native import sparse  # noqa: F401  # imports the others

    def check_network(self, network: Network, solver: Solver) -> None:
        from ffnn_plugins.builders._native.network import loss_of, ops_of, solver_of

        ops_of(network)
        loss_of(network)
        solver_of(solver, network.dtype)

    def suits(self, network: Network, solver: Solver, n_rows: int, batch_size: int) -> bool:
        from ffnn_plugins.builders._native.sparse import SparseAdamModel

        input, layers = network.input, [math.prod(weight.shape) for weight in network.trained.values()]
        if SparseAdamModel.takes(network, solver):
            return input.statistics_ is None or n_rows * input.statistics_.stored_per_row < _MOST_STORED
        if input.sparse and (input.batches == "stored" or network.n_features >= _WIDE):
            return False
        large = min(n_rows, batch_size) >= _LARGE_BATCH and max(layers, default=0) >= _LARGE_LAYER
        return not (large and n_rows * sum(layers) >= _LONG)

    def model(self, network: Network, solver: Solver) -> Model:
        from ffnn_plugins.builders._native.model import NativeModel

        made = NativeModel
        if network.input.sparse:
            from ffnn_plugins.builders._native.sparse import SparseAdamModel

            made = SparseAdamModel if SparseAdamModel.takes(network, solver) else NativeModel
        return cast("Model", made(network, solver))
