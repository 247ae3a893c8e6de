"""The conformance suite of inputs."""

from __future__ import annotations

import copy
import pickle
from typing import Any, ClassVar

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone

from ffnn.classifier import MLPClassifier
from ffnn.initializers import INITIALIZERS
from ffnn.input import Input
from ffnn.model import Rows
from ffnn.ops import NumpyOps, SparseRows
from ffnn.plugins import registry
from ffnn.testing._base import PluginSuite
from ffnn.testing._fitted import FittedSuite
from ffnn.testing._suite import (
    Array,
    FixedDraws,
    engine_ops,
    to_numpy,
    unless_refused,
    weights_and_context,
)

__all__ = ["InputSuite"]


class InputSuite(FittedSuite, PluginSuite[Input]):
    """Tests that every input must pass.

    Attributes
    ----------
    name : str
        The registered name.
    input : Input
        The input to test; by default made without arguments.
    automatic : bool
        Whether ``input_layer="auto"`` may choose it, because it accepts the data of :meth:`data`; True by default.
    """

    _kind = "input"
    _base = Input
    input: ClassVar[Input | None] = None
    automatic: ClassVar[bool] = True

    # -- helpers, to be overridden if they do not suit the input

    def data(self) -> tuple[Any, Array]:
        """Return X, a validated array or CSR matrix, and labels that can be predicted from it."""
        rng = np.random.default_rng(0)
        y = np.arange(48) % 3
        X = rng.normal(scale=0.3, size=(48, 6)) + y[:, None]
        X[rng.random(X.shape) < 0.4] = 0
        return X, y

    def gathered(self, ops: Any, rows: Any, dtype: str = "float64", order: Any = slice(None)) -> Any:
        """Return a dense batch of the data set, after reordering it by ``order``."""
        X = self.data()[0][order]
        arrays = tuple(ops.cast(a, str(a.dtype)) for a in self.make().prepare(X, dtype).arrays)
        batch = self.make().gather(ops, arrays, ops.cast(np.asarray(rows), "int32"), X.shape[1])
        assert isinstance(batch, SparseRows) == self.make().sparse
        return to_numpy(batch)

    # -- a description

    def test_the_name_is_registered(self) -> None:
        assert isinstance(self.make(), registry.load("input", self.name))
        assert isinstance(self.make(), Input)

    @pytest.mark.parametrize("copied", [clone, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
    def test_a_copy_is_equal(self, copied: Any) -> None:
        made = self.make()
        twin = copied(made)
        assert type(twin) is type(made)
        assert repr(twin) == repr(made)
        assert set(twin.get_params()) == set(made.get_params())
        if copied is clone:
            assert twin.structure() == made.structure()
            assert hash(twin.structure()) == hash(made.structure())

    def test_scalars_are_the_values_of_their_fields(self) -> None:
        made = self.make()
        assert made.scalars() == [float(getattr(made, name)) for name in made.traits.scalars]

    # -- on the host

    def test_it_accepts_its_data_if_it_is_chosen_automatically(self) -> None:
        accepted = self.make().accepts(self.data()[0])
        assert accepted is self.automatic, f"accepts(X) is {accepted}, but `automatic` is {self.automatic}"

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_prepared_rows_are_plain_arrays(self, dtype: str) -> None:
        X, _ = self.data()
        rows = self.make().prepare(X, dtype)
        assert isinstance(rows, Rows)
        assert rows.n_rows == X.shape[0]
        for array in rows.arrays:
            assert isinstance(array, np.ndarray)
            assert array.dtype != object
            assert array.dtype.kind != "f" or array.dtype == dtype

    def test_preparing_does_not_change_x(self) -> None:
        X, _ = self.data()
        self.make().prepare(X, "float32")
        expected, _ = self.data()
        if scipy.sparse.issparse(X):
            X, expected = X.toarray(), expected.toarray()
        np.testing.assert_array_equal(X, expected)

    # -- batches

    @pytest.mark.parametrize("rows", [[5], [7, 0, 47], [3, 3, 2], list(range(48))], ids=len)
    def test_a_batch_is_the_rows_asked_for(self, rows: list[int]) -> None:
        everything = self.gathered(NumpyOps(), np.arange(48))
        assert everything.shape == self.data()[0].shape
        np.testing.assert_array_equal(self.gathered(NumpyOps(), rows), everything[rows])

    def test_a_batchs_row_comes_from_its_own_sample(self) -> None:
        order = np.random.default_rng(0).permutation(48)
        everything = self.gathered(NumpyOps(), np.arange(48))
        reordered = self.gathered(NumpyOps(), np.arange(48), order=order)
        np.testing.assert_array_equal(reordered, everything[order])

    def test_numpy_and_the_engine_gather_the_same(self) -> None:
        rows = [40, 3, 12]
        np.testing.assert_array_equal(self.gathered(engine_ops(), rows), self.gathered(NumpyOps(), rows))

    @pytest.mark.parametrize("training", [False, True])
    def test_what_it_passes_on(self, training: bool) -> None:
        made = self.make()
        n_features = self.data()[0].shape[1]
        batch = self.gathered(NumpyOps(), np.arange(9))
        results = []
        for ops in (FixedDraws(NumpyOps()), FixedDraws(engine_ops())):
            weights, context = weights_and_context(made, n_features, ops, "float64", training=training)
            results.append(to_numpy(made.forward(ops, ops.cast(batch, "float64"), weights, context)))
        assert results[0].shape == (9, made.n_outputs(n_features))
        np.testing.assert_allclose(results[1], results[0], rtol=1e-9, atol=1e-12)

    def test_weights_are_declared_in_a_fixed_order(self) -> None:
        n_features = self.data()[0].shape[1]
        weights = self.make().weights(n_features)
        assert list(weights.items()) == list(self.make().weights(n_features).items())
        assert all(name.isidentifier() and w.initializer in INITIALIZERS for name, w in weights.items())

    # -- on the builders

    def fitted(self, builder_name: str) -> MLPClassifier:
        """Return a small fitted classifier with this input."""
        estimator = MLPClassifier(
            hidden_units=(8,), n_epochs=20, batch_size=20, learning_rate=0.02, dropout=0.1, builder=builder_name,
            input_layer=self.make(), random_state=0,
        )  # fmt: skip
        with unless_refused():
            return estimator.fit(*self.data())

    def test_a_network_with_it_learns(self, builder_name: str) -> None:
        estimator = self.fitted_once(builder_name)
        X, y = self.data()
        assert estimator.loss_curve_[-1] < estimator.loss_curve_[0]
        assert estimator.score(X, y) > 0.6

    def test_a_row_is_predicted_as_among_others(self, builder_name: str) -> None:
        estimator = self.fitted_once(builder_name)
        X, _ = self.data()
        np.testing.assert_array_equal(estimator.predict_proba(X[7:8]), estimator.predict_proba(X)[7:8])
