"""The names of other libraries: an error says what to write here, and scikit-learn's protocol stays as it is."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ffnn import MLPClassifier, MLPRegressor, presets
from ffnn._utils.other_names import NAMES

X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 1, 0, 1, 0, 1])

#: a parameter of another library, and the one that the error names
PARAMETERS = [
    ("max_iter", "n_epochs"),
    ("epochs", "n_epochs"),
    ("n_epoch", "n_epochs"),
    ("max_epochs", "n_epochs"),
    ("hidden_layer_sizes", "hidden_units"),
    ("hidden", "hidden_units"),
    ("n_layers", "hidden_units"),
    ("alpha", "weight_decay"),
    ("learning_rate_init", "learning_rate"),
    ("lr", "learning_rate"),
    ("optimizer", "solver"),
    ("momentum", "solver=ffnn.SGD(momentum=0.9)"),
    ("keep_prob", "dropout"),
    ("validation_split", "validation_fraction"),
    ("hiden_units", "hidden_units"),
]


def asks_for(given, expected):
    return rf"MLP\w+ has no parameter '{given}'\. (Use {re.escape(expected)}:|Did you mean '{expected}')"


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(("given", "expected"), PARAMETERS)
def test_a_parameter_of_another_library_is_refused_with_its_equivalent(estimator, given, expected):
    with pytest.raises(TypeError, match=asks_for(given, expected)):
        estimator(**{given: 1})
    unchanged = estimator(n_epochs=3)
    with pytest.raises(ValueError, match=asks_for(given, expected)):
        unchanged.set_params(n_epochs=4, **{given: 1})
    assert unchanged.n_epochs == 3


@pytest.mark.parametrize(("given", "expected"), PARAMETERS[:3])
def test_so_is_an_axis_of_a_grid_and_a_parameter_within_a_pipeline(given, expected):
    with pytest.raises(ValueError, match=asks_for(given, expected)):
        GridSearchCV(MLPClassifier(), {given: [1]}, cv=2).fit(X, Y)
    pipeline = make_pipeline(StandardScaler(), MLPClassifier())
    with pytest.raises(ValueError, match=asks_for(given, expected)):
        pipeline.set_params(**{f"mlpclassifier__{given}": 1})
    with pytest.raises(ValueError, match=asks_for(given, expected)):
        presets.talk(**{given: 1})


@pytest.mark.parametrize(
    ("parameters", "remedy"),
    [
        ({"batch_size": "auto"}, "Use batch_size=200 for scikit-learn's 'auto'"),
        ({"learning_rate": "adaptive"}, r"learning_rate=ffnn.Cosine\(1e-3\), or early_stopping=True"),
        ({"learning_rate": "invscaling"}, "Use learning_rate='inverse_scaling'"),
        ({"builder": "tensorflow"}, "Use builder='tf'"),
        ({"builder": "TF"}, "Use builder='tf'"),
        ({"builder": "torch"}, "Use builder='keras' with the environment variable KERAS_BACKEND=torch"),
        ({"builder": "pytorch"}, "Use builder='keras' with the environment variable KERAS_BACKEND=torch"),
        ({"solver": "AdamW"}, "Use solver='adamw'"),
        ({"solver": "L-BFGS"}, "Use solver='lbfgs'"),
        ({"early_stopping": "val_loss"}, "Use early_stopping=True"),
        ({"early_stopping": "Training"}, "Use early_stopping='training'"),
        ({"activation": "ReLU"}, "Use activation='relu'"),
        ({"device": "cuda"}, "Use device='gpu'"),
    ],
)
def test_a_value_of_another_library_is_refused_with_its_equivalent(parameters, remedy):
    with pytest.raises((TypeError, ValueError), match=remedy):
        MLPClassifier(**parameters).fit(X, Y)


def test_constant_is_the_name_of_a_schedule_here_too():
    given, expected = (MLPClassifier((3,), learning_rate=rate, random_state=0) for rate in ("constant", 1e-3))
    np.testing.assert_array_equal(given.fit(X, Y).predict_proba(X), expected.fit(X, Y).predict_proba(X))


def test_a_parameter_that_the_other_estimator_has_is_not_named_as_its_own_remedy():
    with pytest.raises(TypeError, match="MLPRegressor has no parameter 'class_weight'. Its parameters: hidden_units,"):
        MLPRegressor(class_weight="balanced")


def test_every_equivalent_is_a_parameter_of_the_classifier():
    known = MLPClassifier().get_params()
    for names in NAMES.values():
        for found in names.values():
            assert not found.code or found.code.partition("=")[0] in known


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_the_constructor_is_an_ordinary_one(estimator):
    shown = inspect.signature(estimator)
    assert list(shown.parameters)[:3] == ["hidden_units", "batch_size", "n_epochs"]
    assert all(found.kind is found.POSITIONAL_OR_KEYWORD for found in shown.parameters.values())
    assert set(shown.parameters) == set(estimator().get_params())
    given = estimator((3,), n_epochs=7)
    for twin in (clone(given), copy.deepcopy(given), pickle.loads(pickle.dumps(given))):
        assert twin.get_params() == given.get_params()


class Own(MLPClassifier):
    """A user's estimator, with a constructor of its own."""

    def __init__(self, depth=1, n_epochs=2):
        super().__init__((4,) * depth, n_epochs=n_epochs)
        self.depth = depth


def test_a_derived_class_has_the_parameters_of_its_own_constructor():
    assert clone(Own(3)).set_params(n_epochs=5).get_params() == {"depth": 3, "n_epochs": 5}
    with pytest.raises(
        ValueError, match="Own has no parameter 'max_iter'. Use n_epochs: .* parameters: depth, n_epochs"
    ):
        Own().set_params(max_iter=3)
