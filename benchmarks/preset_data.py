"""The data sets of ``benchmarks/presets.py``: none is downloaded.

Tables come with scikit-learn and matplotlib, or from scikit-learn's generators. Texts are read in the sources of the
packages that are installed for development (their docstrings, comments, error messages), in Babel's locales, and in the
talk's movie reviews where ``FFNN_DATA`` names their folder; two collections are drawn from a topic model. So the texts
change a little with the packages' versions. Nothing is copied out of a package.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets

ROOT = Path(__file__).parents[1]
REVIEWS = Path(os.environ.get("FFNN_DATA", ROOT.parent / "shared" / "data")) / "movie_reviews.zip"

#: The most samples of a table, and of a collection of texts.
N_ROWS, N_TEXTS = 600, 240
N_CHARACTERS = 1000
LIBRARIES = ("dask", "matplotlib", "numpy", "pandas", "scipy", "sklearn")


@dataclass(frozen=True)
class DataSet:
    """A data set: what it is called and where it comes from, and how to get X and y."""

    name: str
    source: str
    kind: str
    load: Callable[[], tuple[Any, Any]]


def some(X: Any, y: Any, n: int = N_ROWS, seed: int = 0) -> tuple[Any, Any]:
    """Return at most n samples."""
    rows = np.random.default_rng(seed).permutation(len(y))[:n]
    return (X.iloc[rows].reset_index(drop=True) if isinstance(X, pd.DataFrame) else X[rows]), y[rows]


# --- tables


def photographs() -> tuple[Any, Any]:
    """Patches of 4 × 4 pixels: of the temple or of the flower?"""
    rng = np.random.default_rng(0)
    patches = []
    for image in datasets.load_sample_images().images:
        tops, lefts = (rng.integers(0, size - 4, N_ROWS // 2) for size in image.shape[:2])
        patches += [image[a : a + 4, b : b + 4].ravel() for a, b in zip(tops, lefts, strict=True)]
    return np.array(patches, float), np.repeat(["temple", "flower"], N_ROWS // 2)


def pixel() -> tuple[Any, Any]:
    """The green of a pixel from its eight neighbours' colours."""
    rng = np.random.default_rng(0)
    image = datasets.load_sample_image("china.jpg")
    tops, lefts = (rng.integers(0, size - 3, N_ROWS) for size in image.shape[:2])
    patches = np.array([image[a : a + 3, b : b + 3].reshape(9, 3) for a, b in zip(tops, lefts, strict=True)], float)
    return np.delete(patches, 4, axis=1).reshape(N_ROWS, -1), patches[:, 4, 1]


def elevation() -> tuple[Any, Any]:
    """The height of a place in the model of a landscape that comes with matplotlib."""
    import matplotlib.cbook

    with matplotlib.cbook.get_sample_data("jacksboro_fault_dem.npz") as model:
        heights = model["elevation"].astype(float)
    places = np.random.default_rng(0).integers(0, heights.shape, (N_ROWS, 2))
    return places.astype(float), heights[tuple(places.T)]


def lower_half() -> tuple[Any, Any]:
    """The lower half of a digit from its upper half: 32 targets."""
    X, _ = datasets.load_digits(return_X_y=True)
    return some(X[:, :32], X[:, 32:])


def mixed() -> tuple[Any, Any]:
    """Heavy-tailed numbers and categories, of which some decide together."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(np.exp(rng.normal(scale=2, size=(N_ROWS, 6)))).add_prefix("x")
    frame["place"] = rng.choice([f"place {i}" for i in range(12)], N_ROWS)
    frame["plan"] = rng.choice(["basic", "plus"], N_ROWS)
    effect = dict(zip(sorted(frame["place"].unique()), rng.normal(size=12), strict=True))
    score = np.log(frame["x0"]) * np.where(frame["plan"] == "plus", 1, -1) + 2 * frame["place"].map(effect)
    score += np.log(frame["x1"]) + rng.normal(size=N_ROWS)
    return frame, np.where(score > 0, "stays", "leaves")


def madelon() -> tuple[Any, Any]:
    """Clusters on the corners of a cube, among features that say nothing: the way of the data set Madelon."""
    return datasets.make_classification(
        N_ROWS, 40, n_informative=5, n_redundant=5, n_clusters_per_class=8, class_sep=2, random_state=0
    )


def hastie() -> tuple[Any, Any]:
    """Inside or outside of a sphere in ten dimensions."""
    return datasets.make_hastie_10_2(N_ROWS, random_state=0)


def friedman(number: int) -> Callable[[], tuple[Any, Any]]:
    """One of Friedman's three functions."""
    make, noise = getattr(datasets, f"make_friedman{number}"), {1: 1.0, 2: 125.0, 3: 0.1}[number]
    return lambda: make(N_ROWS, noise=noise, random_state=0)


def bundled(name: str) -> Callable[[], tuple[Any, Any]]:
    """One that comes with scikit-learn."""
    return lambda: some(*getattr(datasets, f"load_{name}")(return_X_y=True))


TABLES = [
    DataSet("breast cancer", "scikit-learn", "classifier", bundled("breast_cancer")),
    DataSet("wine", "scikit-learn", "classifier", bundled("wine")),
    DataSet("iris", "scikit-learn", "classifier", bundled("iris")),
    DataSet("digits", "scikit-learn", "classifier", bundled("digits")),
    DataSet("photographs", "scikit-learn", "classifier", photographs),
    DataSet("Hastie 10.2", "generated", "classifier", hastie),
    DataSet("Madelon's way", "generated", "classifier", madelon),
    DataSet("moons", "generated", "classifier", lambda: datasets.make_moons(N_ROWS, noise=0.3, random_state=0)),
    DataSet("numbers and categories", "generated", "classifier", mixed),
    DataSet("diabetes", "scikit-learn", "regressor", bundled("diabetes")),
    DataSet("lower half of digits", "scikit-learn", "regressor", lower_half),
    DataSet("pixel from neighbours", "scikit-learn", "regressor", pixel),
    DataSet("elevation", "matplotlib", "regressor", elevation),
    *(DataSet(f"Friedman {i}", "generated", "regressor", friedman(i)) for i in (1, 2, 3)),
]


# --- texts


def sources(library: str) -> Iterator[tuple[str, str]]:
    """Yield the name and text of each module of an installed library, without its tests."""
    spec = importlib.util.find_spec(library)
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(next(iter(spec.submodule_search_locations)))
    for path in sorted(folder.rglob("*.py")):
        inside = path.relative_to(folder)
        if "tests" not in inside.parts and "externals" not in inside.parts:
            yield inside.as_posix(), path.read_text(encoding="utf-8", errors="replace")


@functools.cache
def documented(library: str) -> list[tuple[str, ast.AST, str]]:
    """Return the module, the definition and the docstring of each function and class."""
    return [
        (module, node, text[:N_CHARACTERS])
        for module, code in sources(library)
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and len(text := ast.get_docstring(node) or "") > 60
    ]


def balanced(pairs: Iterator[tuple[str, str]], n_classes: int | None = None) -> tuple[Any, Any]:
    """Return as many different texts of each class, the most frequent ones, as there may be in all."""
    by_class: dict[str, dict[str, None]] = {}
    for text, label in pairs:
        by_class.setdefault(label, {})[text] = None
    kept = sorted(by_class, key=lambda label: -len(by_class[label]))[:n_classes]
    rng = np.random.default_rng(0)
    share = N_TEXTS // len(kept)
    texts = [text for label in kept for text in rng.permutation(np.array([*by_class[label]], object))[:share]]
    labels = [label for label in kept for _ in range(min(share, len(by_class[label])))]
    return some(np.array(texts, object), np.array(labels), N_TEXTS)


def docstrings_by_library() -> tuple[Any, Any]:
    """Which library is a docstring of?"""
    return balanced((text, library) for library in LIBRARIES for _, _, text in documented(library))


def docstrings_by_subpackage() -> tuple[Any, Any]:
    """Which part of SciPy is a docstring of?"""
    return balanced(((text, module.split("/")[0]) for module, _, text in documented("scipy")), 10)


def docstrings_by_definition() -> tuple[Any, Any]:
    """Is a docstring a class's, a method's or a function's?"""

    def kind(node: Any) -> str:
        if isinstance(node, ast.ClassDef):
            return "class"
        return "method" if node.args.args and node.args.args[0].arg == "self" else "function"

    return balanced((text, kind(node)) for library in LIBRARIES for _, node, text in documented(library))


def comments_by_library() -> tuple[Any, Any]:
    """Which library is a comment in?"""
    comment = re.compile(r"^\s*# ([A-Z].{20,})$", re.MULTILINE)
    return balanced(
        (text, library) for library in LIBRARIES for _, code in sources(library) for text in comment.findall(code)
    )


def errors_by_type() -> tuple[Any, Any]:
    """Of which type is the error with a message?"""
    raised = re.compile(r"raise (\w+Error)\(\s*f?\"([^\"]{15,})\"")
    found = ((m, t) for library in LIBRARIES for _, code in sources(library) for t, m in raised.findall(code))
    return balanced(found, 4)


def parameters_of_functions() -> tuple[Any, Any]:
    """How many parameters has a function with this first paragraph of a docstring? As a logarithm."""
    found = [
        (text.split("\n\n")[0], np.log1p(len(node.args.args) + len(node.args.kwonlyargs)))
        for library in LIBRARIES
        for _, node, text in documented(library)
        if isinstance(node, ast.FunctionDef)
    ]
    texts, counts = (
        np.array(column, dtype) for column, dtype in zip(zip(*found, strict=True), (object, float), strict=True)
    )
    return some(texts, counts, N_TEXTS)


def places_by_language() -> tuple[Any, Any]:
    """In which language is this the name of a country?"""
    from babel import Locale

    languages = ("de", "fr", "es", "it", "nl", "pl", "sv", "fi", "hu", "tr")
    return balanced((name, tag) for tag in languages for name in Locale(tag).territories.values() if name[0].isalpha())


def movie_reviews() -> tuple[Any, Any]:
    """Is a review in favour?"""
    sys.path.insert(0, str(ROOT / "examples"))
    from movie_reviews import load

    texts, labels = some(*load(REVIEWS), N_TEXTS)
    return np.array([text[: 2 * N_CHARACTERS] for text in texts], object), labels


def topics() -> tuple[Any, Any]:
    """Return texts of a topic model (words of Zipf's frequencies), and the shares of their topics."""
    rng = np.random.default_rng(0)
    n_words, n_topics = 3000, 5
    common = 1 / np.arange(1, n_words + 1)
    words = common * rng.gamma(0.3, size=(n_topics, n_words))
    words /= words.sum(axis=1, keepdims=True)
    shares = rng.dirichlet(np.full(n_topics, 0.3), N_TEXTS)
    drawn = [rng.choice(n_words, size=rng.integers(20, 60), p=share @ words) for share in shares]
    return np.array([" ".join(f"w{word:04}" for word in text) for text in drawn], object), shares


def main_topic() -> tuple[Any, Any]:
    """Which topic has the largest share of a text?"""
    texts, shares = topics()
    return texts, shares.argmax(axis=1)


def topic_share() -> tuple[Any, Any]:
    """How large is the share of the first topic?"""
    texts, shares = topics()
    return texts, shares[:, 0]


TEXTS = [
    DataSet("docstrings: library", "sources", "classifier", docstrings_by_library),
    DataSet("docstrings: part of SciPy", "sources", "classifier", docstrings_by_subpackage),
    DataSet("docstrings: class, method, function", "sources", "classifier", docstrings_by_definition),
    DataSet("comments: library", "sources", "classifier", comments_by_library),
    DataSet("error messages: type", "sources", "classifier", errors_by_type),
    DataSet("countries: language", "Babel", "classifier", places_by_language),
    *([DataSet("movie reviews: in favour", "the talk's", "classifier", movie_reviews)] if REVIEWS.exists() else []),
    DataSet("topics: main one", "generated", "classifier", main_topic),
    DataSet("topics: share of one", "generated", "regressor", topic_share),
    DataSet("docstrings: parameters", "sources", "regressor", parameters_of_functions),
]
