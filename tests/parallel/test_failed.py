from __future__ import annotations

from functools import wraps
from types import SimpleNamespace

import joblib
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection._validation import _fit_and_predict, _fit_and_score
from sklearn.utils.parallel import delayed

from ffnn.exceptions import WorkerDiedError
from ffnn.parallel.failed import FailedEstimator, failing_batch

ERROR = WorkerDiedError("it died", "worker-0", -9, "last words")


def batch(*items: object) -> SimpleNamespace:
    return SimpleNamespace(items=list(items))


def test_the_stand_in_raises_where_it_is_fitted() -> None:
    failed = FailedEstimator(ERROR)
    assert failed.set_params(anything=1) is failed
    for estimator in (failed, clone(failed)):
        with pytest.raises(WorkerDiedError, match="it died"):
            estimator.fit([[0]], [0])


@pytest.mark.parametrize("by_name", [True, False])
def test_only_the_estimator_is_replaced(by_name: bool) -> None:
    estimator = LogisticRegression()
    args, kwargs = ((), {"estimator": estimator}) if by_name else ((estimator, 1), {"a": 2})
    function, _, _ = delayed(_fit_and_score)() if by_name else joblib.delayed(_fit_and_score)()
    original = batch((function, args, kwargs))
    again = failing_batch(original, ERROR)
    assert again is not None
    ((_, new_args, new_kwargs),) = again.items
    found = new_kwargs.pop("estimator") if by_name else new_args[0]
    assert isinstance(found, FailedEstimator)
    assert found.error is ERROR
    assert original.items == [(function, args, kwargs)]


@pytest.mark.parametrize(
    "other",
    [
        abs,
        batch(),
        batch((abs, (1,), {})),
        batch((abs, (LogisticRegression(),), {})),
        batch((_fit_and_predict, (LogisticRegression(),), {})),
        batch((wraps(_fit_and_score)(lambda estimator: None), (LogisticRegression(),), {})),
        batch((_fit_and_score, (LogisticRegression(),), {}), (_fit_and_score, (LogisticRegression(),), {})),
    ],
)
def test_what_is_not_one_fit_has_no_failing_batch(other: object) -> None:
    assert failing_batch(other, ERROR) is None
