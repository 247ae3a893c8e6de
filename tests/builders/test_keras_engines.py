"""Keras on its other engines, each in a process of its own: Keras chooses its engine when it is imported."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = """
import json, pickle, sys, warnings
warnings.simplefilter("ignore")
import numpy as np, scipy.sparse
from ffnn import Adam, MLPClassifier, MLPRegressor
from ffnn.builders.keras import KerasBuilder
from ffnn_plugins.inputs.plr import PLRInput
from ffnn_plugins.layers.residual import Residual
from ffnn_plugins.outputs.multiclass import MulticlassOutput
from ffnn_plugins.outputs.regression import RegressionOutput

rng = np.random.default_rng(0)
X = rng.normal(size=(100, 12)) * (rng.random((100, 12)) < 0.5)
S = X @ rng.normal(size=(12, 3))
Y = {"binary": (S[:, 0] > 0).astype(int), "multiclass": S.argmax(1), "multilabel": (S > 0).astype(int)}
Y["regression"] = S
builder = sys.argv[1]
found = {}

def fit(y, sparse=False, own=None, **parameters):
    kind = MLPRegressor if y == "regression" else MLPClassifier
    chosen = builder if own is None else KerasBuilder(own)
    defaults = {"hidden_units": (8,), "n_epochs": 5, "batch_size": 25, "random_state": 0, "builder": chosen}
    return kind(**defaults | parameters).fit(scipy.sparse.csr_array(X) if sparse else X, Y[y])

for y in Y:
    found[y] = fit(y, sparse=y == "multiclass", dtype="float32").loss_curve_
found["float64"] = fit("multiclass", dtype="float64", solver="adamw", weight_decay=0.01).loss_curve_
BLOCK = ("affine", "batch_norm", Residual(("layer_norm", "affine", "prelu")), "activation")
found["layers"] = fit("multiclass", dtype="float64", block=BLOCK, hidden_units=(8, 6)).loss_curve_
found["plr"] = fit("regression", dtype="float64", input_layer=PLRInput(4, n_dims=3)).loss_curve_
for loss in "huber", "quantile", "absolute_error":
    found[loss] = fit("regression", dtype="float64", output_layer=RegressionOutput(loss)).loss_curve_
focal = MulticlassOutput("focal", label_smoothing=0.1)
found["focal"] = fit("multiclass", dtype="float64", output_layer=focal).loss_curve_
for bound in {"clip_norm": 0.2}, {"clip_value": 0.05}:
    found[str(bound)] = fit("multiclass", dtype="float64", solver=Adam(**bound)).loss_curve_
found["mixed"] = fit("multiclass", dtype="mixed_bfloat16", block=BLOCK, hidden_units=(8, 6)).loss_curve_
found["lbfgs"] = fit("binary", solver="lbfgs", dtype="float64").loss_curve_

inside = {"dtype": "float64", "activation": "sigmoid", "n_epochs": 1}
for sparse in (False, True):
    rows = scipy.sparse.csr_array(X) if sparse else X
    fitted = fit("regression", sparse=sparse, **inside)
    found[f"hidden {sparse}"] = fitted.transform(rows).tolist()
    found[f"gradient {sparse}"] = fitted.prediction_gradient(rows).tolist()

if builder == "keras":
    found["tensorflow"] = "tensorflow" in sys.modules  # asked before Keras's own predict(), which imports it
    import keras
    def own(network):
        x = inputs = keras.Input((network.n_features,))
        x = keras.layers.BatchNormalization()(keras.layers.Dense(8)(x))
        x = keras.layers.Dropout(0.2)(x)
        return keras.Model(inputs, keras.layers.Dense(network.n_outputs, activation="softmax")(x))

    for name, parameters in {"dropout": {"dropout": 0.3}, "sparse dropout": {"dropout": 0.3, "sparse": True},
                             "noise": {"block": ("gaussian_noise", Residual(("dropout", "affine")), "batch_norm")},
                             "own": {"own": own}}.items():
        a, b = fit("multiclass", **parameters), fit("multiclass", **parameters)
        assert a.loss_curve_ == b.loss_curve_, (name, a.loss_curve_, b.loss_curve_)
        b = b if name == "own" else pickle.loads(pickle.dumps(b))
        a.partial_fit(X, Y["multiclass"]), b.partial_fit(X, Y["multiclass"])
        assert a.loss_curve_ == b.loss_curve_, name
        assert np.abs(a.model_.predict(X, verbose=0) - a.predict_proba(X)).max() < 1e-5, name
        assert (a.predict_proba(X[:3]) == a.predict_proba(X)[:3]).all()
    found["engine"] = keras.backend.backend()
print("FOUND", json.dumps(found))
"""
ROOT = Path(__file__).parents[2]


def run(builder: str, engine: str, program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KERAS_BACKEND": engine, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program, builder]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def found(process: subprocess.CompletedProcess[str]) -> dict[str, object]:
    lines = [line for line in process.stdout.splitlines() if line.startswith("FOUND ")]
    assert lines, process.stderr[-3000:]
    return json.loads(lines[0].removeprefix("FOUND "))


@pytest.fixture(scope="module")
def reference() -> dict[str, object]:
    return found(run("tf", "tensorflow"))


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "bound"), [("torch", 1e-5), ("jax", 1e-9)])
def test_trains_as_the_tf_builder(engine, bound, reference):
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed: python -m pip install {engine}")
    curves = found(run("keras", engine))
    assert curves.pop("engine") == engine
    assert curves.pop("tensorflow") is False
    for name, curve in curves.items():
        exact = (
            name in ("float64", "lbfgs") or "hidden" in name or "gradient" in name
        )  # Keras on torch multiplies in float32 whatever it is given
        rounding = 1e-2 if name == "mixed" else 1e-4
        np.testing.assert_allclose(curve, reference[name], rtol=bound if exact else rounding, err_msg=name)


@pytest.mark.slow
def test_engine_that_cannot_train_is_refused():
    program = "from ffnn import MLPClassifier\nMLPClassifier(builder='keras').fit([[0.0], [1.0]], [0, 1])"
    process = run("keras", "numpy", program)
    assert process.returncode == 1
    assert "ValueError: builder='keras': Keras runs on 'numpy' here" in process.stderr
    assert "Set the environment variable KERAS_BACKEND" in process.stderr
