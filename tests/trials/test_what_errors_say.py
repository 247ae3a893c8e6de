"""The errors that a user reads when tasks fail in other processes."""

from __future__ import annotations

import functools
import os
import signal
import sys
import traceback
import warnings
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier

import ffnn
from ffnn.exceptions import TaskFailedError, WorkerDiedError
from ffnn.executor import Task
from ffnn.parallel.hosts import breaker
from ffnn.parallel.hosts.local import LocalHost
from ffnn.parallel.slots.executor import SlotExecutor

pytestmark = pytest.mark.timeout(120)


def test_the_users_function_is_named() -> None:
    def leave() -> None:
        sys.exit(3)

    batch = joblib.parallel.BatchedCalls([joblib.delayed(leave)()], (None, None))
    assert Task(batch).name == Task(functools.partial(leave)).name == Task(leave).name
    with ffnn.pool(n_workers=1), pytest.raises(TaskFailedError, match=r"leave raised SystemExit: 3, which would end"):
        joblib.Parallel()(joblib.delayed(leave)() for _ in range(2))


@pytest.mark.slow
def test_fits_that_died_alike_are_counted_together() -> None:
    class Killed(KNeighborsClassifier):  # type: ignore[misc]
        def fit(self, X: Any, y: Any) -> Any:
            if self.n_neighbors == 3:
                os.kill(os.getpid(), signal.SIGSEGV)
            return super().fit(X, y)

    search = GridSearchCV(Killed(), {"n_neighbors": [1, 3]}, cv=4, refit=False)
    with ffnn.pool(n_workers=2, max_retries=0), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(np.arange(40.0).reshape(-1, 1), np.arange(40) % 2)
    (text,) = (str(warning.message) for warning in caught if warning.category is FitFailedWarning)
    assert "4 fits failed with the following error" in text
    assert "a worker was killed by SIGSEGV while it ran _fit_and_score" in text


def test_an_error_has_no_context_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "_BACK_OFF", 0.01)

    class Bad(LocalHost):
        def command(self, slot: int, start: str, facts: Any) -> Any:
            command = super().command(slot, start, facts)
            return type(command)(["sh", "-c", "kill -9 $$"], command.environment)

    for executor in (SlotExecutor([Bad(1)]), SlotExecutor([LocalHost(1)], max_retries=0)):
        with ffnn.pool(executor), pytest.raises(WorkerDiedError) as caught:
            joblib.Parallel()(joblib.delayed(os._exit)(3) for _ in range(3))
        text = "".join(traceback.format_exception(caught.value))
        assert "WorkerGone" not in text
        assert "During handling" not in text
