"""scikit-learn's callbacks in tasks: delivered where their socket is reached, dropped elsewhere, never a failure."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

import ffnn
from tests.support.containers import Podman
from tests.support.sshd import Network

callback = pytest.importorskip("sklearn.callback")


def search_on(pool: Any) -> tuple[GridSearchCV, Any]:
    monitor = callback.ScoringMonitor(scoring="accuracy")
    regression = LogisticRegression(max_iter=5).set_callbacks(monitor)
    search = GridSearchCV(regression, {"C": [0.1, 1.0]}, cv=2)
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=None))
    with pool, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "lbfgs failed to converge")
        search.fit(*load_iris(return_X_y=True))
    return search, monitor.get_logs()


@pytest.mark.timeout(120)
def test_they_are_dropped_in_a_container_with_one_warning(podman: Podman, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="is dropped. The fits are not affected") as caught:
        search, log = search_on(ffnn.pool("container", n_workers=2, progress=False, **podman.options([tmp_path])))
    assert len([one for one in caught if "is dropped" in str(one.message)]) == 1
    assert (search.cv_results_["mean_test_score"] > 0.5).all()
    assert {row["task_id_path"][:2] for row in log.data} == {(0, 1)}  # the refit, which is done here
    podman.wait_for(n=0)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_they_are_delivered_over_ssh_where_the_file_system_is_ours(ssh_network: Network) -> None:
    options = {"python": sys.executable, "config": ssh_network.config, "progress": False}
    with warnings.catch_warnings(record=True) as caught:
        _, log = search_on(ffnn.pool("ssh", hosts=list(ssh_network.hosts)[:1], **options))
    assert not any("is dropped" in str(one.message) for one in caught)
    assert {row["task_id_path"][:2] for row in log.data} == {(0, 0), (0, 1)}
