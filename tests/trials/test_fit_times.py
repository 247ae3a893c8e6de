"""The fit times of a search, which do not include the import of an engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ffnn

ROOT = Path(__file__).parents[2]
X = np.random.default_rng(0).normal(size=(40, 4))
Y = np.arange(40) % 2

FIRST = """
import sys
from tests.trials.test_fit_times import *
from ffnn.executor import Task
from ffnn.parallel.tasks.engines import EngineImporter
importer = EngineImporter()
importer.look_at(Task(len, ([1, {"a": [GridSearchCV(make_pipeline(StandardScaler()), {})]}],)))
print("tensorflow" in sys.modules, importer._done)
mlp = ffnn.MLPClassifier(builder="no such")
importer.look_at(Task(len, (mlp,)))
print("tensorflow" in sys.modules, importer._done)
import copy, pickle
pickle.loads(pickle.dumps(copy.deepcopy(ffnn.MLPClassifier(builder="tf"))))
print("tensorflow" in sys.modules)
importer.look_at(Task(len, ([GridSearchCV(make_pipeline(StandardScaler(), ffnn.MLPClassifier(builder="tf")), {})],)))
print("tensorflow" in sys.modules, importer._done)
"""


@pytest.mark.slow
def test_the_engine_of_the_first_task_that_needs_one_is_imported_and_of_no_other():
    done = subprocess.run([sys.executable, "-c", FIRST], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False", "False", "False", "False", "False", "True", "True"], done.stderr[-2000:]


def _engine_is_there(estimator, X, y):
    return float("tensorflow" in sys.modules)


class Probe(ffnn.MLPClassifier):
    """Says in its score whether the engine was there when `fit` began."""

    def fit(self, X, y):
        self.there_ = _engine_is_there(self, X, y)
        self.classes_ = np.unique(y)
        return self

    def score(self, X, y):
        return self.there_


@pytest.mark.slow
def test_a_worker_has_the_engine_before_its_first_fit_begins():
    pipeline = make_pipeline(StandardScaler(), Probe(builder="tf"))
    with ffnn.pool("multiprocessing", n_workers=1, progress=False):
        search = GridSearchCV(pipeline, {"probe__batch_size": [16]}, cv=2, refit=False, error_score="raise").fit(X, Y)
    assert search.cv_results_["mean_test_score"].tolist() == [1.0]
