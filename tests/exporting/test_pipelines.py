"""Pipelines and searches as ONNX models that take X as the user has it."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import ffnn
from ffnn import MLPClassifier, MLPRegressor
from ffnn.exceptions import ExportError

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
TEXTS = [
    "a great film, truly great", "a dull film with a Ñandú", "great fun from start to end", "dull, long and dull again",
    "I LAUGHED, ÉMUE, from start to end", "long scenes and no fun",
] * 5  # fmt: skip
LABELS = ["good", "bad"] * 15
FRAME = pd.DataFrame({"age": [20.0, 30.0, np.nan, 50.0] * 8, "town": ["Rome", "Oslo", "Rome", "Bern"] * 8})


def mlp(kind=MLPClassifier, **parameters):
    return kind(**{"hidden_units": (6,), "n_epochs": 3, "random_state": 0, "dtype": "float32", **parameters})


def run(path, **inputs):
    model = path.read_bytes() if hasattr(path, "read_bytes") else path.SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def assert_same(estimator, X, results):
    label, probabilities = results
    np.testing.assert_array_equal(label, estimator.predict(X))
    np.testing.assert_allclose(probabilities, estimator.predict_proba(X), rtol=1e-4, atol=1e-5)


def test_a_pipeline_of_numbers(tmp_path):
    pipeline = make_pipeline("passthrough", StandardScaler(), mlp()).fit(X, NAMES)
    ffnn.export(pipeline, tmp_path / "model.onnx")
    assert_same(pipeline, X, run(tmp_path / "model.onnx", X=X.astype("float32")))
    ffnn.export(pipeline, tmp_path / "model.onnx", X=X[:2])
    assert_same(pipeline, X, run(tmp_path / "model.onnx", X=X))


@pytest.mark.parametrize(
    "vectorizer",
    [TfidfVectorizer(), CountVectorizer(binary=True, ngram_range=(1, 2)), TfidfVectorizer(analyzer="char")],
    ids=["words", "pairs", "characters"],
)
def test_a_pipeline_of_texts(vectorizer, tmp_path):
    pipeline = make_pipeline(vectorizer, mlp(n_epochs=30)).fit(TEXTS, LABELS)
    ffnn.export(pipeline, tmp_path / "model.onnx")
    assert_same(pipeline, TEXTS, run(tmp_path / "model.onnx", X=np.array(TEXTS, dtype=object)))


def test_a_model_that_differs_from_the_pipeline_is_refused(tmp_path):
    # skl2onnx does not leave the stop words out before it makes pairs
    pairs = CountVectorizer(stop_words=["with", "to"], ngram_range=(2, 2))
    pipeline = make_pipeline(pairs, mlp(n_epochs=30)).fit(TEXTS, LABELS)
    with pytest.raises(ExportError, match="for row [0-9]+ of X the model gives.*CountVectorizer"):
        ffnn.export(pipeline, tmp_path / "model.onnx", X=TEXTS)
    assert not list(tmp_path.iterdir())


def test_a_pipeline_of_a_table(tmp_path):
    columns = ColumnTransformer(
        [("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["age"]), ("towns", OneHotEncoder(), ["town"])]
    )
    pipeline = Pipeline([("columns", columns), ("mlp", mlp())]).fit(FRAME, ["a", "b"] * 16)
    path = tmp_path / "model.onnx"
    with pytest.raises(ExportError, match="give some rows"):
        ffnn.export(pipeline, path)
    # onnxruntime has an imputer for float32 alone
    with pytest.raises(ExportError, match="Imputer"):
        ffnn.export(pipeline, path, X=FRAME[:1])
    ffnn.export(pipeline, path, X=FRAME[:1].astype({"age": "float32"}))
    table = {"age": FRAME[["age"]].to_numpy("float32"), "town": FRAME[["town"]].to_numpy(dtype=object)}
    assert_same(pipeline, FRAME, run(path, **table))


@pytest.mark.parametrize("X", [X, FRAME.fillna(25.0)], ids=["numbers", "table"])
def test_the_preset_for_tables(X, tmp_path):
    y = np.arange(len(X)) % 3 > 0
    pipeline = ffnn.presets.modern(random_state=0).set_params(mlp__n_epochs=2).fit(X, y)
    ffnn.export(pipeline, tmp_path / "model.onnx", X=X)
    if isinstance(X, np.ndarray):
        assert_same(pipeline, X, run(tmp_path / "model.onnx", X=X))


def test_a_search_and_a_search_in_a_pipeline(tmp_path):
    path = tmp_path / "model.onnx"
    grid = {"mlp__hidden_units": [(4,), (8,)]}
    search = GridSearchCV(Pipeline([("scale", StandardScaler()), ("mlp", mlp())]), grid, cv=2).fit(X, NAMES)
    ffnn.export(search, path)
    assert_same(search, X, run(path, X=X.astype("float32")))
    pipeline = make_pipeline(StandardScaler(), GridSearchCV(mlp(), {"hidden_units": [(4,)]}, cv=2)).fit(X, NAMES)
    ffnn.export(pipeline, path)
    assert_same(pipeline, X, run(path, X=X.astype("float32")))
    without = GridSearchCV(mlp(), {"hidden_units": [(4,)]}, cv=2, refit=False).fit(X, NAMES)
    with pytest.raises(ExportError, match="refit=False.*refit=True"):
        ffnn.export(without, path)


def test_skl2onnx_converts_pipelines_by_itself():
    pipeline = make_pipeline(StandardScaler(), mlp(MLPRegressor)).fit(X, X[:, :2])
    (value,) = run(to_onnx(pipeline, X[:1]), X=X)
    np.testing.assert_allclose(value, pipeline.predict(X), rtol=1e-5)
    pipeline = make_pipeline(StandardScaler(), mlp()).fit(X, NAMES)
    for options in ({id(pipeline[-1]): {"zipmap": False}}, {StandardScaler: {"div": "div"}}):
        assert_same(pipeline, X, run(to_onnx(pipeline, X[:1], options=options), X=X))
    frame = pd.DataFrame(X, columns=list("abcd"))
    estimator = mlp().fit(frame, NAMES)
    inputs = {name: frame[[name]].to_numpy() for name in frame}
    assert_same(estimator, frame, run(to_onnx(estimator, frame[:1]), **inputs))


def test_an_estimator_that_transforms_is_refused(tmp_path):
    pipeline = make_pipeline(mlp(), LogisticRegression()).fit(X, Y)
    with pytest.raises(ExportError, match="middle of the pipeline"):
        ffnn.export(pipeline, tmp_path / "model.onnx")
    with pytest.raises(ExportError, match="transform"):
        to_onnx(pipeline, X[:1])
    twice = make_pipeline(mlp(), mlp()).fit(X, Y)
    with pytest.raises(ExportError, match="middle of the pipeline"):
        ffnn.export(twice, tmp_path / "model.onnx")


@pytest.mark.parametrize("name", ["model", "model.keras"])
def test_other_formats_refuse_transformers(name, tmp_path):
    pipeline = make_pipeline(StandardScaler(), mlp()).fit(X, NAMES)
    with pytest.raises(ExportError, match="no StandardScaler.*format='onnx'.*pipeline\\[-1\\]"):
        ffnn.export(pipeline, tmp_path / name)
    ffnn.export(make_pipeline("passthrough", pipeline[-1]), tmp_path / name)
    assert (tmp_path / name).exists()
