"""scikit-learn's own checks of the estimators.

All checks run on eight estimators. Most checks look at what every estimator shares: validation, attributes, cloning,
pickles. These eight take every way through a fit and a prediction: both estimators, every builder, both kinds of
solver, and a plugin of each kind that could break a check. That is batch normalisation, whose statistics are no
trained weights and count sample weights; dense inputs, which change the tags; a loss whose targets must not be
negative; and a block with a residual connection.

Every other layer, loss and input runs the checks that depend on it, on the builder that is the default for it. The
rest of its promises are those of its suite (`ffnn.testing`), which runs on every builder, and of the comparison of
builders beside it.
"""

from __future__ import annotations

import functools

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from ffnn import MLPClassifier, MLPRegressor
from ffnn_plugins.inputs.plr import PLRInput
from ffnn_plugins.outputs.binary import BinaryOutput
from ffnn_plugins.outputs.multiclass import MulticlassOutput
from ffnn_plugins.outputs.regression import RegressionOutput

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")

# enough for a check's data, where five epochs of the default rate are not
LONGER = {"n_epochs": 20, "learning_rate": 3e-3}
QUICK = [  # on the builder native, the default for these but for the one that names it
    MLPClassifier(random_state=0),
    MLPRegressor(random_state=0),
    MLPRegressor(builder="native", solver="lbfgs", n_epochs=10, random_state=0),
    MLPRegressor(output_layer=RegressionOutput("poisson"), random_state=0),
]
ON_AN_ENGINE = [
    MLPClassifier(builder="tf", solver="lbfgs", n_epochs=10, random_state=0),
    MLPClassifier(block=("affine", "batch_norm", "prelu"), builder="keras", random_state=0, **LONGER),
    MLPRegressor(block=("affine", "residual", "layer_norm", "activation"), builder="tf", random_state=0, **LONGER),
    MLPClassifier(input_layer=PLRInput(8, n_dims=4), builder="tf", n_epochs=10, random_state=0),
]


def expected(estimator):
    if "poisson" in str(estimator.output_layer):
        return {"check_regressor_multioutput": "the check gives negative targets, whatever the tag positive_only says"}
    return {}


@parametrize_with_checks(QUICK, expected_failed_checks=expected)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(ON_AN_ENGINE)
def test_scikit_learns_checks_on_an_engine(estimator, check):
    check(estimator)


WEIGHTS = {"check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data"}
DECISIVE = WEIGHTS | {
    "check_class_weight_classifiers",
    "check_classifiers_one_label_sample_weights",
    "check_classifiers_train",
    "check_estimators_dtypes",
    "check_estimators_pickle",
    "check_fit2d_1feature",
    "check_fit2d_1sample",
    "check_methods_subset_invariance",
    "check_regressors_train",
}

# the focal loss makes little of what is predicted well, so that five epochs do not bring a class's weight to bear
FOCAL = {"n_epochs": 30}
ON_AN_ENGINE_TOO = [
    MLPRegressor(block=("affine", "batch_norm", "prelu"), builder="tf", random_state=0, **LONGER),
    MLPClassifier(block=("affine", "residual", "layer_norm", "activation"), builder="keras", random_state=0, **LONGER),
    MLPRegressor(input_layer=PLRInput(8, n_dims=4), builder="keras", n_epochs=10, random_state=0),
]
OTHERS = [
    *(pytest.param(estimator, marks=pytest.mark.slow) for estimator in ON_AN_ENGINE_TOO),
    # each of two equal rows has noise of its own, a row of weight 2 has one: WEIGHTS are not asked
    MLPClassifier(block=("gaussian_noise", "affine", "activation"), random_state=0, **LONGER),
    MLPRegressor(block=("gaussian_noise", "affine", "activation"), random_state=0, **LONGER),
    MLPClassifier(input_layer="scaled", random_state=0),
    MLPRegressor(input_layer="scaled", random_state=0),
    MLPRegressor(output_layer=RegressionOutput("absolute_error"), random_state=0),
    MLPRegressor(output_layer=RegressionOutput("huber", delta=20.0), random_state=0),
    MLPRegressor(output_layer=RegressionOutput("quantile", quantile=0.3), random_state=0),
    MLPClassifier(output_layer=BinaryOutput(label_smoothing=0.1), random_state=0, **FOCAL),
    MLPClassifier(output_layer=BinaryOutput("focal"), random_state=0, **FOCAL),
    MLPClassifier(output_layer=MulticlassOutput(label_smoothing=0.1), random_state=0, **FOCAL),
    MLPClassifier(output_layer=MulticlassOutput("focal"), random_state=0, **FOCAL),
]


@pytest.mark.parametrize("estimator", OTHERS, ids=repr)
def test_the_checks_that_depend_on_a_layer_a_loss_or_an_input(estimator):
    chosen = DECISIVE - WEIGHTS if "gaussian_noise" in estimator.block else DECISIVE
    for made, check in estimator_checks_generator(estimator):
        name = check.func.__name__ if isinstance(check, functools.partial) else check.__name__
        if name in chosen:
            try:
                check(made)
            except Exception as error:
                error.add_note(f"in {check}")
                raise
