from __future__ import annotations

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_iris

from ffnn import MLPClassifier
from ffnn.model import State
from ffnn.solvers import Adam
from ffnn.testing._suite import make_problem
from ffnn.testing.builders import BuilderSuite


class TestTensorFlow(BuilderSuite):
    name = "tf"

    def test_its_weights_are_variables(self):
        problem = make_problem()
        model = self.model(problem)
        assert list(model.variables) == list(problem.network.weights)
        for name, variable in model.variables.items():
            assert type(variable).__module__.startswith("tensorflow.")
            np.testing.assert_array_equal(variable.numpy(), problem.initial_weights()[name])

    def test_a_float32_run_is_close_to_a_float64_one(self):
        weights = make_problem(dtype="float32").initial_weights()
        losses = []
        for dtype in ("float32", "float64"):
            problem = make_problem(dtype=dtype)
            model = self.model(problem, State({name: array.astype(dtype) for name, array in weights.items()}))
            losses.append([model.train_epoch(problem.plan(epoch)) for epoch in range(5)])
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_rates_rows_and_batches_share_one_traced_program():
    X, y = load_iris(return_X_y=True)
    traces = []

    def activation(x):
        traces.append(x.shape)
        return tf.nn.relu(x)

    for i in range(4):
        estimator = MLPClassifier(
            (5,), activation=activation, dropout=0.1 + 0.1 * i, batch_size=16 + i, learning_rate=1e-3 * (i + 1),
            n_epochs=1 + i, random_state=i, solver=Adam(clip_norm=1.0 + i),
        )  # fmt: skip
        estimator.fit(X[: 150 - i], y[: 150 - i]).predict(X[i:])
        if i == 0:
            first = len(traces)
    assert first > 0
    assert len(traces) == first
    MLPClassifier((5,), activation=activation, n_epochs=10, random_state=0, dtype="float32").fit(X, y)
    assert len(traces) > first
