"""Where TensorFlow writes graphs instead of running operations, the estimators say so before anything starts."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from ffnn import MLPClassifier

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
Y = np.arange(40) % 2
SAID = "writes them into a graph.*outside of tf.Graph"


@pytest.fixture(scope="module", params=["tf", "keras"])
def fitted(request):
    return MLPClassifier((3,), n_epochs=1, builder=request.param, random_state=0).fit(X, Y)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.fit(X, Y),
        lambda m: m.partial_fit(X, Y),
        lambda m: m.predict(X),
        lambda m: m.predict_proba(X),
        lambda m: m.transform(X),
        lambda m: m.prediction_gradient(X),
        lambda m: MLPClassifier((4,), n_epochs=1, builder=m.builder).fit(X, Y),
    ],
)
def test_a_call_within_a_graph_is_refused_and_changes_nothing(fitted, call):
    before = fitted.predict_proba(X)
    with tf.Graph().as_default(), pytest.raises(RuntimeError, match=SAID):
        call(fitted)

    @tf.function(autograph=False)
    def traced():
        call(fitted)
        return tf.constant(1)

    with pytest.raises(RuntimeError, match=SAID):
        traced()
    np.testing.assert_array_equal(fitted.predict_proba(X), before)
    assert fitted.n_iter_ == 1


PROGRAM = """
import sys
import numpy as np
import tensorflow as tf
from ffnn import MLPClassifier
tf.compat.v1.disable_eager_execution()
X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
for builder in ("tf", "keras"):
    try:
        MLPClassifier((3,), n_epochs=1, builder=builder).fit(X, np.arange(40) % 2)
    except RuntimeError as error:
        print(builder, error)
"""


@pytest.mark.slow
def test_without_eager_execution_a_fit_is_refused():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False)
    assert [line.split()[0] for line in done.stdout.splitlines() if "disable_eager_execution" in line] == [
        "tf",
        "keras",
    ], done.stderr[-2000:]
