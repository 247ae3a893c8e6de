"""The private names of scikit-learn that ffnn uses, with fallbacks for versions that lack them.

Importing this module never fails: a missing name has a fallback here, or raises an error when it is used.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
from sklearn import utils
from sklearn.utils import check_array, validation

__all__ = [
    "CALLBACKS",
    "METADATA_REQUESTS",
    "accepts_sample_weight",
    "callback_context",
    "check_sample_weight",
    "check_y",
    "has_callbacks",
    "is_callback_address",
    "is_fit_and_score",
    "is_search",
    "metadata_requests",
    "num_features",
    "num_samples",
    "safe_indexing",
    "set_metadata_requests",
    "undelayed",
]

#: The attributes in which scikit-learn keeps an estimator's callbacks and its metadata requests.
CALLBACKS = "_skl_callbacks"
METADATA_REQUESTS = "_metadata_request"


def _find(name: str) -> Callable[..., Any] | None:
    """Return a private function of scikit-learn, or None if this version lacks it."""
    found: Callable[..., Any] | None = getattr(validation, name, None) or getattr(utils, name, None)
    return found


def safe_indexing(X: Any, rows: Any) -> Any:
    """Return rows of an array, a sparse matrix, a frame or a list.

    ``sklearn.utils._safe_indexing``; without it, the indexing of each of these kinds.
    """
    take = _find("_safe_indexing")
    if take is not None:
        return take(X, rows)
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if scipy.sparse.issparse(X):
        return scipy.sparse.csr_array(X)[rows]
    return X[rows] if hasattr(X, "shape") else [X[i] for i in np.arange(len(X))[rows]]


def check_y(y: Any, *, numeric: bool) -> Any:
    """Return targets of one or several outputs, checked as by ``sklearn.utils.check_X_y``.

    ``sklearn.utils.validation._check_y``; without it, ``check_array`` with the same restrictions.
    """
    check = _find("_check_y")
    if check is not None:
        return check(y, multi_output=True, y_numeric=numeric)
    return check_array(y, accept_sparse="csr", ensure_2d=False, dtype="numeric" if numeric else None, input_name="y")


def check_sample_weight(sample_weight: Any, X: Any) -> Any:
    """Return the sample weights as a float64 array of shape (n_samples,), none negative; ones for None.

    ``sklearn.utils.validation._check_sample_weight``; without it, the same checks by ``check_array``.
    """
    check = _find("_check_sample_weight")
    if check is not None:
        return check(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    n = num_samples(X)
    if sample_weight is None:
        return np.ones(n)
    weight = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weight.shape != (n,):
        raise ValueError(f"sample_weight.shape == {weight.shape}, expected {(n,)}!")
    if (weight < 0).any():
        raise ValueError("Negative values in data passed to `sample_weight`.")
    return weight


def num_samples(X: Any) -> int:
    """Return the number of samples of anything that scikit-learn accepts as an array.

    ``sklearn.utils.validation._num_samples``; without it, the first axis or the length.
    """
    count = _find("_num_samples")
    if count is not None:
        return int(count(X))
    return int(X.shape[0] if hasattr(X, "shape") else len(X))


def num_features(X: Any) -> int:
    """Return the number of features of anything that scikit-learn accepts as a matrix.

    ``sklearn.utils.validation._num_features``; without it, the second axis or the length of the first row.
    """
    count = _find("_num_features")
    if count is not None:
        return int(count(X))
    return int(X.shape[1] if hasattr(X, "shape") else len(X[0]))


def is_fit_and_score(function: Any) -> bool:
    """Return whether a function is the one by which scikit-learn fits and scores, and which knows ``error_score``.

    ``sklearn.model_selection._validation._fit_and_score``, bare or in ``sklearn.utils.parallel._FuncWrapper``; without
    them no function is, and a lost worker ends the search.
    """
    from sklearn import model_selection

    known = getattr(getattr(model_selection, "_validation", None), "_fit_and_score", None)
    return known is not None and undelayed(function)[0] is known


def undelayed(function: Any) -> tuple[Any, dict[str, Any]]:
    """Return the function that scikit-learn's ``delayed`` was given, and the configuration under which it is called.

    ``sklearn.utils.parallel._FuncWrapper``, with its attributes ``function`` and ``config``; without it, the function
    is its own, and has no configuration.
    """
    from sklearn.utils import parallel

    wrapper = getattr(parallel, "_FuncWrapper", None)
    if wrapper is not None and isinstance(function, wrapper):
        return function.function, dict(getattr(function, "config", None) or {})
    return function, {}


def metadata_requests(estimator: Any) -> Any:
    """Return the metadata requests that were set on an estimator, by method and parameter; None if there are none.

    ``_metadata_request`` and its ``_serialize``; without them ``ffnn.save`` leaves the requests out.
    """
    serialize = getattr(getattr(estimator, "_metadata_request", None), "_serialize", None)
    return None if serialize is None else serialize()


def set_metadata_requests(estimator: Any, requested: Any) -> None:
    """Set the metadata requests of an estimator to a result of :func:`metadata_requests`.

    ``_get_metadata_request`` and ``_metadata_request``; without them the requests keep their defaults.
    """
    if not hasattr(estimator, "_get_metadata_request"):
        return
    requests = estimator._get_metadata_request()
    for method, asked in requested.items():
        for parameter, alias in asked.items():
            getattr(requests, method).add_request(param=parameter, alias=alias)
    estimator._metadata_request = requests


def accepts_sample_weight(scorer: Callable[..., Any]) -> bool:
    """Return whether a scorer can weight samples.

    ``_accept_sample_weight`` of scikit-learn's scorers; without it, whether the scorer has such a parameter.
    """
    ask = getattr(scorer, "_accept_sample_weight", None)
    return bool(ask()) if ask is not None else "sample_weight" in inspect.signature(scorer).parameters


def is_search(thing: Any) -> bool:
    """Return whether an object is a search of scikit-learn's, such as ``GridSearchCV``.

    ``sklearn.model_selection._search.BaseSearchCV``, the base class of all searches; without it, only the two searches
    with a public class are recognized.
    """
    from sklearn import model_selection

    base = getattr(getattr(model_selection, "_search", None), "BaseSearchCV", None)
    return isinstance(thing, base or (model_selection.GridSearchCV, model_selection.RandomizedSearchCV))


def has_callbacks(estimator: Any) -> bool:
    """Return whether an estimator has callbacks of scikit-learn's; in versions without them it has none."""
    return bool(getattr(estimator, CALLBACKS, None))


def callback_context(estimator: Any, n_epochs: int) -> Any:
    """Return the context through which a fit of so many epochs reports to scikit-learn's callbacks.

    ``_init_callback_context`` of ``CallbackSupportMixin``; called only where the estimator has callbacks.
    """
    return estimator._init_callback_context(max_subtasks=n_epochs)


def is_callback_address(thing: Any) -> bool:
    """Return whether an object is the address to which scikit-learn's callbacks in other processes report.

    ``sklearn.callback._transport.ListenerHandle``, experimental like all of ``sklearn.callback``; without it, the
    address is pickled like any other object.
    """
    kind = type(thing)
    return (kind.__module__, kind.__name__) == ("sklearn.callback._transport", "ListenerHandle")
