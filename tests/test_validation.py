"""Validation data, early stopping, class weights, warm starts, the bar of epochs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import sklearn
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from ffnn import MLPClassifier, MLPRegressor
from ffnn.training.stopping import EarlyStopping

X, Y = load_digits(return_X_y=True)
X, Y = X[:600] / 16, Y[:600]
X_TRAIN, X_VAL, Y_TRAIN, Y_VAL = train_test_split(X, Y, random_state=0)


def classifier(**parameters):
    return MLPClassifier(
        **{"hidden_units": (16,), "n_epochs": 8, "learning_rate": 0.02, "random_state": 0} | parameters
    )


# --- what is looked at


def test_the_curve_is_the_loss_on_what_is_passed(builder):
    losses = []
    fitted = classifier(builder=builder).fit(
        X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL,
        monitor=lambda _, e, stats: losses.append((stats["validation_loss"], log_loss(Y_VAL, e.predict_proba(X_VAL)))),
    )  # fmt: skip
    assert fitted.validation_loss_curve_ == [loss for loss, _ in losses]
    np.testing.assert_allclose(*zip(*losses, strict=True), rtol=1e-4)
    assert fitted.best_epoch_ == np.argmin(fitted.validation_loss_curve_)
    plain = classifier(builder=builder).fit(X_TRAIN, Y_TRAIN)
    np.testing.assert_array_equal(plain.coefs_[0], fitted.coefs_[0])  # looking changes nothing
    assert not hasattr(plain, "validation_loss_curve_")


def test_the_score_is_any_of_scikit_learns():
    fitted = classifier(scoring="accuracy").fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    assert fitted.validation_scores_[-1] == accuracy_score(Y_VAL, fitted.predict(X_VAL))
    assert fitted.best_epoch_ == np.argmax(fitted.validation_scores_)
    assert len(fitted.validation_loss_curve_) == len(fitted.validation_scores_) == 8
    again = classifier(scoring="neg_log_loss").fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    np.testing.assert_allclose(again.validation_scores_, -np.array(again.validation_loss_curve_), rtol=1e-4)


def test_weights_of_validation_are_repetitions():
    times = np.random.default_rng(0).integers(0, 4, len(Y_VAL))
    weighted = classifier(scoring="accuracy").fit(
        X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL, sample_weight_val=times.astype(float)
    )
    repeated = classifier(scoring="accuracy").fit(
        X_TRAIN, Y_TRAIN, X_val=X_VAL.repeat(times, axis=0), y_val=Y_VAL.repeat(times)
    )
    np.testing.assert_allclose(weighted.validation_loss_curve_, repeated.validation_loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(weighted.validation_scores_, repeated.validation_scores_, rtol=1e-12)


def test_sparse_and_framed_data_are_taken():
    pandas = pytest.importorskip("pandas")
    csr = scipy.sparse.csr_array
    sparse = classifier().fit(csr(X_TRAIN), Y_TRAIN, X_val=csr(X_VAL), y_val=Y_VAL)
    dense = classifier().fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    np.testing.assert_allclose(sparse.validation_loss_curve_, dense.validation_loss_curve_, rtol=1e-3)
    names = [f"pixel {i}" for i in range(64)]
    frames = [pandas.DataFrame(part, columns=names) for part in (X_TRAIN, X_VAL)]
    framed = classifier(scoring="accuracy", early_stopping=True)
    framed.fit(frames[0], Y_TRAIN, X_val=frames[1], y_val=Y_VAL)
    framed.fit(frames[0], Y_TRAIN)
    with pytest.raises(ValueError, match="feature names"):
        framed.fit(frames[0], Y_TRAIN, X_val=frames[1].rename(columns={"pixel 0": "another"}), y_val=Y_VAL)


def test_a_pipeline_takes_it_through_its_steps():
    """Without leakage: the scaler learns from what is trained on alone."""
    with sklearn.config_context(enable_metadata_routing=True):
        mlp = classifier().set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline([("scale", StandardScaler()), ("mlp", mlp)], transform_input=["X_val"])
        pipeline.fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    scaler = StandardScaler().fit(X_TRAIN)
    by_hand = classifier().fit(
        scaler.transform(X_TRAIN), Y_TRAIN, X_val=scaler.transform(X_VAL), y_val=Y_VAL
    )  # fmt: skip
    assert pipeline[-1].validation_loss_curve_ == by_hand.validation_loss_curve_


# --- early stopping


def test_the_best_epoch_is_restored(builder):
    stopped = classifier(n_epochs=60, early_stopping=True, n_iter_no_change=4, builder=builder, learning_rate=0.05)
    stopped.fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    assert stopped.best_epoch_ < stopped.n_iter_ - 1 < 59
    assert stopped.best_epoch_ == np.argmin(stopped.validation_loss_curve_)
    shorter = classifier(n_epochs=stopped.best_epoch_ + 1, builder=builder, learning_rate=0.05).fit(X_TRAIN, Y_TRAIN)
    np.testing.assert_array_equal(stopped.coefs_[0], shorter.coefs_[0])
    np.testing.assert_array_equal(stopped.predict_proba(X_VAL), shorter.predict_proba(X_VAL))


def test_either_builder_stops_in_the_same_epoch():
    fitted = [
        classifier(n_epochs=60, early_stopping=True, n_iter_no_change=3, builder=b, scoring=s).fit(X, Y)
        for s in ("loss", "accuracy")
        for b in ("tf", "keras")
    ]
    for one, other in (fitted[:2], fitted[2:]):
        assert (one.n_iter_, one.best_epoch_) == (other.n_iter_, other.best_epoch_)
        assert one.n_iter_ < 60


def test_what_is_set_apart_is_a_function_of_the_seed_and_keeps_the_shares_of_classes():
    seen = []

    def spy(estimator, X, y):
        seen.append(np.sort(y))
        return 0.0

    for _ in range(2):
        classifier(early_stopping=True, scoring=spy, n_epochs=1, validation_fraction=0.2).fit(X, Y)
    np.testing.assert_array_equal(*seen)
    np.testing.assert_allclose(np.bincount(seen[0]) / 120, np.bincount(Y) / 600, atol=0.01)


def test_what_is_set_apart_does_not_teach():
    rng = np.random.default_rng(0)
    y = rng.normal(size=100)
    y[:10] += 1000
    held = []
    fitted = MLPRegressor(
        early_stopping=True, n_epochs=1, random_state=0, scoring=lambda e, X, y: held.append(y) or 0.0
    )
    fitted.fit(rng.normal(size=(100, 3)), y)
    taught = np.setdiff1d(y, held[0])
    assert len(taught) == 90
    np.testing.assert_allclose(fitted.network_.output.mean_, taught.mean())


def test_patience_and_tolerance():
    stopping = EarlyStopping(patience=2, tol=0.1)
    values = [0.0, 1.0, 1.05, 1.2, 1.2, 1.25]
    found = [stopping.update(epoch, value) for epoch, value in enumerate(values)]
    assert [better for better, _ in found] == [True, True, True, True, False, True]
    assert [stop for _, stop in found] == [False, False, False, False, False, True]
    assert stopping.best_epoch == 5


def test_l_bfgs_stops_early_too():
    fitted = classifier(solver="lbfgs", n_epochs=200, early_stopping=True, n_iter_no_change=5).fit(X, Y)
    assert fitted.n_iter_ < 200
    assert fitted.best_epoch_ == np.argmin(fitted.validation_loss_curve_)


# --- class weights


def test_a_class_weight_is_a_sample_weight():
    weights = {label: 1.0 + label for label in range(10)}
    by_class = classifier(class_weight=weights).fit(X, Y)
    by_sample = classifier().fit(X, Y, sample_weight=1.0 + Y)
    np.testing.assert_array_equal(by_class.coefs_[0], by_sample.coefs_[0])
    text = classifier(class_weight={"a": 2.0}).fit(X, np.where(Y > 6, "a", "b"))
    same = classifier().fit(X, np.where(Y > 6, "a", "b"), sample_weight=np.where(Y > 6, 2.0, 1.0))
    np.testing.assert_array_equal(text.coefs_[0], same.coefs_[0])


def test_balanced_is_scikit_learns():
    y = (Y > 7).astype(int)
    balanced = classifier(class_weight="balanced").fit(X, y)
    weights = sklearn.utils.class_weight.compute_sample_weight("balanced", y)
    np.testing.assert_allclose(balanced.coefs_[0], classifier().fit(X, y, sample_weight=weights).coefs_[0], rtol=1e-5)


def test_labels_have_weights_of_their_own():
    y = np.stack([Y > 7, Y % 2 == 0], axis=1).astype(int)
    y[::7, 1] = -1
    plain = classifier().fit(X, y)
    ones = classifier(class_weight=[{0: 1, 1: 1}] * 2).fit(X, y)
    np.testing.assert_allclose(plain.coefs_[0], ones.coefs_[0], atol=1e-6)
    rare = classifier(class_weight=[{1: 50.0}, {}]).fit(X, y)
    assert (rare.predict(X)[:, 0] == 1).sum() > (plain.predict(X)[:, 0] == 1).sum()
    balanced = classifier(class_weight="balanced", n_epochs=20).fit(X, y)
    assert balanced.score(X, y) > 0.9


@pytest.mark.parametrize(
    ("class_weight", "error", "message"),
    [
        ("even", ValueError, "class_weight='even'"),
        ({"3": 2.0}, ValueError, r"class_weight has the classes \['3'\]"),
        ({1: -2.0}, ValueError, "class_weight.1.=-2.0"),
        (3, TypeError, "class_weight=3: expected a dict"),
    ],
)
def test_wrong_class_weights_are_refused(class_weight, error, message):
    with pytest.raises(error, match=message):
        classifier(class_weight=class_weight).fit(X, Y)


def test_partial_fit_takes_weights_but_cannot_balance():
    classifier(class_weight={1: 2.0}).partial_fit(X, Y, classes=np.arange(10))
    with pytest.raises(ValueError, match="partial_fit does not see"):
        classifier(class_weight="balanced").partial_fit(X, Y, classes=np.arange(10))
    with pytest.raises(ValueError, match="list of as many dicts"):
        classifier(class_weight={1: 2.0}).fit(X, np.stack([Y > 7, Y > 3], axis=1).astype(int))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_the_weights_of_labels_are_those_of_the_call(method, builder):
    y = np.stack([Y > 7, Y % 2 == 0], axis=1).astype(int)
    weights = np.array([[1.0, 50.0], [3.0, 1.0]])
    given = [{1: 50.0}, {0: 3.0}]
    mlp = classifier(builder=builder, batch_size=len(X), n_epochs=1, warm_start=True, class_weight=given)
    getattr(mlp, method)(X, y)
    for class_weight, entries in ((None, np.ones_like(y)), (given, weights[[0, 1], y])):
        probability = mlp.predict_proba(X)
        losses = -np.log(np.where(y == 1, probability, 1 - probability))
        getattr(mlp.set_params(class_weight=class_weight), method)(X, y)
        np.testing.assert_allclose(mlp.loss_curve_[-1], np.average(losses, weights=entries), rtol=1e-6)


def test_a_fit_that_fails_keeps_the_weights_of_labels():
    y = np.stack([Y > 7, Y % 2 == 0], axis=1).astype(int)
    mlp = classifier(n_epochs=1, warm_start=True, class_weight=[{1: 50.0}, {}]).fit(X, y)
    kept = mlp.network_.output.label_weights_.copy()

    def fail(*_):
        raise ZeroDivisionError

    for class_weight in ([{1: 2.0}, {}], None):
        with pytest.raises(ZeroDivisionError):
            mlp.set_params(class_weight=class_weight).fit(X, y, monitor=fail)
        np.testing.assert_array_equal(mlp.network_.output.label_weights_, kept)


# --- warm starts and the bar


def test_a_warm_start_goes_on(builder):
    whole = classifier(n_epochs=6, builder=builder, solver="adam").fit(X, Y)
    parts = classifier(n_epochs=3, builder=builder, warm_start=True).fit(X, Y).fit(X, Y)
    np.testing.assert_array_equal(whole.coefs_[0], parts.coefs_[0])
    assert parts.n_iter_ == len(parts.loss_curve_) == 6
    parts.set_params(hidden_units=(17,))
    with pytest.raises(ValueError, match="another network.*warm_start=False"):
        parts.fit(X, Y)
    assert parts.n_iter_ == 6
    assert parts.set_params(warm_start=False).fit(X, Y).n_iter_ == 3


def test_a_bar_shows_the_epochs(capsys):
    classifier(verbose=1, early_stopping=True).fit(X, Y)
    err = capsys.readouterr().err
    for word in ("MLPClassifier", "8/8", "loss=", "validation_loss="):
        assert word in err
    classifier().fit(X, Y)
    assert "MLPClassifier" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("parameters", "data", "error", "message"),
    [
        ({}, {"X_val": X_VAL}, ValueError, "X_val and y_val belong together; got X_val alone"),
        ({}, {"sample_weight_val": [1.0]}, ValueError, "sample_weight_val alone"),
        ({}, {"X_val": X_VAL[:, :3], "y_val": Y_VAL}, ValueError, "features"),
        ({}, {"X_val": X_VAL, "y_val": Y_VAL[:3]}, ValueError, "inconsistent numbers of samples"),
        ({}, {"X_val": X_VAL, "y_val": Y_VAL + 100}, ValueError, "not among the classes"),
        ({"scoring": "acuracy"}, {}, ValueError, "scoring='acuracy' is not known. Did you mean 'accuracy'"),
        ({"scoring": 3}, {}, TypeError, "scoring=3"),
        ({"early_stopping": 1}, {}, TypeError, "early_stopping=1: expected True or False"),
        ({"validation_fraction": 1.5}, {}, ValueError, "validation_fraction=1.5"),
        ({"n_iter_no_change": 0}, {}, ValueError, "n_iter_no_change=0"),
        ({"tol": -1}, {}, ValueError, "tol=-1"),
        ({"warm_start": None}, {}, TypeError, "warm_start=None"),
        ({"verbose": "yes"}, {}, TypeError, "verbose='yes'"),
        ({"early_stopping": True, "validation_fraction": 0.001}, {}, ValueError, "cannot split these 450 samples"),
    ],
)
def test_what_is_wrong_is_refused_by_name(parameters, data, error, message):
    estimator = classifier(**parameters)
    with pytest.raises(error, match=message):
        estimator.fit(X_TRAIN, Y_TRAIN, **data)
    assert not hasattr(estimator, "classes_")


def test_partial_fit_cannot_stop_early():
    with pytest.raises(ValueError, match="early_stopping=True needs fit"):
        classifier(early_stopping=True).partial_fit(X, Y, classes=np.arange(10))


def test_training_stops_when_its_own_loss_has_settled():
    """As scikit-learn's: counted in epochs whose loss is not below the best by `tol`; nothing is set apart."""
    fitted = classifier(n_epochs=300, early_stopping="training", n_iter_no_change=3, tol=0.01, learning_rate=0.01).fit(
        X, Y
    )
    assert 4 <= fitted.n_iter_ < 300
    losses, best, without = fitted.loss_curve_, np.inf, []
    for loss in losses:
        without.append(loss > best - 0.01)
        best = min(best, loss)
    assert without[-3:] == [True] * 3
    assert not any(all(without[i : i + 3]) for i in range(len(without) - 3))
    assert not hasattr(fitted, "validation_loss_curve_")


def test_the_loss_that_settles_may_be_watched_beside_validation_data():
    fitted = classifier(n_epochs=300, early_stopping="training", n_iter_no_change=3, tol=0.01, learning_rate=0.01)
    fitted.fit(X, Y, X_val=X[:50], y_val=Y[:50])
    assert len(fitted.validation_loss_curve_) == fitted.n_iter_ < 300
