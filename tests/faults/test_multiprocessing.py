"""The faults that workers of this machine must survive."""

from __future__ import annotations

import contextlib
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

import ffnn
from tests.support.faults import Faults, data, once, scores, send

pytestmark = [pytest.mark.timeout(110), pytest.mark.slow]


class TestMultiprocessing(Faults):
    silence = 6.0

    def pool(self, n_workers: int = 2, **options: Any) -> Any:
        pool = ffnn.pool("multiprocessing", n_workers=n_workers, progress=False, **options)
        for host in pool.executor.hosts:
            host.silence = self.silence  # users have 30 seconds, which a test need not wait for
        return pool

    @contextlib.contextmanager
    def break_host(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "executable", "/no/such/python")
            yield

    def test_fault_01_also_under_a_network(self, tmp_path: Path) -> None:
        """With an engine, whose workers are no lighter to replace than others."""

        class Killed(ffnn.MLPClassifier):
            def fit(self, X: Any, y: Any) -> Any:
                if self.n_epochs == 3:
                    act()
                return super().fit(X, y)

        act = once(tmp_path / "done", send(0, signal.SIGKILL))
        X, y = data()
        options = {"cv": 2, "refit": False, "error_score": "raise"}
        grids = [
            GridSearchCV(kind(hidden_units=(8,), random_state=0), {"n_epochs": [2, 3]}, **options)
            for kind in (ffnn.MLPClassifier, Killed)
        ]
        with self.pool() as pool, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            distributed = scores(grids[1].fit(X, y))
            assert pool.n_retries == 1
        (tmp_path / "done").touch()
        np.testing.assert_array_equal(distributed, scores(grids[0].fit(X, y)))
