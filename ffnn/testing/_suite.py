"""Small data sets and reference results from NumPy, which the suites share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone

from ffnn.builder import Builder, can_be_found
from ffnn.exceptions import UnsupportedError
from ffnn.input import Input
from ffnn.layer import Context, Layer
from ffnn.model import Array, Arrays, EpochPlan, Model, Rows, State
from ffnn.network import Network, describe
from ffnn.ops import NumpyOps, SparseRows
from ffnn.output import Output
from ffnn.plugins import registry
from ffnn.schedules import Constant
from ffnn.solver import Solver, StochasticSolver
from ffnn.solvers import resolve_solver
from ffnn.testing._base import PluginSuite
from ffnn.training.epochs import epoch_plan

__all__ = [
    "BLOCK",
    "OUTPUTS",
    "Array",
    "FixedDraws",
    "ModelSuite",
    "Problem",
    "assert_states_equal",
    "engine_ops",
    "make_problem",
    "to_numpy",
    "unless_refused",
]


BLOCK: tuple[str | Layer, ...] = ("dropout", "affine", "activation")
OUTPUTS = ("binary", "multiclass", "multilabel", "regression")


@contextmanager
def unless_refused() -> Iterator[None]:
    """Skip the test if the builder refuses what the network is made of, as a builder of a fixed set may."""
    try:
        yield
    except UnsupportedError as error:
        pytest.skip(str(error))


def engine_ops() -> Any:
    """Return TensorFlow's operations; skip the test where it is not installed."""
    if not can_be_found("tensorflow"):
        pytest.skip("TensorFlow, whose operations this test uses, is not installed")
    from ffnn.builders._tensorflow import ops as tensorflow_ops

    return tensorflow_ops


class FixedDraws:
    """A builder's operations with the same random draws on every engine, to make results comparable."""

    def __init__(self, ops: Any) -> None:
        self._ops = ops

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ops, name)

    def uniform(self, shape: Any, seed: Any, dtype: Any) -> Any:
        """Return draws that depend on the shape and seed only."""
        rng = np.random.default_rng(np.asarray(seed))
        draws = rng.random(tuple(int(n) for n in shape))
        return self._ops.cast(draws, dtype)


def to_numpy(x: Any) -> Any:
    """Return a tensor, or a batch of sparse rows, as a dense array."""
    if isinstance(x, SparseRows):
        x = SparseRows(
            np.asarray(x.splits), np.asarray(x.columns), np.asarray(x.values), tuple(int(n) for n in x.shape)
        ).dense(NumpyOps())
    return np.asarray(x)


def assert_states_equal(one: Any, other: Any) -> None:
    """Compare two states bit by bit: weights, slots and step."""
    for kind in ("weights", "slots"):
        a, b = getattr(one, kind), getattr(other, kind)
        assert list(a) == list(b)
        for key in a:
            assert a[key].dtype == b[key].dtype, key
            np.testing.assert_array_equal(a[key], b[key], err_msg=f"{kind}: {key}")
    assert one.step == other.step


@dataclass
class Problem:
    """A network with training data."""

    network: Network
    solver: Solver
    x: Rows
    targets: Array
    weight: Array

    @property
    def n_rows(self) -> int:
        """The number of samples."""
        return self.x.n_rows

    def rows(self, indices: Any) -> Rows:
        """Return some of the samples."""
        source = _matrix(self.network, self.x)
        return self.network.input.prepare(source[np.asarray(indices)], self.network.dtype)

    def initial_weights(self, seed: int = 0) -> Arrays:
        """Return nonzero weights, so that all of them affect the result."""
        rng = np.random.default_rng(seed)
        return {
            name: np.asarray(array + rng.uniform(-0.3, 0.3, array.shape), dtype=array.dtype)
            for name, array in self.network.initial_weights(rng).items()
        }

    def scores(self, weights: Arrays) -> Array:
        """Return the scores of all samples, computed in NumPy."""
        ops = NumpyOps()
        batch = self.network.input.gather(ops, self.x.arrays, np.arange(self.n_rows), self.network.n_features)
        return np.asarray(self.network.apply(ops, batch, weights))

    def loss(self, weights: Arrays) -> float:
        """Return the mean loss over all samples, computed in NumPy."""
        total, total_weight = self.network.output.loss(NumpyOps(), self.scores(weights), self.targets, self.weight)
        return float(total) / float(total_weight)

    def plan(
        self,
        epoch: int = 0,
        *,
        batch_size: int = 8,
        first_step: int | None = None,
        weight_decay: float = 0.0,
        learning_rate: float = 0.01,
        rows: Any = None,
    ) -> EpochPlan:
        """Return the plan of an epoch."""
        assert isinstance(self.solver, StochasticSolver)
        rows = np.arange(self.n_rows, dtype=np.int32) if rows is None else np.asarray(rows, dtype=np.int32)
        return epoch_plan(
            rows,
            batch_size=batch_size,
            root_seed=11,
            epoch=epoch,
            first_step=epoch * -(-len(rows) // batch_size) if first_step is None else first_step,
            solver=self.solver,
            schedule=Constant(learning_rate),
            horizon=1,
            weight_decay=weight_decay,
        )


def _matrix(network: Network, x: Rows) -> Any:
    if not network.input.sparse:
        return x.arrays[0]
    indptr, indices, data = x.arrays
    return scipy.sparse.csr_array((data, indices, indptr), shape=(x.n_rows, network.n_features))


def make_targets(output: str, n_rows: int) -> Array:
    """Return targets for one of the built-in outputs."""
    rng = np.random.default_rng(1)
    targets: dict[str, Array] = {
        "binary": np.arange(n_rows) % 2,
        "multiclass": np.arange(n_rows) % 3,
        "multilabel": rng.integers(-1, 2, size=(n_rows, 3)),
        "regression": rng.normal(5, 3, size=(n_rows, 2)),
    }
    return targets[output]


def make_problem(
    output: str | Output = "multiclass",
    *,
    input: str | Input | None = None,
    y: Any = None,
    sparse: bool = False,
    dtype: str = "float64",
    solver: str | Solver = "adam",
    hidden_units: tuple[int, ...] = (5,),
    block: tuple[str | Layer, ...] = BLOCK,
    n_rows: int = 37,
    n_features: int = 6,
    **values: Any,
) -> Problem:
    """Return a small network with random data; half of its features are zero."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_features)) * (rng.random((n_rows, n_features)) < 0.5)
    weight = rng.uniform(0.5, 2, size=n_rows)
    resolved: Output = clone(registry.resolve("output", output, "output", Output))
    if y is None:
        y = make_targets(str(output), n_rows)
    input = input or ("sparse" if sparse else "dense")
    network = describe(
        registry.resolve("input", input, "input", Input),
        resolved.fit(y, None, weight),
        hidden_units=hidden_units,
        block=block,
        values={"rate": None, "activation": "tanh", **values},
        n_features=n_features,
        dtype=dtype,
    )
    return Problem(
        network=network,
        solver=resolve_solver(solver),
        x=network.input.prepare(scipy.sparse.csr_array(X) if sparse else X, dtype),
        targets=resolved.encode(y, dtype),
        weight=weight.astype(dtype),
    )


class ModelSuite(PluginSuite[Builder]):
    """A part of the suite of builders."""

    _kind = "builder"
    _base = Builder
    builder: ClassVar[Builder | None] = None

    def model(self, problem: Problem, state: State | None = None) -> Model:
        """Return a model with a state and the problem's data."""
        model = self.make().model(problem.network, problem.solver)
        model.set_state(state or State(problem.initial_weights()))
        model.load(problem.x, problem.targets, problem.weight)
        return model


def weights_and_context(
    layer: Any, n_inputs: int, ops: Any, dtype: str, *, training: bool, seed: int = 3
) -> tuple[dict[str, Any], Context]:
    """Return random weights for a layer, and the context of its call on a batch of nine rows."""
    rng = np.random.default_rng(5)
    weights = {}
    for name, weight in layer.weights(n_inputs).items():
        drawn = rng.normal(size=weight.shape)
        # a weight that is not trained may be a variance
        weights[name] = ops.cast(drawn if weight.trainable else 0.5 + np.abs(drawn), dtype)
    if not training:
        return weights, Context()
    scalars = zip(layer.traits.scalars, layer.scalars(), strict=True)
    context = Context(
        training=True,
        seed=ops.cast(np.array([seed, 4]), "int32") if layer.traits.random else None,
        row_weight=ops.cast(rng.uniform(0.5, 2, size=9), dtype),
        scalars={name: ops.cast(np.array(value), dtype) for name, value in scalars},
    )
    return weights, context
