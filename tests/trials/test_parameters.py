"""Parameters as people write them, and as nobody should."""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import ffnn
from ffnn._utils.checks import check_choice, check_fraction, check_integer, check_number
from ffnn.plugins import registry
from tests.conftest import BUILDERS

X = np.random.default_rng(0).normal(size=(20, 4))
Y = np.arange(20) % 2


def classifier(**parameters):
    return ffnn.MLPClassifier(**{"hidden_units": (3,), "n_epochs": 1, "random_state": 0} | parameters)


def layer(name, **fields):
    return registry.load("layer", name)(**fields)


# --- what is kept must mean the same the next time


@pytest.mark.parametrize(
    "units", [iter([3]), (n for n in [3]), {3: 4}, {3}, {}, frozenset(), OrderedDict({3: 4}).keys(), map(int, "3"),
              np.array(3), np.array([[3]]), b"\x03", bytearray(b"\x03"), memoryview(b"\x03"), np.array([3.0])]
)  # fmt: skip
def test_only_a_sequence_names_hidden_units(units):
    with pytest.raises(TypeError, match=r"hidden_units=.*: expected .*positive integers.*Give the units of each"):
        classifier(hidden_units=units).fit(X, Y)


def test_every_sequence_of_integers_is_taken_and_means_the_same_twice():
    for units in ([3], (3,), range(3, 4), np.array([3]), np.int8(3), [np.uint8(3)]):
        estimator = classifier(hidden_units=units)
        for _ in range(2):
            assert [w.shape for w in estimator.fit(X, Y).coefs_] == [(4, 3), (3, 1)]


@pytest.mark.parametrize("kind", [iter, set, lambda x: dict.fromkeys(x), lambda x: (i for i in x)])
def test_other_parameters_take_only_sequences_too(kind):
    recipe = ("affine", "activation")
    output = registry.load("output", "binary")
    for estimator, name in (
        (classifier(block=kind(recipe)), "block"),
        (classifier(block=[layer("residual", block=kind(recipe))]), "Residual.block"),
        (classifier(output_layer=output(head=kind(["affine"]))), "output_layer.head"),
        (classifier(builder=ffnn.KerasBuilder(callbacks=kind([3]))), "KerasBuilder.callbacks"),
    ):
        with pytest.raises(TypeError, match=rf"{name}=.*: expected a (sequence|list)"):
            estimator.fit(X, Y)
    with pytest.raises(ValueError, match=r"class_weight=.*or a list of as many dicts"):
        classifier(class_weight=kind(["a", "b"])).fit(X, np.c_[Y, 1 - Y])


# --- flags


@pytest.mark.parametrize("flag", [True, False, np.True_, np.False_])
def test_flags_are_pythons_and_numpys_bools(flag, capsys):
    estimator = classifier(
        verbose=flag,
        warm_start=flag,
        early_stopping=flag,
        solver=ffnn.SGD(nesterov=flag),
        input_layer=registry.load("input", "plr")(n_frequencies=2, n_dims=2, lite=flag),
        block=(layer("ntk_affine", zero=flag), "activation"),
    ).fit(X, Y)
    assert ("epoch" in capsys.readouterr().err) is bool(flag)
    assert hasattr(estimator, "best_epoch_") is bool(flag)
    with ffnn.pool("multiprocessing", n_workers=1, progress=flag):
        pass
    from ffnn_plugins.executors._container.options import check_fresh

    assert check_fresh(flag, 1) == 1


def test_what_is_no_flag_is_refused():
    for parameters, name in (
        ({"verbose": "yes"}, "verbose"),
        ({"solver": ffnn.SGD(nesterov="yes")}, "SGD.nesterov"),
        ({"warm_start": 1}, "warm_start"),
    ):
        with pytest.raises(TypeError, match=f"{name}='?(yes|1)'?: expected"):
            classifier(**parameters).fit(X, Y)


# --- hostile values


HUGE = "an integer of about 401 digits"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"batch_size": 2**63}, "batch_size=9223372036854775808: expected an integer of at most 9223372036854775807"),
        ({"n_epochs": 2**70}, "n_epochs=.*: expected an integer of at most .* It is the number of passes"),
        ({"n_epochs": 10**400}, rf"n_epochs=\({HUGE}\): expected an integer of at most"),
        ({"learning_rate": 10**400}, rf"learning_rate=\({HUGE}\): expected a number of at most 3.4e\+38, as networks"),
        ({"learning_rate": 1e-320}, r"learning_rate=1e-320: expected a number of at least 1.2e-38"),
        ({"learning_rate": ffnn.CosLog(n_cycles=2000)}, "learning_rate.n_cycles=2000: expected an integer of at most"),
        ({"dropout": 1 - 1e-12}, r"dropout=0.999999999999: expected a rate .* below 1 in float32, too"),
        (
            {"solver": ffnn.Adam(beta_2=1 - 1e-9)},
            r"Adam.beta_2=0.999999999: expected a number in \[0, 1\), and below 1",
        ),
        ({"solver": ffnn.Adam(epsilon=10**300)}, "Adam.epsilon=.*: expected a number of at most 3.4e"),
        ({"solver": ffnn.LBFGS(memory=10**9)}, "LBFGS.memory=1000000000: expected an integer of at most 1000"),
        ({"hidden_units": 2**70}, "hidden_units=.*: expected positive integers of at most"),
        ({"hidden_units": 2**40}, r"hidden_units=\(1099511627776,\) and 4 features describe a network of 6,597,.* GiB"),
        ({"hidden_units": (2**62, 2**62)}, "features describe a network of 2.1e.37 weights, which take .* Use fewer"),
        ({"block": (layer("affine", units=-1),)}, "Affine.units=-1: expected a positive integer"),
        ({"block": (layer("affine", initializer="x"),)}, "Affine.initializer='x' is not known"),
        ({"output_layer": registry.load("output", "binary")(loss=np.array(["a", "b"]))}, "BinaryOutput.loss=array"),
        ({"class_weight": {0: 10**400}}, rf"class_weight\[0\]=\({HUGE}\)"),
    ],
)
def test_values_out_of_reach_are_refused_by_name(parameters, message):
    with pytest.raises(ValueError, match=message):
        classifier(**parameters).fit(X, Y)


@pytest.mark.parametrize("value", [Decimal("0.5"), Fraction(1, 2), 1j, np.array(0.5), b"1", None, lambda: 1, [0.5]])
def test_a_number_is_pythons_or_numpys(value):
    for check in (check_number, check_fraction):
        with pytest.raises(TypeError, match=r"Adam.beta_1=.*: expected a finite number of at least 0, got .* Use 0.9"):
            check("Adam.beta_1", value, "Use 0.9.")
    with pytest.raises(TypeError, match=r"n=.*: expected a positive integer"):
        check_integer("n", value, "Use 3.")
    with pytest.raises(ValueError, match=r"loss=.* is not known"):
        check_choice("loss", value, ["a", "b"], "leave it")


def test_a_whole_data_set_may_be_a_batch():
    expected = classifier(batch_size=20).fit(X, Y).coefs_[0]
    for batch_size in (2**30, 2**31 - 1, 2**31, 2**63 - 1):  # nothing was learned, without a word, from 2**31 on
        np.testing.assert_array_equal(classifier(batch_size=batch_size).fit(X, Y).coefs_[0], expected)


def test_numpys_small_integers_do_not_overflow():
    small = np.int8
    for parameters in (
        {"input_layer": registry.load("input", "plr")(n_frequencies=small(100), n_dims=small(100))},
        {"block": (layer("affine", units=small(100)), layer("ntk_affine", units=small(3)))},
        {"learning_rate": ffnn.CosLog(n_cycles=small(8))},
        {"solver": ffnn.LBFGS(memory=small(100), max_evaluations=small(100)), "n_epochs": small(100)},
    ):
        assert np.isfinite(classifier(**parameters).fit(X, Y).loss_curve_).all()


@pytest.mark.parametrize("builder", BUILDERS)  # a function of the engine's
@pytest.mark.parametrize(
    ("function", "returned"),
    [(lambda x: None, "None"), (lambda x: 0, "0"), (lambda x: x[:, :1], r"\(\w+, 1\) and float64")],
)
def test_an_activation_that_returns_something_else_is_named(builder, function, returned):
    with pytest.raises(TypeError, match=rf"activation=<function.* it returned {returned}. Give a function"):
        classifier(builder=builder, activation=function).fit(X, Y)
