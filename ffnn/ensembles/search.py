"""``ffnn.ensemble(search)``: the models that a search trains, as one estimator."""

from __future__ import annotations

import copy
import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils import get_tags, indexable
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ffnn._utils._private import accepts_sample_weight, safe_indexing
from ffnn.ensembles.average import Blocks, Targets
from ffnn.ensembles.checks import check
from ffnn.ensembles.out_of_fold import out_of_fold
from ffnn.ensembles.runs import Fold, best, default_score, run
from ffnn.ensembles.scorer import one_score, received_models
from ffnn.model import Array

__all__ = ["SearchEnsemble", "ensemble"]


def ensemble(search: Any, top: int = 5) -> SearchEnsemble:
    """Combine the models that a search trains into one estimator.

    Its ``fit`` runs the search and keeps the model of each fold, which the search would drop. The models of the best
    candidates predict together. Nothing is trained for this beyond what the search trains.

    Parameters
    ----------
    search : GridSearchCV, RandomizedSearchCV, HalvingGridSearchCV or HalvingRandomSearchCV
        The search over a classifier, a regressor or a pipeline that ends with one. It stays as it is: a clone of it
        runs in ``fit``, also where it is fitted already, since a fitted search has no models of its folds any more.
    top : int, default=5
        How many candidates take part, the best first, each with the models of all folds. Where the search has fewer,
        all take part.

    Returns
    -------
    SearchEnsemble
        An unfitted estimator with the methods of a classifier or a regressor.

    Raises
    ------
    TypeError, ValueError
        If ``search`` is no such search, or ``top`` no positive whole number.

    Examples
    --------
    >>> import ffnn
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.model_selection import GridSearchCV
    >>> X, y = load_wine(return_X_y=True)
    >>> network = ffnn.MLPClassifier(input_layer="scaled", n_epochs=30, random_state=0)
    >>> search = GridSearchCV(network, {"hidden_units": [(8,), (16,), (32,)]}, cv=3)
    >>> model = ffnn.ensemble(search, top=2).fit(X, y)
    >>> len(model.estimators_)
    6
    """
    check(search, top)
    return SearchEnsemble(search, top=top)


def _has_probabilities(self: SearchEnsemble) -> bool:
    if not is_classifier(self.search):
        return False
    return all(hasattr(model, "predict_proba") for model in getattr(self, "estimators_", [self.search.estimator]))


class SearchEnsemble(MetaEstimatorMixin, BaseEstimator):
    """The mean of what the models of a search's best candidates predict; made by :func:`ensemble`.

    Of classifiers it is the mean of the probabilities, or the share of votes where a model has no ``predict_proba``;
    of regressors it is the mean of the predictions.

    Parameters
    ----------
    search : GridSearchCV, RandomizedSearchCV, HalvingGridSearchCV or HalvingRandomSearchCV
        The search. Of several scores that named by its ``refit`` counts, and the others are not computed; neither are
        scores of training rows.
    top : int, default=5
        How many candidates take part.

    Attributes
    ----------
    estimators_ : list of estimators
        The models, all folds of the best candidate first.
    search_ : estimator
        The search, fitted, with the results of its candidates.
    candidates_ : ndarray of shape (n_candidates,)
        The rows of ``search_.cv_results_`` that take part, the best first.
    classes_ : ndarray of shape (n_classes,), or list of them
        The classes; for multilabel targets the numbers of the labels. Only for classifiers.
    oof_score_ : float
        The score of out-of-fold predictions, by the search's own scorer: each row is predicted by those models alone
        that did not train on it, one or more of each candidate. Rows that no fold held out do not count. NaN, with a
        warning, where the scorer fails on these predictions, unless the search has ``error_score="raise"``.
    scorer_ : callable
        That of the search. With ``scoring=None`` it is accuracy (of several outputs, the share of rows with no error)
        or R².
    n_features_in_ : int
        The number of features, if the models know it.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the features, if the models know them.

    Notes
    -----
    ``oof_score_`` is free of what a model knows of its training rows, but not of the choice: the candidates were chosen
    by their scores on the same folds, as for ``best_score_`` of a search. With many candidates and few rows it is too
    high by a little. A score without that needs rows that the search has not seen: a test set, or ``cross_validate`` of
    the whole ensemble. It also is the score of smaller ensembles than the whole: usually a row is predicted by one
    model of each candidate, where a new row is predicted by all of them.

    Of a halving search the candidates of the last round take part. A candidate of which a fold failed does not.
    The models of all candidates are in memory until the search ends.
    """

    _targets: Targets

    def __init__(self, search: Any, *, top: int = 5) -> None:
        self.search = search
        self.top = top

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        own = get_tags(self.search)
        tags.estimator_type = own.estimator_type
        tags.classifier_tags = copy.deepcopy(own.classifier_tags)
        tags.regressor_tags = copy.deepcopy(own.regressor_tags)
        tags.input_tags = copy.deepcopy(own.input_tags)
        tags.target_tags = copy.deepcopy(get_tags(self.search.estimator).target_tags)
        return tags

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Run the search and keep the models of its best candidates.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        **params
            What the search's ``fit`` takes, such as ``sample_weight`` and ``groups``.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter is wrong, before anything is trained; if no candidate has a model of every fold.
        """
        check(self.search, self.top)
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        X, y = indexable(X, y)
        search = clone(self.search)
        groups = params.pop("groups", None)
        splitter = check_cv(search.cv, y, classifier=is_classifier(search.estimator))
        folds = [(np.asarray(train), np.asarray(test)) for train, test in splitter.split(X, y, groups)]
        with received_models() as received:
            scorer = run(search, folds, X, y, params)
        candidates, models = best(search.cv_results_, len(folds), received, self.top)

        fitted = copy.copy(self)  # so that an error below leaves this one as it was
        fitted.search_ = search
        fitted.candidates_ = candidates
        fitted.estimators_ = [model for of_candidate in models for model in of_candidate]
        fitted._targets = Targets(y, is_classifier(search.estimator))
        if is_classifier(search.estimator):
            fitted.classes_ = fitted._targets.public_classes
        for name in ("n_features_in_", "feature_names_in_"):
            fitted.__dict__.pop(name, None)
            if hasattr(fitted.estimators_[0], name):
                setattr(fitted, name, getattr(fitted.estimators_[0], name))
        fitted.scorer_ = scorer
        weight = params.get("sample_weight") if accepts_sample_weight(scorer) else None
        fitted.oof_score_ = _out_of_fold_score(fitted, models, folds, (X, y, weight))
        self.__dict__ = fitted.__dict__
        return self

    def predict(self, X: Any) -> Array:
        """Predict the classes, labels or numbers.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        blocks = self._average(X)
        return self._targets.prediction(blocks)

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]  # scikit-learn carries no types
    def predict_proba(self, X: Any) -> Array | list[Array]:
        """Predict the probabilities of the classes, or of the labels; there if all models have them.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or (n_samples, n_labels), or list of them
            A list for several outputs of more than two classes.
        """
        blocks = self._average(X)
        return blocks[0] if len(blocks) == 1 else blocks

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the score of the predictions, by the search's own scorer.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        sample_weight : array-like of shape (n_samples,), optional
            The weights of the samples.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return _score(_Scored(self), X, y, weights)

    def _average(self, X: Any) -> Blocks:
        check_is_fitted(self)
        total: Blocks = []
        for model in self.estimators_:
            blocks = self._targets.blocks(model, X)
            total = [a + b for a, b in zip(total, blocks, strict=True)] if total else blocks
        return [block / len(self.estimators_) for block in total]


class _Scored(SearchEnsemble):
    """A fitted ensemble as its scorer gets it: its own ``score`` is the default one, which a scorer may call.

    Parameters
    ----------
    fitted : SearchEnsemble
        The ensemble.
    blocks : list of ndarray, optional
        What it predicts, whatever X is; by default, what it does predict.
    """

    def __init__(self, fitted: SearchEnsemble, blocks: Blocks | None = None) -> None:
        self.__dict__.update(fitted.__dict__)
        self._blocks = blocks

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        return default_score(self, X, y, sample_weight)

    def _average(self, X: Any) -> Blocks:
        return super()._average(X) if self._blocks is None else self._blocks


def _out_of_fold_score(
    fitted: SearchEnsemble, models: list[list[Any]], folds: list[Fold], data: tuple[Any, Any, Any]
) -> float:
    """Score an ensemble on rows of which each is predicted by the models that have not trained on it."""
    X, y, weight = data
    rows, blocks = out_of_fold(fitted._targets, models, folds, X)
    weights = {} if weight is None else {"sample_weight": safe_indexing(weight, rows)}
    try:
        return _score(_Scored(fitted, blocks), safe_indexing(X, rows), safe_indexing(y, rows), weights)
    except Exception as error:
        if fitted.search.error_score == "raise":
            raise
        warnings.warn(
            f"oof_score_ is nan: the scorer cannot score the ensemble's out-of-fold predictions of {len(rows)} rows: "
            f"{type(error).__name__}: {error}",
            UserWarning,
            stacklevel=3,
        )
        return float("nan")


def _score(estimator: _Scored, X: Any, y: Any, weights: dict[str, Any]) -> float:
    score = estimator.scorer_(estimator, X, y, **weights)
    return float(one_score(score, estimator.search.refit) if isinstance(score, dict) else score)
