"""The conformance suite of outputs."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, ClassVar

import numpy as np
import pytest
import scipy.optimize
from sklearn.base import clone

from ffnn.classifier import MLPClassifier
from ffnn.exceptions import ExportError, UnsupportedError
from ffnn.ops import NumpyOps
from ffnn.output import Output
from ffnn.plugins import registry
from ffnn.regressor import MLPRegressor
from ffnn.testing._base import PluginSuite, installed_builders
from ffnn.testing._suite import Array, engine_ops, make_problem, unless_refused

__all__ = ["OutputSuite"]


class OutputSuite(PluginSuite[Output]):
    """Tests that every output must pass.

    Attributes
    ----------
    name : str
        The registered name.
    output : Output
        The output to test, not fitted; by default made without arguments.
    y : ndarray
        About 24 targets that the output accepts, including all special cases.
    iterations : int
        The number of iterations to minimise the loss over the scores; a loss with kinks needs more.
    automatic : bool
        Whether ``output_layer="auto"`` may choose it, because it accepts `y`; True by default.
    exported : bool
        Whether it implements ``export``; True by default.
    """

    _kind = "output"
    _base = Output
    output: ClassVar[Output | None] = None
    y: ClassVar[Array]
    iterations: ClassVar[int] = 20
    automatic: ClassVar[bool] = True
    exported: ClassVar[bool] = True

    @classmethod
    def _mistakes(cls) -> Iterator[str]:
        yield from super()._mistakes()
        meaning, example = "an array of about 24 targets that the output takes", "y = np.arange(24) % 3"
        y = getattr(cls, "y", None)
        if y is None:
            yield cls._lacks("y", meaning, example)
        elif not isinstance(y, np.ndarray) or len(y) < 8:
            got = f"an array of {len(y)}" if isinstance(y, np.ndarray) else f"of type {type(y).__name__}"
            yield f"the attribute `y` must be {meaning}; it is {got}. For example:\n\n    {example}\n"

    # -- helpers

    def fitted(self) -> Output:
        """Return the output fitted to the targets."""
        output: Output = clone(self.make())
        return output.fit(self.y, None, np.ones(len(self.y)))

    def scores(self, scale: float = 1.0, dtype: str = "float64") -> Array:
        """Return random scores."""
        rng = np.random.default_rng(0)
        return (scale * rng.normal(size=(len(self.y), self.fitted().n_outputs_))).astype(dtype)

    def loss(self, ops: Any, scores: Array, weight: Array, rows: Any = slice(None)) -> tuple[float, float]:
        """Return the weighted sum of the losses of some rows, and their total weight."""
        output = self.fitted()
        dtype = str(scores.dtype)
        targets = output.encode(self.y, dtype)[rows]
        loss, total_weight = output.loss(
            ops,
            ops.cast(scores[rows], dtype),
            ops.cast(targets, str(targets.dtype)),
            ops.cast(weight[rows], dtype),
        )
        assert np.shape(loss) == np.shape(total_weight) == ()
        return float(loss), float(total_weight)

    # -- a description

    def test_the_name_is_registered(self) -> None:
        assert isinstance(self.make(), registry.load("output", self.name))
        assert isinstance(self.make(), Output)
        assert self.make().estimator_type in ("classifier", "regressor")

    def test_fitting_changes_no_parameter(self) -> None:
        output: Output = clone(self.make())
        before = repr(output.get_params())
        assert output.fit(self.y, None, np.ones(len(self.y))) is output
        assert repr(output.get_params()) == before
        assert output.n_outputs_ >= 1
        assert hasattr(output, "classes_") == (output.estimator_type == "classifier")

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
    def test_a_copy_decodes_the_same(self, copied: Any) -> None:
        output = self.fitted()
        np.testing.assert_array_equal(copied(output).decode(self.scores()), output.decode(self.scores()))

    def test_structure_is_a_key_that_knows_no_data(self) -> None:
        output = self.fitted()
        other = clone(output).fit(self.y[::-1], None, np.linspace(1, 2, len(self.y)))
        assert hash(output.structure()) == hash(other.structure())
        assert output.structure() == other.structure()
        output.n_outputs_ += 1
        assert output.structure() != other.structure()

    # -- targets

    def test_it_accepts_its_targets_if_it_is_chosen_automatically(self) -> None:
        accepted = self.make().accepts(self.y, None)
        assert accepted is self.automatic, f"accepts(y) is {accepted}, but `automatic` is {self.automatic}"

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_encoded_targets_are_numbers_one_entry_a_row(self, dtype: str) -> None:
        encoded = self.fitted().encode(self.y, dtype)
        assert len(encoded) == len(self.y)
        assert encoded.dtype == dtype or encoded.dtype.kind == "i"

    def test_encoding_is_row_by_row_and_changes_nothing(self) -> None:
        before = self.y.copy()
        encoded = self.fitted().encode(self.y, "float64")
        np.testing.assert_array_equal(self.y, before)
        np.testing.assert_array_equal(self.fitted().encode(self.y[5:7], "float64"), encoded[5:7])

    def test_the_scores_of_least_loss_decode_to_the_targets(self) -> None:
        output = self.fitted()
        targets, weight = output.encode(self.y, "float64"), np.ones(len(self.y))
        shape = (len(self.y), output.n_outputs_)

        def loss(scores: Array) -> float:
            return float(output.loss(NumpyOps(), scores.reshape(shape), targets, weight)[0])

        best = scipy.optimize.minimize(
            loss, np.zeros(shape).ravel(), method="L-BFGS-B", options={"maxiter": self.iterations}
        )
        predictions = output.decode(best.x.reshape(shape))
        assert np.shape(predictions) == np.shape(self.y)
        assert output.score(self.y, predictions, None) == pytest.approx(1, abs=1e-3)
        assert output.score(self.y, predictions, np.linspace(1, 2, len(self.y))) == pytest.approx(1, abs=1e-3)

    # -- the loss

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_numpy_and_the_engine_agree(self, dtype: str) -> None:
        weight = np.linspace(0, 2, len(self.y), dtype=dtype)
        expected = self.loss(NumpyOps(), self.scores(dtype=dtype), weight)
        result = self.loss(engine_ops(), self.scores(dtype=dtype), weight)
        np.testing.assert_allclose(result, expected, rtol=1e-5 if dtype == "float32" else 1e-12)

    def test_it_is_a_weighted_sum_over_the_rows(self) -> None:
        weight = np.linspace(0.5, 2, len(self.y))
        rows = [self.loss(NumpyOps(), self.scores(), np.ones(len(self.y)), slice(i, i + 1)) for i in range(len(self.y))]
        expected = weight @ np.array(rows)
        np.testing.assert_allclose(self.loss(NumpyOps(), self.scores(), weight), expected, rtol=1e-9)
        assert expected[0] >= 0
        assert expected[1] > 0

    def test_rows_of_no_weight_add_nothing(self) -> None:
        for ops in (NumpyOps(), engine_ops()):
            assert self.loss(ops, self.scores(), np.zeros(len(self.y))) == (0, 0)

    def test_it_is_finite_for_scores_far_out(self) -> None:
        for ops in (NumpyOps(), engine_ops()):
            loss, total_weight = self.loss(ops, self.scores(scale=1e4), np.ones(len(self.y)))
            assert np.isfinite(loss)
            assert np.isfinite(total_weight)

    # -- predictions

    def test_predictions_have_the_form_of_the_targets(self) -> None:
        predictions = self.fitted().decode(self.scores())
        assert predictions.shape == self.y.shape
        assert predictions.dtype.kind == self.y.dtype.kind

    def test_probabilities_are_strictly_between_0_and_1(self) -> None:
        output = self.fitted()
        if output.estimator_type == "regressor":
            with pytest.raises(TypeError, match="no probabilities"):
                output.probabilities(self.scores())
            return
        for scale in (1.0, 1e5):
            for dtype in ("float32", "float64"):
                probabilities = output.probabilities(self.scores(scale, dtype))
                assert probabilities.shape == (len(self.y), len(output.classes_))
                assert probabilities.dtype == np.float64
                assert ((probabilities > 0) & (probabilities < 1)).all()

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_what_is_exported_is_what_is_predicted(self, dtype: str) -> None:
        output = self.fitted()
        if self.exported:
            assert type(output).export is not Output.export, (
                "export is not implemented; is it meant? `exported = False`"
            )
        else:
            with pytest.raises(ExportError, match="export"):
                output.export(NumpyOps(), self.scores())
            return
        for scale in (1.0, 1e5):
            scores = self.scores(scale, dtype)
            for ops in (NumpyOps(), engine_ops()):
                exported = output.export(ops, ops.cast(scores, dtype))
                if output.estimator_type == "regressor":
                    np.testing.assert_allclose(exported.pop("value"), output.decode(scores), rtol=1e-6)
                else:
                    probabilities = np.asarray(exported.pop("probabilities"))
                    np.testing.assert_allclose(probabilities, output.probabilities(scores), rtol=1e-6)
                    label = np.asarray(exported.pop("label"))
                    label = np.char.decode(label.astype(bytes)) if label.dtype == object else label
                    np.testing.assert_array_equal(label, output.decode(scores))
                assert not exported

    def test_the_decision_has_a_row_a_sample(self) -> None:
        assert len(self.fitted().decision(self.scores())) == len(self.y)

    # -- on the builders

    def test_its_gradient_is_right(self, builder_name: str) -> None:
        problem = make_problem(self.make(), y=self.y, n_rows=len(self.y))
        with unless_refused():
            model = registry.load("builder", builder_name)().model(problem.network, problem.solver)
        model.load(problem.x, problem.targets, problem.weight)
        weights = problem.initial_weights()
        loss, gradient = model.loss_and_gradient(weights)
        assert loss == pytest.approx(problem.loss(weights), rel=1e-9)
        name = list(weights)[-1]
        for i in range(len(weights[name])):
            up, down = ({**weights, name: weights[name].copy()} for _ in range(2))
            up[name][i] += 1e-6
            down[name][i] -= 1e-6
            difference = (problem.loss(up) - problem.loss(down)) / 2e-6
            assert gradient[name][i] == pytest.approx(difference, rel=1e-4, abs=1e-8)

    def data(self) -> tuple[Array, Array]:
        """Return samples from which the targets can be predicted, each twice."""
        codes = self.fitted().encode(self.y, "float64").reshape(len(self.y), -1)
        rng = np.random.default_rng(0)
        X = np.vstack([codes, codes]) @ rng.normal(size=(codes.shape[1], 5))
        return X + rng.normal(scale=0.05, size=X.shape), np.concatenate([self.y, self.y])

    def estimator(self, builder_name: str) -> MLPClassifier | MLPRegressor:
        """Return a small estimator with this output."""
        kind = MLPClassifier if self.make().estimator_type == "classifier" else MLPRegressor
        return kind(
            hidden_units=(8,), n_epochs=30, batch_size=10, learning_rate=0.02, builder=builder_name,
            output_layer=self.make(), random_state=0,
        )  # fmt: skip

    def test_a_network_with_it_learns(self, builder_name: str) -> None:
        X, y = self.data()
        with unless_refused():
            estimator = self.estimator(builder_name).fit(X, y)
        assert estimator.loss_curve_[-1] < 0.7 * estimator.loss_curve_[0]
        assert estimator.predict(X).shape == y.shape
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(estimator)).predict(X), estimator.predict(X))

    def test_all_builders_predict_the_same(self) -> None:
        X, y = self.data()
        first, *others = installed_builders()
        with unless_refused():
            estimator = self.estimator(first).fit(X, y)
        expected = estimator._scores(X)
        for other in others:
            with suppress(UnsupportedError):
                np.testing.assert_allclose(
                    estimator.set_params(builder=other)._scores(X), expected, rtol=1e-5, atol=1e-6
                )
