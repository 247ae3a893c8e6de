"""A search that runs so that its models are kept, and the best of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import accuracy_score, check_scoring, r2_score

from ffnn._utils._private import accepts_sample_weight
from ffnn.ensembles.checks import chosen_scoring
from ffnn.ensembles.scorer import MODEL, SCORE, ModelScorer
from ffnn.model import Array

__all__ = ["Fold", "best", "default_score", "run"]

Fold = tuple[Array, Array]  # the training and the test rows


def run(search: Any, folds: list[Fold], X: Any, y: Any, params: dict[str, Any]) -> Any:
    """Fit a search so that its models are kept; return its scorer."""
    own = search.get_params(deep=False)
    scorer = check_scoring(search.estimator, chosen_scoring(search))
    refit = own["refit"]
    # a halving search needs the name of the score even without refit
    by_name = refit if callable(refit) else SCORE if refit or "resource" in own else False
    keeping = ModelScorer(
        scorer, refit if isinstance(refit, str) else None, own["error_score"], accepts_sample_weight(scorer)
    )
    search.set_params(scoring=keeping, refit=by_name, cv=folds, return_train_score=False)
    search.fit(X, y, **params)
    search.set_params(**{name: own[name] for name in ("scoring", "refit", "cv", "return_train_score")})
    search.scorer_, search.multimetric_ = scorer, False
    return scorer


def best(results: dict[str, Any], n_folds: int, received: dict[float, Any], top: int) -> tuple[Array, list[list[Any]]]:
    """Return the best candidates and the models of each, and take the models' numbers out of the results."""
    names = [f"split{fold}_test_{MODEL}" for fold in range(n_folds)]
    found = [[received.get(float(results[name][i])) for name in names] for i in range(len(results["params"]))]
    for name in (*names, *(f"{statistic}_test_{MODEL}" for statistic in ("mean", "std", "rank"))):
        del results[name]
    means = results[f"mean_test_{SCORE}"]
    complete = np.array([all(model is not None for model in models) for models in found]) & np.isfinite(means)
    rounds = results.get("iter", np.zeros(len(means)))  # of a halving search
    eligible = np.flatnonzero(complete & (rounds == rounds.max()))
    if not len(eligible):
        raise ValueError(
            f"no candidate has a model of every fold: {int(np.isfinite(means).sum())} of {len(means)} have a score, "
            f"and {len(received)} models came back. Pass error_score='raise' to the search to see the first error."
        )
    chosen = eligible[np.argsort(-means[eligible], kind="stable")][:top]
    return chosen, [found[i] for i in chosen]


def default_score(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    """Return the accuracy, of several outputs the share of rows without an error, or R²."""
    predicted = estimator.predict(X)
    if not is_classifier(estimator):
        return float(r2_score(y, predicted, sample_weight=sample_weight))
    if predicted.ndim == 1:
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))
    y = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
    return float(np.average((y == predicted).all(axis=1), weights=sample_weight))
