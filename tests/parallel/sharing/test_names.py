"""Names after content: equal in all processes for equal content, and for nothing else."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import scipy.sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from ffnn.parallel.sharing.names import name_of

ROOT = Path(__file__).parents[3]
LARGE = ["some text"] * 50_000


class Scaled(StandardScaler):
    """A class with constants of many kinds."""

    factor = 1
    table: ClassVar = {"a": 1}
    words: ClassVar = ["a", "b"]
    stops: ClassVar = {"a", "b"}
    numbers = np.arange(3)


def same(first: Any, second: Any) -> bool:
    names = name_of(first), name_of(second)
    assert None not in names
    return names[0] == names[1]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (1, 1.0),
        (1, True),
        ("1", b"1"),
        (["ab", "c"], ["a", "bc"]),
        ([1, 2], (1, 2)),
        ({1, 2}, frozenset({1, 2})),
        ({"a", "b"}, {"a", "c"}),
        (np.zeros(3), np.zeros(3, np.float32)),
        (np.zeros(100_000), np.zeros(100_000, np.int64)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.arange(100_000), np.arange(100_000)[::-1]),
        (LARGE, [*LARGE[:-1], "some test"]),
        (scipy.sparse.csr_array(np.eye(3)), scipy.sparse.csc_array(np.eye(3))),
        (StandardScaler(), StandardScaler(with_mean=False)),
        (FeatureUnion([]), FeatureUnion([], n_jobs=2)),
        (CountVectorizer(preprocessor=str.lower), CountVectorizer(preprocessor=str.upper)),
        (lambda text: text + "a", lambda text: text + "b"),
    ],
)
def test_other_content_has_another_name(first: Any, second: Any) -> None:
    assert same(first, copy.deepcopy(first))
    assert not same(first, second)


def test_the_identity_of_parts_does_not_count() -> None:
    text = "".join(["some ", "text"])
    assert same([text, text], ["some text", "".join(["some ", "text"])])
    dtype = np.dtype([("a", float)])
    assert same([dtype, dtype], [copy.copy(dtype), np.dtype([("a", float)])])


def test_what_cannot_be_pickled_has_none() -> None:
    assert name_of(threading.Lock()) is None
    assert name_of([iter(())]) is not None
    assert name_of(CountVectorizer(preprocessor=threading.Lock())) is None
    assert name_of({1, (x for x in ())}) is None


SCRIPT = """
import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from ffnn.parallel.sharing.names import name_of

def lower(text, words=frozenset({"a", "b", "c"})):
    return text if text in {"x", "y", "z"} else text.lower()

print(name_of(make_pipeline(CountVectorizer(stop_words={"the", "and", "of"}, preprocessor=lower),
    FunctionTransformer(np.log1p))))
"""


@pytest.mark.slow
def test_processes_agree_whatever_the_seed_of_their_hashes() -> None:
    names = set()
    for seed in ("1", "2", "3"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
        )
        names.add(done.stdout)
    assert len(names) == 1
    assert len(names.pop().strip()) == 64


MODULE = """
from sklearn.base import BaseEstimator, TransformerMixin
from own_helper import helped
class Base(TransformerMixin, BaseEstimator):
    @staticmethod
    def scale(X):
        return helped(X) * {factor}
class Scaled(Base):
    constant = {constant}
    def fit(self, X, y=None):
        return self
    def transform(self, X):
        return self.scale(X)
"""


@pytest.mark.slow
def test_the_code_of_an_imported_class_counts_with_its_helpers(tmp_path: Path) -> None:
    names = set()
    for factor, constant, helper in ((1, 1, 1), (1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)):
        folder = tmp_path / f"{factor}{constant}{helper}"
        folder.mkdir(exist_ok=True)
        (folder / "own_module.py").write_text(MODULE.format(factor=factor, constant=constant))
        (folder / "own_helper.py").write_text(f"def helped(X):\n    return X + {helper}\n")
        code = "import own_module; from ffnn.parallel.sharing.names import name_of; print(name_of(own_module.Scaled()))"
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
        names.add(done.stdout)
    assert len(names) == 4


def test_fitted_and_unfitted_ones_differ() -> None:
    X = scipy.sparse.csr_array(np.eye(4))
    pipeline = make_pipeline(TfidfTransformer())
    unfitted = name_of(pipeline)
    assert name_of(pipeline.fit(X)) != unfitted


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("factor", 2),
        ("table", {"a": 2}),
        ("words", ["a", "b", "c"]),
        ("stops", {"a", "b", "c"}),
        ("numbers", np.arange(4)),
        ("transform", lambda self, X: X),
    ],
)
def test_changes_of_a_class_count(name: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    before = name_of(Scaled)
    assert before is not None
    monkeypatch.setattr(Scaled, name, value)
    assert name_of(Scaled) != before
    monkeypatch.undo()
    assert name_of(Scaled) == before
