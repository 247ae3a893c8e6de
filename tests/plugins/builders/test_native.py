"""The builder ``native``: what every builder promises, and what is its own."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from ffnn import MLPClassifier, MLPRegressor, kernels
from ffnn.exceptions import EngineNotInstalledError
from ffnn.model import Rows, State
from ffnn.plugins import registry
from ffnn.solvers import SGD, Adam
from ffnn.testing._suite import OUTPUTS, assert_states_equal, make_problem
from ffnn.testing.builders import STOCHASTIC, BuilderSuite
from ffnn_plugins.builders._native import library, model
from ffnn_plugins.builders._native.sparse import SparseAdamModel
from ffnn_plugins.builders.native import NativeBuilder
from ffnn_plugins.inputs.dense import DenseInput
from ffnn_plugins.inputs.scaled import ScaledInput
from ffnn_plugins.inputs.sparse import SparseInput
from ffnn_plugins.layers.activation import ACTIVATIONS, Activation
from ffnn_plugins.layers.affine import Affine
from ffnn_plugins.layers.batch_norm import BatchNorm
from ffnn_plugins.layers.gaussian_noise import GaussianNoise
from ffnn_plugins.layers.layer_norm import LayerNorm
from ffnn_plugins.layers.ntk_affine import NTKAffine
from ffnn_plugins.layers.prelu import PReLU
from ffnn_plugins.layers.residual import Residual
from ffnn_plugins.outputs.binary import BinaryOutput
from ffnn_plugins.outputs.multiclass import MulticlassOutput
from ffnn_plugins.outputs.multilabel import MultilabelOutput
from ffnn_plugins.outputs.regression import RegressionOutput

COUNTS = np.random.default_rng(1).poisson(3, size=(37, 2)).astype(float)
Y = {
    "binary": np.arange(37) % 2,
    "multiclass": np.arange(37) % 3,
    "multilabel": np.random.default_rng(1).integers(-1, 2, size=(37, 3)),
    "regression": COUNTS,
}
LOSSES = [
    ("binary", BinaryOutput(loss="focal", label_smoothing=0.1)),
    ("multiclass", MulticlassOutput(label_smoothing=0.2)),
    ("multiclass", MulticlassOutput(loss="focal")),
    ("multiclass", MulticlassOutput(loss="focal", gamma=1.0, label_smoothing=0.2)),
    ("multilabel", MultilabelOutput(loss="focal")),
    *[("regression", RegressionOutput(loss)) for loss in ("absolute_error", "huber", "poisson")],
    ("regression", RegressionOutput("quantile", quantile=0.9)),
    ("regression", RegressionOutput("poisson", head=("affine", Activation("softplus"), GaussianNoise(0.1)))),
]
BLOCKS = {
    "ntk": ("dropout", NTKAffine(), "activation"),
    "prelu": ("affine", PReLU()),
    "layer_norm": ("affine", LayerNorm(), "activation"),
    "noise": ("affine", GaussianNoise(0.1), "activation"),
    "two functions": ("activation", "affine", Activation("gelu"), Activation("tanh")),
    "two affine": (Affine(19), "affine"),
    "last dropout": ("affine", "activation", "dropout"),
}
ODD = [(1,), (3,), (257,), (33, 1, 40), ()]


def build(problem, state=None, builder="native"):
    made = registry.load("builder", builder)().model(problem.network, problem.solver)
    made.set_state(state or State(problem.initial_weights()))
    made.load(problem.x, problem.targets, problem.weight)
    return made


def check_gradient(problem):
    """Compare a gradient with finite differences, in some entries of each weight."""
    weights = problem.initial_weights()
    loss, gradient = build(problem).loss_and_gradient(weights)
    assert loss == pytest.approx(problem.loss(weights), rel=1e-9)
    for name, array in weights.items():
        for at in {0, array.size // 2, array.size - 1}:
            up, down = ({**weights, name: array.copy()} for _ in range(2))
            up[name].flat[at] += 1e-6
            down[name].flat[at] -= 1e-6
            slope = (problem.loss(up) - problem.loss(down)) / 2e-6
            assert gradient[name].flat[at] == pytest.approx(slope, rel=1e-4, abs=1e-8), (name, at)


class TestNative(BuilderSuite):
    name = "native"
    mixed_precision = False


# -- what it computes


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_gradient_of_every_activation_is_right(activation):
    check_gradient(make_problem(hidden_units=(5, 4), activation=activation))


@pytest.mark.parametrize(("y", "output"), LOSSES, ids=str)
def test_the_gradient_of_every_loss_is_right(y, output):
    check_gradient(make_problem(output, y=Y[y], hidden_units=(5,)))


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_the_gradient_of_every_block_is_right(block):
    check_gradient(make_problem(block=block, hidden_units=(5, 4), input=ScaledInput(), rate=0.3))


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_slopes_at_the_input_are_those_of_finite_differences(block):
    problem = make_problem(block=block, hidden_units=(5, 4), input=ScaledInput(), rate=0.3)
    made, (X,) = build(problem), problem.x.arrays
    slopes = made.input_gradient(problem.x)
    for j in range(6):
        step = 1e-6 * np.eye(6)[j]
        difference = made.forward(Rows((X + step,), 37)) - made.forward(Rows((X - step,), 37))
        np.testing.assert_allclose(slopes[:, :, j], difference / 2e-6, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("activation", ["gelu", "mish", "selu", "softplus", "tanh", "silu", "sigmoid", "elu"])
def test_float32_is_as_good_as_its_digits(activation):
    x = np.concatenate([np.linspace(-100, 100, 4001), np.linspace(-2, 2, 4001), np.geomspace(1e-30, 1, 100)])
    exact, rounded = (
        make_problem(block=(Activation(activation),), hidden_units=(1,), n_features=1, dtype=dtype)
        for dtype in ("float64", "float32")
    )
    values = [build(p).forward(Rows((x.astype(p.network.dtype)[:, None],), len(x)), 0) for p in (exact, rounded)]
    np.testing.assert_allclose(values[1], values[0], rtol=2e-6, atol=5e-7)


@pytest.mark.parametrize("units", ODD, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_odd_widths_and_batches_train_as_on_tensorflow(units, dtype):
    problem = make_problem(hidden_units=units, dtype=dtype, activation="relu")
    for batch_size in (1, 7, 100):
        models = [build(problem, builder=builder) for builder in ("native", "tf")]
        curves = [[m.train_epoch(problem.plan(e, batch_size=batch_size)) for e in range(3)] for m in models]
        np.testing.assert_allclose(*curves, rtol=1e-4 if dtype == "float32" else 1e-9)
        scores = [m.forward(problem.x) for m in models]
        np.testing.assert_allclose(*scores, rtol=1e-3, atol=1e-4 if dtype == "float32" else 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("solver", [*STOCHASTIC, SGD(clip_norm=0.1), Adam(clip_value=0.01)], ids=str)
@pytest.mark.parametrize("output", OUTPUTS)
def test_curves_are_those_of_tensorflow_and_a_state_moves_there_and_back(solver, output):
    problem = make_problem(output, solver=solver, hidden_units=(20, 7))
    here, there = build(problem), build(problem, builder="tf")
    for epoch in range(6):
        plan = problem.plan(epoch, weight_decay=0.01)
        assert here.train_epoch(plan) == pytest.approx(there.train_epoch(plan), rel=1e-9)
        if epoch == 2:
            states = [m.get_state() for m in (here, there)]
            assert [*states[0].slots] == [*states[1].slots]
            here, there = build(problem, states[1]), build(problem, states[0], "tf")


def test_label_weights_count():
    problem = make_problem("multilabel")
    output = problem.network.output
    output.balance([{0: 2.0, 1: 0.5}, {1: 3.0}, {0: 0.0}], Y["multilabel"], np.ones(37))
    problem.targets = output.encode(Y["multilabel"], "float64")
    check_gradient(problem)


def test_no_rows_give_no_scores():
    problem = make_problem(hidden_units=(4,))
    nothing = Rows((problem.x.arrays[0][:0],), 0)
    assert build(problem).forward(nothing).shape == (0, 3)
    assert build(problem).input_gradient(nothing).shape == (0, 3, 6)


def test_x_is_read_where_it_is(tmp_path):
    problem = make_problem(dtype="float32", n_rows=150)
    (X,) = problem.x.arrays
    mapped = np.memmap(tmp_path / "X", np.float32, "w+", shape=X.shape)
    mapped[:] = X
    wide = np.zeros((300, 12), np.float32)
    wide[::2, ::2] = X
    behind = np.zeros(X.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(X.shape)  # not aligned
    behind[:] = X
    states = []
    for form in (X, mapped, np.asfortranarray(X), wide[::2, ::2], behind):
        problem.x = Rows((form,), 150)
        made = build(problem)
        made.train_epoch(problem.plan())
        states.append(made.get_state())
        np.testing.assert_array_equal(made.forward(problem.x), build(problem, states[0]).forward(Rows((X,), 150)))
    for state in states:
        assert_states_equal(state, states[0])


@pytest.mark.parametrize("solver", ["adam", SGD(clip_norm=0.1)], ids=str)
def test_no_bit_depends_on_the_number_of_calls_of_an_epoch(solver, monkeypatch):
    problem = make_problem(hidden_units=(7,), rate=0.3, solver=solver, dtype="float32", output="multiclass")
    products = sum(array.size for array in problem.initial_weights().values() if array.ndim == 2)
    losses, states = [], []
    for at_once in (1e9, 1, 3 * 3 * products * problem.plan().batch_size):  # the last one takes three steps
        monkeypatch.setattr(model, "_AT_ONCE", at_once)
        made = build(problem)
        losses.append([made.train_epoch(problem.plan(epoch)) for epoch in range(3)])
        states.append(made.get_state())
    for loss, state in zip(losses, states, strict=True):
        assert loss == losses[0]
        assert_states_equal(state, states[0])


# -- threads and processors


@pytest.mark.parametrize("solver", ["adam", SGD(clip_norm=0.1)], ids=str)
@pytest.mark.parametrize("block", [*BLOCKS.values(), ("dropout", "affine", "activation")], ids=[*BLOCKS, "plain"])
def test_no_bit_depends_on_the_number_of_threads(block, solver, monkeypatch):
    problem = make_problem(
        block=block, hidden_units=(70, 50), n_features=40, rate=0.3, solver=solver, dtype="float32", input=ScaledInput()
    )
    monkeypatch.setattr(model, "_WORTH_THREADS", 1)
    states, found = [], []
    for n_threads in (1, 2, 5):
        monkeypatch.setattr(model, "_n_threads", lambda n=n_threads: n)
        made = build(problem)
        for epoch in range(2):
            made.train_epoch(problem.plan(epoch))
        states.append(made.get_state())
        found.append((made.forward(problem.x), made.input_gradient(problem.x)))
    for state, values in zip(states[1:], found[1:], strict=True):
        assert_states_equal(state, states[0])
        for value, expected in zip(values, found[0], strict=True):
            np.testing.assert_array_equal(value, expected)


def at_level(level, dtype):
    """Return the library of a level, or skip the test."""
    folder = Path(library.__file__).parent
    if not ctypes.CDLL(str(folder / f"{dtype}-0.so")).ffnn_runs(level):
        pytest.skip(f"no level {level} here")
    return library.Library(ctypes.CDLL(str(folder / f"{dtype}-{level}.so")))


@pytest.mark.parametrize("activation", ["gelu", "softplus"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_processors_with_fused_multiplications_give_the_same_bits(dtype, activation, monkeypatch):
    problem = make_problem(hidden_units=(70, 33), n_features=40, rate=0.3, dtype=dtype, activation=activation)
    states = []
    for own in (at_level(3, dtype), at_level(4, dtype)):
        monkeypatch.setattr(library, "_load", lambda dtype, own=own: own)
        made = build(problem)
        made.train_epoch(problem.plan())
        states.append(made.get_state())
    assert_states_equal(*states)


@pytest.mark.parametrize("level", kernels.LEVELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_level_computes_the_same(level, dtype, monkeypatch):
    own = at_level(level, dtype)
    problem = make_problem(hidden_units=(70, 33), n_features=40, rate=0.3, dtype=dtype, activation="gelu", n_rows=150)
    expected = [build(problem).train_epoch(problem.plan()), build(problem).forward(problem.x)]
    monkeypatch.setattr(library, "_load", lambda dtype: own)
    made = build(problem)
    scores = made.forward(problem.x)
    for actual, wanted in zip([made.train_epoch(problem.plan()), scores], expected, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-4 if dtype == "float32" else 1e-10)
    everything = made.forward(problem.x)
    for rows in ([0], [149], [70, 3], range(60, 73), range(150)):
        np.testing.assert_array_equal(made.forward(problem.rows(rows)), everything[rows])


def test_it_needs_no_engine_survives_a_fork_and_can_be_held_to_a_level():
    code = """
import os, sys
os.environ["FFNN_KERNELS_LEVEL"] = "0"
from ffnn._utils.forks import note_running
import numpy as np
from ffnn import MLPClassifier
from ffnn import kernels
from ffnn_plugins.builders._native.library import _load
X = np.random.default_rng(0).normal(size=(60, 5))
fitted = MLPClassifier((8,), builder="native", random_state=0).fit(X, X[:, 0] > 0)
assert fitted.predict(X).shape == (60,)
note_running("tensorflow")
child = os.fork()
if not child:  # it has lost TensorFlow, and nothing else
    try:
        fitted.partial_fit(X, X[:, 0] > 0).predict(X)
        os._exit(0)
    finally:
        os._exit(1)
print(os.waitpid(child, 0)[1])
print(sorted({"tensorflow", "keras", "torch", "jax"} & set(sys.modules)))
print("float32 (for any processor)" in kernels.describe())
os.environ["FFNN_KERNELS_LEVEL"] = "7"
_load.cache_clear()
kernels.load.cache_clear()
try:
    MLPClassifier((8,), builder="native").fit(X, X[:, 0] > 0)
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "0",
        "[]",
        "True",
        "FFNN_KERNELS_LEVEL='7': expected one of (4, 3, 0). Unset it to take the best.",
    ]


def test_a_cold_fit_and_its_prediction_import_nothing_that_they_do_not_need():
    code = """
import sys
import numpy as np
from ffnn import MLPClassifier, MLPRegressor
X, y = np.eye(12), np.arange(12) % 3
MLPClassifier((4,), n_epochs=1, builder="native").fit(X, y).predict(X)
MLPRegressor((4,), n_epochs=1, builder="native").fit(X, y).predict(X)
needless = ["sklearn.metrics", "sklearn.model_selection", "tensorflow", "keras", "ffnn.kernels.sparse_adam"]
print([name for name in needless if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# -- sparse rows


def sparse_problem(batches, **options):
    X = scipy.sparse.random(37, 300, density=0.05, format="csr", random_state=0)
    settled = SparseInput(batches).fit(X, 8)
    problem = make_problem(sparse=True, dtype="float32", input=settled, n_features=300, hidden_units=(20, 7), **options)
    problem.x = settled.prepare(X, "float32")
    return problem


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize("solver", ["adam", "adamw"])
def test_stored_entries_train_as_dense_batches_do(solver, weight_decay):
    problems = [sparse_problem(batches, solver=solver, rate=0.3) for batches in ("dense", "stored")]
    models = [build(problem) for problem in problems]
    assert [type(m) is SparseAdamModel for m in models] == [False, True]
    curves = [
        [m.train_epoch(p.plan(epoch, weight_decay=weight_decay)) for epoch in range(4)]
        for m, p in zip(models, problems, strict=True)
    ]
    np.testing.assert_allclose(*curves, rtol=1e-5)
    x = problems[0].x
    for layer in (None, 0, 1):
        np.testing.assert_allclose(*[m.forward(x, layer) for m in models], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(*[m.input_gradient(x) for m in models], rtol=1e-3, atol=1e-5)
    weights = problems[0].initial_weights()
    np.testing.assert_allclose(*[m.loss_and_gradient(weights)[0] for m in models], rtol=1e-5)
    assert_states_equal(models[1].get_state(), build(problems[1], models[1].get_state()).get_state())


@pytest.mark.parametrize(
    ("n_features", "n_stored", "stored"), [(20_000, 5, True), (20_000, 12_000, False), (2000, 5, False)]
)
def test_stored_entries_are_trained_on_where_that_is_expected_to_be_faster(n_features, n_stored, stored):
    X = scipy.sparse.random(50, n_features, n_stored / n_features, format="csr", random_state=0, dtype=np.float32)
    for batches, expected in (("auto", stored), ("stored", True), ("dense", False)):
        parameters = {"hidden_units": (4,), "n_epochs": 1, "builder": "native", "dtype": "float32", "random_state": 0}
        mlp = MLPClassifier(**parameters, input_layer=SparseInput(batches)).fit(X, np.arange(50) % 2)
        assert isinstance(mlp.model_, SparseAdamModel) is expected, batches


def test_threads_predict_while_stored_entries_are_trained_on():
    problem = sparse_problem("stored")
    made, alone = build(problem), build(problem)
    plans = [problem.plan(epoch) for epoch in range(20)]
    expected = [alone.train_epoch(plan) for plan in plans]
    with ThreadPoolExecutor(1) as other:
        found = other.submit(lambda: [made.train_epoch(plan) for plan in plans])
        while not found.done():
            assert np.isfinite(made.forward(problem.x)).all()
            made.get_state()
    assert found.result() == pytest.approx(expected, rel=1e-5)
    assert made.is_finite() is True


def test_dropout_drops_its_share():
    n = 100_000
    splits, columns = np.array([0, n], np.int32), np.arange(n, dtype=np.int32)
    values = [np.ones(n, np.float32) for _ in range(3)]
    for array, seed in zip(values, ([1, 2], [1, 3], [2, 2]), strict=True):
        library.Library.of("float32").drop(splits, columns, array, n, 0.3, np.array(seed, np.int32))
        assert set(array) == {0, np.float32(1 / 0.7)}
        assert np.mean(array == 0) == pytest.approx(0.3, abs=0.006)
        kept = array > 0
        assert np.mean(kept[1:] & kept[:-1]) == pytest.approx(0.49, abs=0.008)
    assert np.mean((values[0] > 0) & (values[1] > 0)) == pytest.approx(0.49, abs=0.008)
    assert np.mean((values[0] > 0) & (values[2] > 0)) == pytest.approx(0.49, abs=0.008)


# -- what it refuses


class Doubled(Affine):
    def forward(self, ops, x, weights, context):
        return 2 * super().forward(ops, x, weights, context)


class Squares(RegressionOutput):
    def loss(self, ops, scores, targets, weight):
        return ops.sum(ops.square(scores - targets)), ops.sum(weight)


class Reversed(DenseInput):
    def gather(self, ops, arrays, rows, n_features):
        return -super().gather(ops, arrays, rows, n_features)


class OtherAdam(Adam):
    pass


REFUSED = {
    "a callable": ({"activation": np.tanh}, "np.tanh|ufunc 'tanh'"),
    "batch norm": ({"block": ("affine", BatchNorm())}, r"BatchNorm\("),
    "residual": ({"block": (Residual(),)}, r"Residual\("),
    "plr": ({"input_layer": "plr"}, "PLRInput"),
    "a stranger's layer": ({"block": (Doubled(),)}, r"Doubled\("),
    "a stranger's input": ({"input_layer": Reversed()}, "Reversed"),
    "a stranger's output": ({"output_layer": Squares()}, "Squares"),
    "a stranger's solver": ({"solver": OtherAdam()}, "OtherAdam"),
    "mixed precision": ({"dtype": "mixed_bfloat16"}, "mixed_bfloat16"),
    "a gpu": ({"device": "gpu"}, "device='gpu'"),
}


@pytest.mark.parametrize(("parameters", "name"), REFUSED.values(), ids=REFUSED)
def test_what_it_does_not_have_is_refused_by_name(parameters, name):
    estimator = MLPRegressor((4,), builder="native", **parameters)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=f"(?s)({name}).*builder='tf'"):
        estimator.fit(np.random.default_rng(0).normal(size=(20, 3)), np.arange(20.0))
    assert vars(estimator) == before


def test_without_its_kernels_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(library, "is_there", lambda: False)
    with pytest.raises(EngineNotInstalledError, match="Install a C compiler, then ffnn anew; or use builder='tf'"):
        MLPClassifier(builder=NativeBuilder()).fit(np.eye(4), [0, 1, 0, 1])
