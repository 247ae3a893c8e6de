"""Adam for a weight that is multiplied with sparse rows, one pass per step: the Python side of ``sparse_adam.c``."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ffnn.kernels import load
from ffnn.kernels.csr import CSR, check_array, check_arrays, gather, lengths_of
from ffnn.kernels.threads import Threads
from ffnn.lazy_rows import StepHistory
from ffnn.model import Array
from ffnn.solvers import Adam, AdamW

if TYPE_CHECKING:
    from ffnn.model import EpochPlan
    from ffnn.solver import Solver

__all__ = ["AdamArrays", "SparseAdam"]


#: The largest and smallest number of lanes, the parts of the features that threads take one at a time.
LANES, FEWEST_LANES = 16, 2
#: The most bytes for the products of a batch, which each lane has; with larger products there are fewer lanes.
PRODUCTS = 2**27
#: The padding of rows of products: a row length that is a power of two would map all rows to the same cache lines.
_PAD = 16
_TRIPLE = np.dtype([("column", np.int32), ("row", np.int32), ("value", np.float32)])
#: The arrays of a fetched batch.
_FETCHED = (("columns", np.int32), ("values", np.float32))


@dataclass(frozen=True)
class AdamArrays:
    """A weight and Adam's two means, changed in place: float32 ndarrays of shape (n_features, n_units)."""

    weight: Array
    mean: Array
    square: Array


class _Pass(ctypes.Structure):
    """Kept in step with ``struct pass`` in C."""

    _fields_ = (
        *[(name, ctypes.c_int64) for name in ("n_features", "n_units", "n_lanes", "lane_size")],
        *[(name, ctypes.c_void_p) for name in ("weight", "mean", "square", "last")],
        *[(name, ctypes.c_void_p) for name in ("features", "starts", "entries")],
        *[(name, ctypes.c_void_p) for name in ("next_features", "next_starts", "next_entries", "gradients")],
        ("pitch", ctypes.c_int64),
        ("n_next", ctypes.c_int64),
        *[(name, ctypes.c_void_p) for name in ("splits", "columns", "values", "products")],
        *[(name, ctypes.c_float) for name in ("step_size", "mean_rest", "square_rest", "epsilon")],
        *[(name, ctypes.c_float) for name in ("bound", "decay", "shrink")],
        ("every", ctypes.c_int32),
        ("now", ctypes.c_int32),
        ("n_ends", ctypes.c_int64),
        *[(name, ctypes.c_void_p) for name in ("ends", "sums", "logs")],
        *[(name, ctypes.c_void_p) for name in ("mean_decays", "square_decays", "ratio_decays")],
        *[(name, ctypes.c_void_p) for name in ("bounds", "counts", "triples", "more_triples")],
        ("lane", ctypes.c_int32),
    )


class _Transposed:
    """A batch sorted by features, which C prepares for the next pass."""

    def __init__(self, n_starts: int) -> None:
        self._features, self._starts = (np.empty(n_starts, np.int32) for _ in range(2))
        self.entries = np.zeros(0, np.int64)

    def reserve(self, n_stored: int) -> None:
        if len(self.entries) < n_stored:
            self.entries = np.empty(n_stored + n_stored // 8, np.int64)

    @property
    def pointers(self) -> tuple[int, ...]:
        return tuple(array.ctypes.data for array in (self._features, self._starts, self.entries))


class SparseAdam:
    """Takes the steps of one fit, and records the steps that rows postpone.

    A pass takes the step of the current batch and returns the product of the next batch, fetched before, with the
    updated weight. So an epoch is ``begin``, a pass without gradients, and one pass per batch; nothing is fetched
    before the last one. If the epoch comes in parts, ``hold`` and ``fetch`` start the next part.

    Parameters
    ----------
    solver : Adam or AdamW
        The solver.
    n_features, n_units : int
        The shape of the weight.
    """

    def __init__(self, solver: Adam, n_features: int, n_units: int) -> None:
        library, lazy_rows = load("sparse_adam"), solver.lazy_rows()
        assert library is not None  # callers check takes()
        assert lazy_rows is not None
        self._library = library
        self._decays = {**lazy_rows.decays, "ratio": lazy_rows.ratios[0]}
        self._history = StepHistory(lazy_rows)
        self._plan: EpochPlan | None = None
        self._step, self._shrinks = -1, False
        self._shrank = False  # in a postponed step
        self._n_rows = 0  # of the current batch
        self._arrays: dict[str, Array] = {}  # the arrays that the pass points to
        self._pass = _Pass(
            n_features=n_features,
            n_units=n_units,
            pitch=-(-n_units // _PAD) * _PAD + _PAD,
            mean_rest=np.float32(1) - np.float32(solver.beta_1),
            square_rest=np.float32(1) - np.float32(solver.beta_2),
            epsilon=solver.epsilon,
        )
        self._point(last=np.zeros(n_features, np.int32))
        self._divide(LANES)

    def _divide(self, n_lanes: int) -> None:
        """Divide the features into lanes."""
        p = self._pass
        if n_lanes == p.n_lanes:
            return
        p.n_lanes, p.lane_size = n_lanes, -(-p.n_features // n_lanes)
        self._batch, self._next = (_Transposed(n_lanes * (p.lane_size + 1)) for _ in range(2))
        self._point(counts=np.empty(n_lanes * p.lane_size, np.int32))

    @staticmethod
    def takes(solver: Solver) -> bool:
        """Return whether the kernel takes this solver's steps, and there is a library for this processor."""
        return (
            type(solver) in (Adam, AdamW)  # a subclass may override the step
            and solver.clip_norm is None  # the whole gradient is never in memory, so its norm is unknown
            and solver.lazy_rows() is not None
            and load("sparse_adam") is not None
        )

    @property
    def is_full(self) -> bool:
        """Whether rows should be settled before the next epoch; see :attr:`StepHistory.is_full`."""
        return self._history.is_full

    @property
    def waiting(self) -> bool:
        """Whether rows may have postponed steps."""
        return self._history.now > 0

    def begin(self, arrays: AdamArrays, plan: EpochPlan, *, decays: bool, shrinks: bool) -> None:
        """Begin an epoch.

        Parameters
        ----------
        arrays : AdamArrays
            The arrays to change.
        plan : EpochPlan
            The epoch.
        decays : bool
            Whether an L2 penalty acts on the weight, so that no row may postpone steps; rows must be settled before.
        shrinks : bool
            Whether decoupled weight decay acts on the weight.
        """
        self._plan, self._step, self._shrinks = plan, -1, shrinks
        p = self._pass
        rows = min(plan.batch_size, len(plan.order))
        self._divide(int(np.clip(PRODUCTS // (4 * rows * p.pitch), FEWEST_LANES, LANES)))
        p.decay = plan.weight_decay if decays else 0.0
        p.bound = np.inf if plan.clip_value is None else plan.clip_value
        p.every, p.now = decays, self._history.now
        self.hold(arrays)
        if not decays:
            self._shrank |= shrinks
            self._history.advance(plan, shrinks)
            self._look_back()

    def fetch(self, x: CSR, rows: Array | None = None) -> None:
        """Copy the next batch, some rows of a data set or all of it; must not be called during a pass.

        Parameters
        ----------
        x : CSR
            The data set.
        rows : int32 ndarray, optional
            The rows.

        Raises
        ------
        ValueError
            If an array has another dtype, a row is outside ``x``, or a column outside the features.
        """
        rows = np.arange(len(x.splits) - 1, dtype=np.int32) if rows is None else rows
        check_arrays(x)
        check_array("rows", rows, np.int32, (rows.size,))
        splits = np.zeros(len(rows) + 1, np.int32)
        np.cumsum(lengths_of(x, rows), out=splits[1:])
        batch = CSR(splits, *(self._buffer(name, kind, splits[-1]) for name, kind in _FETCHED))
        gather(self._library, x, rows, batch, self._pass.n_features)
        self._point(splits=splits)
        self._pass.n_next = len(rows)

    def advance(self, gradients: Array | None, threads: Threads) -> Array | None:
        """Take a step, and return the product of the fetched batch, if there is one.

        Parameters
        ----------
        gradients : float32 ndarray of shape (n_rows, n_units), or None
            The gradient of the mean loss with respect to the products that the last call returned; None before the
            first step of an epoch.
        threads : Threads
            The threads.

        Returns
        -------
        float32 ndarray of shape (n_rows, n_units), or None
        """
        p = self._pass
        p.gradients = None
        if gradients is not None:
            self._next_step(gradients)
        self._batch, self._next = self._next, self._batch
        n_stored = int(self._arrays["splits"][-1]) if p.n_next else 0
        self._next.reserve(n_stored)
        for name in ("triples", "more_triples"):
            self._buffer(name, _TRIPLE, n_stored)
        self._buffer("bounds", np.int32, p.n_lanes * p.n_next * 2)
        products = self._buffer("products", np.float32, p.n_lanes * p.n_next * p.pitch)
        p.features, p.starts, p.entries = self._batch.pointers
        p.next_features, p.next_starts, p.next_entries = self._next.pointers
        threads.run(self._library.ffnn_pass, p)
        if not p.n_next:
            self._let_go()
            return None
        n_rows = self._n_rows = p.n_next
        p.n_next = 0
        return np.asarray(products.reshape(p.n_lanes, n_rows, p.pitch).sum(axis=0)[:, : p.n_units])

    def _next_step(self, gradients: Array) -> None:
        """Set up the next pass as the next step of the epoch."""
        assert self._plan is not None  # begun
        p, plan = self._pass, self._plan
        self._step += 1
        p.step_size = plan.step_sizes[self._step]
        p.shrink = plan.learning_rates[self._step] * plan.weight_decay if self._shrinks else 0.0
        p.now += not p.every
        check_array("gradients", gradients, np.float32, (self._n_rows, p.n_units))
        padded = self._buffer("gradients", np.float32, len(gradients) * p.pitch).reshape(len(gradients), p.pitch)
        padded[:, : p.n_units] = gradients

    def settle(self, arrays: AdamArrays, threads: Threads) -> None:
        """Take the postponed steps of all rows."""
        self.hold(arrays)
        self._look_back()
        self._pass.now = self._history.now
        threads.run(self._library.ffnn_settle, self._pass)
        self._history.reset()
        self._shrank = False
        self._arrays["last"][:] = 0
        self._let_go()

    def hold(self, arrays: AdamArrays) -> None:
        """Set the weight and its means; the last pass releases them."""
        named = {"weight": arrays.weight, "mean": arrays.mean, "square": arrays.square}
        for name, array in named.items():
            check_array(name, array, np.float32, (self._pass.n_features, self._pass.n_units))
        self._point(**named)

    def _let_go(self) -> None:
        """Release the caller's arrays."""
        for name in ("weight", "mean", "square"):
            self._arrays.pop(name)

    def _look_back(self) -> None:
        """Point the pass to the history of steps."""
        history = self._history
        self._pass.n_ends = len(history.ends)
        self._point(ends=history.ends, sums=history.sums, logs=history.logs)
        if not self._shrank:
            self._pass.logs = None
        gaps = np.arange(int(np.diff(history.ends, prepend=0).max()) + 1)
        self._point(**{f"{name}_decays": np.power(decay, gaps) for name, decay in self._decays.items()})

    def _point(self, **arrays: Array) -> None:
        for name, array in arrays.items():
            self._arrays[name] = array
            setattr(self._pass, name, array.ctypes.data)

    def _buffer(self, name: str, kind: Any, size: int) -> Array:
        """Return an array of at least a size to which the pass points, the previous one if it is large enough."""
        buffer = self._arrays.get(name)
        if buffer is None or len(buffer) < size:
            buffer = np.empty(size + size // 8, kind)
        self._point(**{name: buffer})
        return buffer[:size]
