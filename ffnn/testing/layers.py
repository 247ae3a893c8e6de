"""The conformance suite of layers."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone

from ffnn.classifier import MLPClassifier
from ffnn.initializers import INITIALIZERS
from ffnn.layer import Layer, Weight
from ffnn.model import State
from ffnn.ops import NumpyOps, SparseRows
from ffnn.plugins import registry
from ffnn.testing._base import PluginSuite
from ffnn.testing._fitted import FittedSuite
from ffnn.testing._suite import (
    Array,
    FixedDraws,
    engine_ops,
    make_problem,
    to_numpy,
    unless_refused,
    weights_and_context,
)

__all__ = ["LayerSuite"]


class LayerSuite(FittedSuite, PluginSuite[Layer]):
    """Tests that every layer must pass.

    Attributes
    ----------
    name : str
        The registered name.
    layer : Layer
        The layer to test, with fields of your choice; by default made without arguments.
    values : mapping
        The estimator's values for unset fields.
    n_inputs : int
        The width of the test data.
    """

    _kind = "layer"
    _base = Layer
    layer: ClassVar[Layer | None] = None
    values: ClassVar[Mapping[str, Any]] = {
        "units": 4, "rate": 0.4, "activation": "tanh", "initializer": "glorot_uniform",
    }  # fmt: skip
    n_inputs: ClassVar[int] = 6

    # -- helpers, to be overridden if they do not suit the layer

    def bound(self) -> Layer:
        """Return the layer with its unset fields filled in."""
        bound = self.make().bind(self.values)
        assert bound is not None, f"bind left the layer out for {self.values}; set `values` so that it stays"
        return bound

    def batch(self, dtype: str = "float64") -> Array:
        """Return a batch of rows; half of its values are zero."""
        rng = np.random.default_rng(0)
        shape = (9, self.n_inputs)
        return np.asarray(rng.normal(size=shape) * (rng.random(shape) < 0.5), dtype=dtype)

    def run(self, ops: Any, x: Any, *, training: bool, dtype: str = "float64", seed: int = 3) -> Any:
        """Return the layer's output for a batch."""
        layer = self.bound()
        weights, context = weights_and_context(layer, self.n_inputs, ops, dtype, training=training, seed=seed)
        return layer.forward(ops, x, weights, context)

    # -- a description

    def test_the_name_is_registered(self) -> None:
        assert issubclass(registry.load("layer", self.name), Layer)
        assert isinstance(self.make(), registry.load("layer", self.name))

    def test_it_is_frozen(self) -> None:
        layer = self.bound()
        assert dataclasses.is_dataclass(layer)
        with pytest.raises(dataclasses.FrozenInstanceError):
            layer.units = 1  # type: ignore[attr-defined]  # must be refused

    @pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
    def test_a_copy_is_equal(self, copied: Any) -> None:
        for layer in (self.make(), self.bound()):
            twin = copied(layer)
            assert twin == layer
            assert hash(twin) == hash(layer)
            assert twin.structure() == layer.structure()

    def test_clone_keeps_it(self) -> None:
        layer = self.make()
        assert clone(MLPClassifier(block=(layer, "affine"))).block == (layer, "affine")

    def test_binding_fills_in_the_open_fields_alone(self) -> None:
        layer = self.make()
        before = dataclasses.asdict(layer)
        bound = self.bound()
        assert dataclasses.asdict(layer) == before, "bind changed the layer itself"
        if type(bound) is type(layer):
            for name, value in before.items():
                expected = self.values.get(name, value) if value is None else value
                assert getattr(bound, name) == expected, name

    def test_binding_again_changes_nothing(self) -> None:
        assert self.bound().bind(self.values) == self.bound()

    # -- what programs depend on

    def test_structure_is_a_key(self) -> None:
        assert hash(self.bound().structure()) == hash(self.bound().structure())
        assert self.bound().structure() == self.bound().structure()

    def test_structure_leaves_scalars_out_and_nothing_else(self) -> None:
        layer = self.bound()
        for field in dataclasses.fields(layer):
            value = getattr(layer, field.name)
            if field.name in layer.traits.scalars:
                other = dataclasses.replace(layer, **{field.name: value / 2})
                assert other.structure() == layer.structure(), field.name
            elif isinstance(value, (int, float)):
                other = dataclasses.replace(layer, **{field.name: value + 1})
                assert other.structure() != layer.structure(), field.name

    def test_scalars_are_the_values_of_their_fields(self) -> None:
        layer = self.bound()
        assert layer.scalars() == [float(getattr(layer, name)) for name in layer.traits.scalars]

    # -- weights and shapes

    def test_weights_are_declared_in_a_fixed_order(self) -> None:
        weights = self.bound().weights(self.n_inputs)
        assert list(weights.items()) == list(self.bound().weights(self.n_inputs).items())
        for name, weight in weights.items():
            assert name.isidentifier()
            assert isinstance(weight, Weight)
            assert weight.initializer in INITIALIZERS
            assert all(n > 0 for n in weight.shape)

    @pytest.mark.parametrize("training", [False, True])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_shape_and_dtype_are_those_declared(self, training: bool, dtype: str) -> None:
        for ops in (NumpyOps(), engine_ops()):
            result = to_numpy(self.run(ops, ops.cast(self.batch(dtype), dtype), training=training, dtype=dtype))
            assert result.shape == (9, self.bound().n_outputs(self.n_inputs))
            assert result.dtype == dtype

    @pytest.mark.parametrize("training", [False, True])
    def test_bfloat16_comes_out_where_it_goes_in(self, training: bool) -> None:
        if not self.bound().traits.bfloat16:
            pytest.skip("the layer computes in the network's dtype")
        ops = FixedDraws(engine_ops())
        # the batch is exact in bfloat16, so that only the layer's own rounding differs
        low = ops.cast(self.batch("float32"), "bfloat16")
        result = self.run(ops, low, training=training, dtype="float32")
        assert result.dtype == low.dtype
        expected = to_numpy(self.run(ops, ops.cast(low, "float32"), training=training, dtype="float32"))
        error = to_numpy(ops.cast(result, "float32")) - expected
        assert np.linalg.norm(error) < 0.02 * np.linalg.norm(expected)

    # -- what it computes

    @pytest.mark.parametrize("training", [False, True])
    def test_numpy_and_the_engine_agree(self, training: bool) -> None:
        numpy, engine = FixedDraws(NumpyOps()), FixedDraws(engine_ops())
        x = self.batch()
        expected = self.run(numpy, x, training=training)
        result = self.run(engine, engine.cast(x, "float64"), training=training)
        np.testing.assert_allclose(to_numpy(result), expected, rtol=1e-9, atol=1e-12)

    def test_the_batch_is_not_changed(self) -> None:
        x = self.batch()
        self.run(NumpyOps(), x, training=True)
        np.testing.assert_array_equal(x, self.batch())

    def test_a_rows_result_does_not_depend_on_its_neighbours(self) -> None:
        x = self.batch()
        together = self.run(NumpyOps(), x, training=False)
        alone = self.run(NumpyOps(), x[3:4], training=False)
        np.testing.assert_allclose(alone, together[3:4], rtol=1e-12)

    def test_random_draws_are_a_function_of_the_seed(self) -> None:
        ops = engine_ops()
        x = ops.cast(self.batch() + 1, "float64")
        one, again, other = (to_numpy(self.run(ops, x, training=True, seed=seed)) for seed in (3, 3, 8))
        np.testing.assert_array_equal(one, again)
        assert self.bound().traits.random == (not np.array_equal(one, other))

    def test_sparse_rows_are_taken_as_the_dense_ones(self) -> None:
        if not self.bound().traits.sparse:
            pytest.skip("the layer takes dense rows only")
        x = self.batch()
        stored = scipy.sparse.csr_array(x)
        sparse = SparseRows(stored.indptr, stored.indices, stored.data, x.shape)
        result = self.run(NumpyOps(), sparse, training=False)
        np.testing.assert_allclose(to_numpy(result), self.run(NumpyOps(), x, training=False))

    # -- on the builders

    def test_its_gradient_is_right(self, builder_name: str) -> None:
        problem = make_problem(block=(self.make(), "affine", "activation"), **self.values_but_units())
        with unless_refused():
            model = registry.load("builder", builder_name)().model(problem.network, problem.solver)
        model.load(problem.x, problem.targets, problem.weight)
        weights = problem.initial_weights()
        model.set_state(State(weights))
        loss, gradient = model.loss_and_gradient(weights)
        assert loss == pytest.approx(problem.loss(weights), rel=1e-9)
        for name in model.trainable:
            array = weights[name]
            index = tuple(n // 2 for n in array.shape)
            up, down = ({**weights, name: array.copy()} for _ in range(2))
            up[name][index] += 1e-6
            down[name][index] -= 1e-6
            difference = (problem.loss(up) - problem.loss(down)) / 2e-6
            assert gradient[name][index] == pytest.approx(difference, rel=1e-4, abs=1e-8), name

    def values_but_units(self) -> dict[str, Any]:
        """Return the values that an estimator takes as parameters."""
        return {name: value for name, value in self.values.items() if name not in ("units", "initializer")}

    def test_a_network_with_it_learns(self, builder_name: str) -> None:
        estimator = self.fitted_once(builder_name)
        assert np.isfinite(estimator.loss_curve_).all()
        assert estimator.loss_curve_[-1] < estimator.loss_curve_[0]

    def data(self) -> tuple[Array, Array]:
        """Return samples of three classes that a small network can separate."""
        rng = np.random.default_rng(0)
        y = np.arange(48) % 3
        return rng.normal(scale=0.3, size=(48, self.n_inputs)) + y[:, None], y

    def fitted(self, builder_name: str) -> MLPClassifier:
        """Return a small fitted classifier with the layer at the beginning of its block."""
        estimator = MLPClassifier(
            hidden_units=(8,), n_epochs=20, batch_size=16, learning_rate=0.02, builder=builder_name,
            block=(self.make(), "affine", "activation"), dropout=0.1, activation="tanh", random_state=0,
        )  # fmt: skip
        with unless_refused():
            return estimator.fit(*self.data())
