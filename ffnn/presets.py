"""Published settings of networks, as functions that return an estimator or a pipeline.

Each takes ``"classifier"`` or ``"regressor"`` and any parameter by name, and returns an unfitted estimator that can be
searched over, cloned and pickled like any other. In a pipeline the network is the step ``"mlp"``; names that begin with
a step's name and two underscores are parameters of that step, all others of the network.
"""

from __future__ import annotations

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ffnn._utils.checks import unknown_name
from ffnn.classifier import MLPClassifier
from ffnn.plugins import registry
from ffnn.preprocessing import RobustSmoothClip, categorical_columns
from ffnn.regressor import MLPRegressor
from ffnn.schedules import CosLog, Linear
from ffnn.solvers import Adam, AdamW

__all__ = ["modern", "sklearn", "talk", "text"]


def talk(kind: str = "classifier", *, random_state: Any = None, **params: Any) -> Pipeline:
    """Return the network of Heilman's talk of 2016, on its features: counts of the most frequent character n-grams.

    One hidden layer of 256 rectified units, ten epochs of batches of 64, Adam; 50,000 n-grams of 2 to 5 characters.
    M. Heilman (2016), "Implementing distributed grid search for deep learning using TensorFlow, scikit-learn, and
    joblib", which searches over ``mlp__hidden_units`` and ``mlp__dropout``.

    Parameters
    ----------
    kind : {"classifier", "regressor"}, default="classifier"
        The kind of estimator.
    random_state : int, RandomState instance or None, default=None
        The random state of the network.
    **params
        Other parameters of the network, or of a step: ``ngrams__max_features=10_000``.

    Returns
    -------
    Pipeline
        A pipeline of ``"ngrams"`` and ``"mlp"``, which takes texts, or with ``ngrams="passthrough"`` their features.

    Raises
    ------
    ValueError
        If ``kind`` is neither, or there is no such parameter.

    Examples
    --------
    >>> from ffnn import presets
    >>> presets.talk(dropout=0.5, ngrams__max_features=1000)["mlp"]
    MLPClassifier(dropout=0.5, hidden_units=(256,))
    """
    mlp = _network(kind)(hidden_units=(256,), batch_size=64, n_epochs=10, activation="relu", learning_rate=1e-3)
    ngrams = CountVectorizer(analyzer="char", ngram_range=(2, 5), max_features=50_000)
    return _pipeline([("ngrams", ngrams), ("mlp", mlp)], random_state, params)


def sklearn(kind: str = "classifier", *, random_state: Any = None, **params: Any) -> MLPClassifier | MLPRegressor:
    """Return a network with the settings of scikit-learn's ``MLPClassifier`` or ``MLPRegressor``.

    One hidden layer of 100 rectified units, Adam at 1e-3, batches of 200, at most 200 epochs, fewer if the training
    loss has not fallen by 1e-4 for ten of them.

    The page on presets explains the differences to scikit-learn: the penalty of the last, smaller batch, the precision,
    standardised targets of a regressor, and the loss of several labels or targets, which is averaged here and summed
    there: at equal rates ``solver="sgd"`` learns slower by their number.

    Parameters
    ----------
    kind : {"classifier", "regressor"}, default="classifier"
        The kind of estimator.
    random_state : int, RandomState instance or None, default=None
        The random state of the network.
    **params
        Other parameters of the network.

    Returns
    -------
    MLPClassifier or MLPRegressor

    Raises
    ------
    ValueError
        If ``kind`` is neither, or there is no such parameter.
    """
    mlp: MLPClassifier | MLPRegressor = _network(kind)(
        hidden_units=(100,),
        batch_size=200,
        n_epochs=200,
        activation="relu",
        block=("dropout", registry.load("layer", "affine")(bias_initializer="glorot_uniform"), "activation"),
        solver=Adam(beta_1=0.9, beta_2=0.999, epsilon=1e-8),
        learning_rate=1e-3,
        weight_decay=1e-4 / 200,  # scikit-learn divides its alpha by the batch size
        early_stopping="training",
        n_iter_no_change=11,  # scikit-learn stops when its 10 is exceeded
        tol=1e-4,
    )
    mlp.set_params(random_state=random_state, **params)
    return mlp


def modern(kind: str = "classifier", *, random_state: Any = None, **params: Any) -> Pipeline:
    """Return RealMLP-TD-S, a network with good defaults for tabular data, in a pipeline with its preprocessing.

    One-hot categories; robust scaling and smooth clipping; a learned factor for each feature; three hidden layers of
    256 units in the NTK parametrization, SELU or, for a regressor, Mish; label smoothing; 256 epochs of Adam at a high
    rate that rises and falls four times; the best epoch on a fifth of the data.

    D. Holzmüller, L. Grinsztajn and I. Steinwart (2024), "Better by default: strong pre-tuned MLPs and boosted trees on
    tabular data", NeurIPS, arXiv 2407.04491. The page on presets lists the differences.

    Parameters
    ----------
    kind : {"classifier", "regressor"}, default="classifier"
        The kind of estimator. A classifier takes one label per row, or several with ``output_layer="multilabel"``.
    random_state : int, RandomState instance or None, default=None
        The random state of the network.
    **params
        Other parameters of the network, or of a step: ``clip__limit=5.0``.

    Returns
    -------
    Pipeline
        A pipeline of ``"encode"``, ``"clip"`` and ``"mlp"``, which takes a dense array of numbers, or a pandas,
        polars or PyArrow frame of numbers and categories.

    Raises
    ------
    ValueError
        If ``kind`` is neither, or there is no such parameter.

    Examples
    --------
    >>> from ffnn import presets
    >>> presets.modern("regressor", n_epochs=64, random_state=0).named_steps.keys()
    dict_keys(['encode', 'clip', 'mlp'])
    """
    network, classifies = _network(kind), kind == "classifier"
    affine = registry.load("layer", "ntk_affine")
    head = (affine(zero=True),)
    output = (
        registry.load("output", "multiclass")(label_smoothing=0.1, head=head)
        if classifies
        else registry.load("output", "regression")(head=head)
    )
    mlp = network(
        hidden_units=(256, 256, 256),
        batch_size=256,
        n_epochs=256,
        activation="selu" if classifies else "mish",
        block=(affine(), "activation"),
        input_layer=registry.load("input", "scaled")(rate=6.0),
        output_layer=output,
        solver=Adam(beta_2=0.95),
        learning_rate=CosLog(0.04 if classifies else 0.07, n_cycles=4),
        early_stopping=True,
        validation_fraction=0.2,
        n_iter_no_change=256,  # never stop early: the last of the four cycles is the longest
        tol=0.0,
        scoring="loss",
        dtype="float32",
    )
    one_hot = OneHotEncoder(drop="if_binary", handle_unknown="ignore", sparse_output=False)
    # numbers as they are, but as an array: scikit-learn does not join the columns of every frame
    numbers = StandardScaler(with_mean=False, with_std=False)
    encode = ColumnTransformer([("one_hot", one_hot, categorical_columns)], remainder=numbers)
    return _pipeline([("encode", encode), ("clip", RobustSmoothClip(limit=3.0)), ("mlp", mlp)], random_state, params)


def text(kind: str = "classifier", *, random_state: Any = None, **params: Any) -> Pipeline:
    """Return WideMLP on TF-IDF: one wide hidden layer over weighted words.

    1,024 rectified units, half of them dropped in training, 100 epochs of batches of 16, AdamW at a rate that falls
    linearly from 1e-3.

    L. Galke and A. Scherp (2022), "Bag-of-words vs. graph vs. sequence in text classification: questioning the
    necessity of text-graphs and the surprising strength of a wide MLP", ACL, arXiv 2109.03777. The page on presets
    lists the differences.

    Parameters
    ----------
    kind : {"classifier", "regressor"}, default="classifier"
        The kind of estimator.
    random_state : int, RandomState instance or None, default=None
        The random state of the network.
    **params
        Other parameters of the network, or of a step: ``tfidf__max_features=30_000``.

    Returns
    -------
    Pipeline
        A pipeline of ``"tfidf"`` and ``"mlp"``, which takes texts, or with ``tfidf="passthrough"`` their features.

    Raises
    ------
    ValueError
        If ``kind`` is neither, or there is no such parameter.
    """
    mlp = _network(kind)(
        hidden_units=(1024,),
        batch_size=16,
        n_epochs=100,
        dropout=0.5,
        activation="relu",
        block=("affine", "activation"),  # the head's dropout is the only one
        solver=AdamW(),
        learning_rate=Linear(1e-3, 0.0),
    )
    return _pipeline([("tfidf", TfidfVectorizer()), ("mlp", mlp)], random_state, params)


def _network(kind: str) -> Any:
    networks: dict[str, Any] = {"classifier": MLPClassifier, "regressor": MLPRegressor}
    if kind not in networks:
        raise unknown_name("kind", kind, networks, "leave it out for a classifier")
    return networks[kind]


def _pipeline(steps: list[tuple[str, Any]], random_state: Any, params: dict[str, Any]) -> Pipeline:
    """Return the pipeline with the parameters set; those that name no step are the network's."""
    pipeline, names = Pipeline(steps), [name for name, _ in steps]
    pipeline.set_params(mlp__random_state=random_state)
    return pipeline.set_params(
        **{name if name.partition("__")[0] in names else f"mlp__{name}": value for name, value in params.items()}
    )
