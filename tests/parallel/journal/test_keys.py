"""What a call computes: which calls have equal keys, in any process, and which have not."""

from __future__ import annotations

import functools
import importlib
import os
import re
import subprocess
import sys
import threading

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, make_scorer
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import ffnn
from ffnn.parallel.journal.keys import Keys, TaskKey


def function(*args, **kwargs):
    return args, kwargs


def key(*args: object, reuse_unseeded: bool = False, **kwargs: object) -> TaskKey:
    return Keys(reuse_unseeded).of(function, args, kwargs)


X = np.arange(12.0).reshape(4, 3)
CSR = scipy.sparse.csr_array(X)
FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
TEXTS = [f"text number {i}" for i in range(200)]


def shifted(n):
    return lambda x: x + n


class Measured(np.ndarray):
    """An array with a unit, as some packages have them."""

    def __reduce__(self):
        return (measured, (np.asarray(self), getattr(self, "unit", None)))

    def __reduce_ex__(self, protocol):
        return self.__reduce__()


def measured(array, unit):
    found = array.view(Measured)
    found.unit = unit
    return found


def tagged(tag):
    def function():
        return 1

    function.tag = tag
    function.__module__ = "__main__"
    return function


DIFFERENT = {
    "numbers": [1, 1.0, True, "1", b"1", 2, np.float64(1), np.int64(1), 1j, None, -1, 0.0, -0.0],
    "arrays": [X, X + 1, X.astype("f4"), X.reshape(3, 4), X[::2], X.tolist(), np.asfortranarray(X), X.astype(object)],
    "kinds of arrays": [
        X,
        np.ma.masked_array(X, X > 5),
        np.ma.masked_array(X, X > 6),
        X.view(Measured),
        measured(X, "m"),
        measured(X, "cm"),
        np.rec.fromarrays([[1, 2]], names="a"),
        np.rec.fromarrays([[1, 2]], names="b"),
    ],
    "sparse": [CSR, CSR * 2, CSR.tocsc(), CSR.tocoo(), scipy.sparse.csr_matrix(X)],
    "frames": [FRAME, FRAME.rename(columns={"a": "c"}), FRAME.astype({"a": float}), FRAME[["b", "a"]], FRAME["a"]],
    "texts": [TEXTS, TEXTS[:-1], [*TEXTS[:-1], "x"], tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, dtype=object)],
    "containers": [[1, [2]], [[1], 2], [1, 2], (1, 2), {1, 2}, {1: 2}, {2: 1}, frozenset({1, 2}), [], (), {}, [[]]],
    "estimators": [
        LogisticRegression(),
        LogisticRegression(C=2),
        StandardScaler(),
        StandardScaler().set_output(transform="pandas"),
        SVC(),
        make_pipeline(StandardScaler(), SVC()),
        make_pipeline(StandardScaler(), SVC(C=2)),
        make_pipeline(SVC()),
        LogisticRegression().fit(X, [0, 0, 1, 1]),
        ffnn.MLPClassifier(random_state=0),
        ffnn.MLPClassifier(random_state=0, solver=ffnn.Adam(0.1)),
        ffnn.MLPRegressor(random_state=0),
    ],
    "scorers": ["accuracy", make_scorer(accuracy_score), make_scorer(f1_score), make_scorer(f1_score, average="macro")],
    "functions": [np.sin, np.cos, len, str.upper, "x".upper, "y".upper, shifted(1), shifted(2), lambda x: x],
    "attributes of functions": [tagged(1), tagged(2)],
    "partials": [functools.partial(shifted, 1), functools.partial(shifted, 2), functools.partial(shifted, n=1)],
    "transformers": [FunctionTransformer(np.log1p), FunctionTransformer(np.log), FunctionTransformer(lambda x: x * 2)],
    "seeds": [KFold(3, shuffle=True, random_state=0), KFold(3, shuffle=True, random_state=1), KFold(3)],
    "random states": [np.random.RandomState(0), np.random.RandomState(1), np.random.default_rng(0)],
    "dates": [np.array(["2020-01-01"], "M8[D]"), np.array(["2020-01-01"], "M8[s]"), np.array(["2020-01-02"], "M8[D]")],
}


@pytest.mark.parametrize("things", DIFFERENT.values(), ids=DIFFERENT)
def test_different_content_has_different_keys(things):
    keys = [key(thing) for thing in things]
    assert all(k.key for k in keys), keys
    assert len({k.key for k in keys}) == len(things)


def used(matrix):
    """Let a matrix keep what it finds out about itself."""
    matrix = matrix.copy()
    assert matrix.has_sorted_indices
    assert matrix.has_canonical_format
    return matrix


def with_seed(splitter):
    """Give a splitter a random state of its own, as StackingClassifier does."""
    splitter.random_state = np.random.RandomState()
    return splitter


EQUAL = {
    "copies": (X, X.copy()),
    "large copies": (np.arange(1e5), np.arange(1e5)),
    "sets": ({"a", "b", "c"}, set("cba")),
    "one object or two": ([TEXTS, TEXTS], [TEXTS, [str(text + "")[:] for text in TEXTS]]),
    "sparse": (CSR, used(CSR)),
    "clones": (make_pipeline(StandardScaler(), SVC(C=2)), clone(make_pipeline(StandardScaler(), SVC(C=2)))),
    "closures": (shifted(3), shifted(3)),
    "seeds that are not used": (KFold(3), with_seed(KFold(3))),
    "seeds of solvers": (LogisticRegression(), LogisticRegression(random_state=3)),
    "verbose": (SVC(), SVC(verbose=True)),
    "n_jobs": (KNeighborsClassifier(), KNeighborsClassifier(n_jobs=2)),
    "verbose in a pipeline": (make_pipeline(SVC()), make_pipeline(SVC(verbose=1), verbose=True, memory="/tmp")),
    "verbose networks": (ffnn.MLPClassifier(random_state=0), ffnn.MLPClassifier(random_state=0, verbose=1)),
}


@pytest.mark.parametrize("pair", EQUAL.values(), ids=EQUAL)
def test_equal_content_has_equal_keys(pair):
    keys = [key(thing).key for thing in pair]
    assert keys[0] == keys[1]
    assert keys[0] is not None


def test_only_scikit_learns_own_classes_promise_that_verbose_changes_nothing():
    class Own(BaseEstimator):
        def __init__(self, memory=1):
            self.memory = memory

    assert key(Own(1)).key != key(Own(2)).key


def test_data_that_is_changed_in_place_has_another_key():
    keys, big, texts = Keys(False), np.zeros(100_000), list(TEXTS)
    before = [keys.of(function, (thing,), {}).key for thing in (big, texts)]
    assert [keys.of(function, (thing,), {}).key for thing in (big, texts)] == before
    big[70_000], texts[150] = 1, "another"
    after = [keys.of(function, (thing,), {}).key for thing in (big, texts)]
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_what_contains_itself_has_a_key():
    loop: list[object] = [1]
    loop.append(loop)
    other: list[object] = [2]
    other.append(other)
    assert key(loop).key not in (None, key(other).key)


@pytest.mark.parametrize(
    ("thing", "named"),
    [(threading.Lock(), "lock"), ((i for i in ()), "generator"), (sys.stderr, "TextIO|File|file")],
    ids=["lock", "generator", "file"],
)
def test_what_has_no_content_is_named(thing, named):
    found = key(1, option=[thing])
    assert found.key is None
    assert "'option'" in found.obstacle
    assert re.search(named, found.obstacle)


UNSEEDED = [
    RandomForestClassifier(),
    ffnn.MLPClassifier(),
    make_pipeline(StandardScaler(), DecisionTreeClassifier()),
    LogisticRegression(solver="saga"),
    GridSearchCV(SVC(), {"C": [1]}, cv=KFold(shuffle=True)),
    ShuffleSplit(),
    DecisionTreeClassifier(random_state=np.random.mtrand._rand),
]
SEEDED = [
    RandomForestClassifier(random_state=0),
    ffnn.MLPClassifier(random_state=np.random.RandomState(0)),
    LogisticRegression(),
    SVC(),
    GridSearchCV(SVC(), {"C": [1]}, cv=KFold()),
    KNeighborsClassifier(),
]


@pytest.mark.parametrize("estimator", UNSEEDED, ids=lambda e: type(e).__name__)
def test_unseeded_estimators_are_not_reused(estimator):
    found = key(estimator)
    assert found.key is not None
    assert "has random_state=None" in found.obstacle
    assert key(estimator, reuse_unseeded=True).obstacle is None


@pytest.mark.parametrize("estimator", SEEDED, ids=lambda e: type(e).__name__)
def test_seeded_estimators_are_reused(estimator):
    assert key(estimator).obstacle is None


def calls_of(fit) -> list[TaskKey]:
    """Return the keys of the fits of a search."""
    found = []

    class Kept(joblib.parallel.BatchedCalls):
        def __init__(self, items, *args, **kwargs):
            super().__init__(items, *args, **kwargs)
            found.extend(Keys(False).of(*item) for item in self.items)  # before they run, in this process

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joblib.parallel, "BatchedCalls", Kept)
        with joblib.parallel_config("threading", n_jobs=2):
            fit()
    return found


Y = np.array([0, 1] * 10)
DATA = np.random.default_rng(0).normal(size=(20, 3))


def search(estimator=None, grid=None, X=DATA, **options):
    made = GridSearchCV(estimator or SVC(), grid or {"C": [1, 2]}, **{"cv": 2, "refit": False, **options})
    return calls_of(lambda: made.fit(X, Y))


def test_the_fits_of_a_search_have_keys_of_their_own():
    found = search()
    assert len({one.key for one in found}) == 4
    assert len({one.search for one in found}) == 1
    assert [one.key for one in found] == [one.key for one in search()]


def test_messages_are_not_part_of_a_fit(capsys):
    assert [one.key for one in search(verbose=3)] == [one.key for one in search()]
    bigger = search(grid={"C": [0.5, 1, 2]})
    assert [one.key for one in bigger[2:]] == [one.key for one in search()]


@pytest.mark.parametrize(
    "options",
    [
        {"X": DATA + 1},
        {"X": scipy.sparse.csr_array(DATA)},
        {"scoring": "f1"},
        {"estimator": SVC(kernel="linear")},
        {"cv": KFold(2, shuffle=True, random_state=0)},
        {"error_score": 0},
        {"return_train_score": True},
    ],
    ids=lambda options: next(iter(options)),
)
def test_whatever_a_fit_depends_on_is_part_of_its_key(options):
    assert not {one.key for one in search(**options)} & {one.key for one in search()}


def test_the_configuration_of_scikit_learn_is_part_of_a_fit():
    with sklearn.config_context(assume_finite=True):
        changed = {one.key for one in search()}
    assert not changed & {one.key for one in search()}
    with sklearn.config_context(display="text"):
        assert {one.key for one in search()} == {one.key for one in search()}


def test_a_candidate_may_bring_the_seed_or_take_it_away():
    tree = DecisionTreeClassifier()
    found = search(tree, {"random_state": [0, None]})
    assert [one.obstacle is None for one in found] == [True, True, False, False]
    found = search(make_pipeline(tree), {"decisiontreeclassifier__random_state": [1]})
    assert all(one.obstacle is None for one in found)
    found = search(make_pipeline(SVC()), {"svc": [SVC(), DecisionTreeClassifier()]})
    assert [one.obstacle is None for one in found] == [True, True, False, False]


def test_cross_validate_has_keys():
    found = calls_of(lambda: cross_validate(SVC(), DATA, Y, cv=3))
    assert len({one.key for one in found}) == 3


# --- code

MODULES = {
    "mine.py": "import other\nfrom pack.deep import helper\n\ndef f():\n    return other.g() + helper()\n",
    "other.py": "def g():\n    return 1\n",
    "pack/__init__.py": "",
    "pack/deep.py": "def helper():\n    from . import lazy\n    return lazy.VALUE\n",
    "pack/lazy.py": "VALUE = 1\n",
    "unrelated.py": "x = 1\n",
}
MAIN = """
import other
from sklearn.base import BaseEstimator
LIMIT = 3
def helper(x):
    return x + LIMIT
class Base(BaseEstimator):
    def fit(self, X):
        return helper(X)
class Own(Base):
    names = {"a", "b", "c"}
    def score(self, X):
        import pack.lazy
        return other.g()
def unused():
    return 1
"""


@pytest.fixture
def modules(tmp_path, monkeypatch):
    (tmp_path / "pack").mkdir()
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    forget()


def forget():
    """Let the next import read the files again."""
    for name in list(sys.modules):
        if name.partition(".")[0] in ("mine", "other", "pack"):
            del sys.modules[name]


def key_of_mine():
    """Return a function's key as a process makes it that starts now."""
    forget()
    return key_of(importlib.import_module("mine").f)


def key_of(function):
    found = Keys(False).of(function, (), {})
    assert found.obstacle is None
    return found.key


def key_of_main(old="", new=""):
    """Return the key of a method of a class that a script defines, in which some text is replaced."""
    assert old in MAIN
    names = {"__name__": "__main__"}
    forget()
    exec(MAIN.replace(old, new) if old else MAIN, names)
    return key_of(names["Own"]().fit)


def test_the_users_modules_count_with_what_they_import(modules):
    first = key_of_mine()
    for name in ("mine.py", "other.py", "pack/deep.py", "pack/lazy.py"):
        (modules / name).write_text(MODULES[name].replace("1", "2") + "\nNEW = 3\n")
        assert key_of_mine() != first, name
        (modules / name).write_text("# a comment\n\n" + MODULES[name])
        assert key_of_mine() == first, name
    (modules / "unrelated.py").write_text("x = 2\n")
    assert key_of_mine() == first


def test_a_module_that_was_edited_after_its_import_has_no_key(modules):
    import mine  # type: ignore[import-not-found]  # made by the fixture

    (modules / "other.py").write_text(MODULES["other.py"].replace("1", "2"))
    found = Keys(False).of(mine.f, (), {})
    assert found.key is None
    assert "the module other, which was edited after its import" in found.obstacle


def test_the_globals_of_a_function_that_travels_count(modules):
    """Those of a lambda in a module are what they are here, whatever its file says."""
    (modules / "mine.py").write_text("LIMIT = 1\ndef make():\n    return lambda: LIMIT\n")
    mine = importlib.import_module("mine")
    first = key_of(mine.make())
    assert key_of(mine.make()) == first
    mine.LIMIT = 2
    assert key_of(mine.make()) != first


def test_a_nested_package_without_a_file_need_not_be_imported(modules):
    (modules / "bare/deep").mkdir(parents=True)
    (modules / "mine.py").write_text("def f():\n    import bare.deep.one\n")
    keys = set()
    for value in (1, 2):
        (modules / "bare/deep/one.py").write_text(f"VALUE = {value}\n")
        keys.add(key_of_mine())
    assert len(keys) == 2
    importlib.import_module("bare.deep.one")
    try:
        assert key_of_mine() in keys
    finally:
        for name in ("bare.deep.one", "bare.deep", "bare"):
            del sys.modules[name]


def test_a_module_that_is_edited_later_is_noticed(modules):
    import mine

    keys = Keys(False)
    keys.of(mine.f, (), {})
    assert keys.edited_files() == []
    (modules / "other.py").write_text("def g():\n    return 222\n")
    assert keys.edited_files() == [str(modules / "other.py")]


def test_what_a_script_defines_counts_with_what_it_refers_to(modules):
    first = key_of_main()
    assert key_of_main("return 1", "return 2") == first  # of what is not used
    assert key_of_main("def unused", "# a comment\ndef unused") == first
    for old, new in [("LIMIT = 3", "LIMIT = 4"), ("x + LIMIT", "x - LIMIT"), ('"c"', '"d"'), ("other.g()", "None")]:
        assert key_of_main(old, new) != first, old
    for name in ("other.py", "pack/lazy.py"):
        (modules / name).write_text(MODULES[name].replace("1", "2"))
        assert key_of_main() != first, name
        (modules / name).write_text(MODULES[name])
    assert key_of_main() == first


SCRIPT = """
import mine, numpy as np, ffnn
from sklearn.pipeline import make_pipeline
from sklearn.model_selection import RandomizedSearchCV
from scipy.stats import loguniform
from ffnn.parallel.journal.keys import Keys
estimator = make_pipeline(Own(), ffnn.MLPClassifier(random_state=0))
search = RandomizedSearchCV(estimator, {"mlpclassifier__alpha": loguniform(1e-4, 1)}, random_state=0)
for thing in (Own(), search, {"x", "y", "z"}, [f"text {i}" for i in range(1000)], np.arange(1e5)):
    print(Keys(False).of(mine.f, (thing,), {}))
"""


@pytest.mark.slow
def test_keys_are_the_same_in_every_process(modules):
    found = set()
    for seed in "123":
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(modules)}
        command = [sys.executable, "-c", MAIN + SCRIPT]
        found.add(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
    assert len(found) == 1
    assert found.pop().count("obstacle=None") == 5
