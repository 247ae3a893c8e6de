"""One fit of one network, as ffnn and as each peer does it: the same layers and batches, Adam at 0.001.

The time is that of the fit alone: from the estimator's constructor to its return, tracing and compiling included, the
import of the engine not. A peer that cannot take a sparse matrix is given a dense one, made beforehand.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.suite.stopwatch import engine_seconds, import_seconds, peak_mb


@dataclass
class Fit:
    """The time and memory of a fit.

    Parameters
    ----------
    seconds : float
        The time of all epochs, extrapolated where fewer were done.
    peak_mb : float or None
        The process's peak memory at its end; None where it had fewer rows.
    scores : callable or None
        The probability of the class 1 of each row; None where fewer epochs were done.
    note : str
        From what it was extrapolated.
    engine : float
        The seconds that the import of the engine took, beforehand.
    """

    seconds: float
    peak_mb: float | None
    scores: Callable[[Any], Any] | None
    note: str = ""
    engine: float = 0.0


@dataclass(frozen=True)
class Task:
    """A fit to measure.

    Parameters
    ----------
    hidden : sequence of int
        The units of the hidden layers.
    epochs : int
        How long.
    peer_rows : int or None
        Let a slow peer do two epochs of so many rows, and extrapolate; None for all of it.
    sklearn_steps : int or None
        The same for scikit-learn, in steps.
    seed : int
        What weights and the order of rows follow from.
    batch : int
        The rows of a batch.
    """

    hidden: Sequence[int]
    epochs: int
    peer_rows: int | None
    sklearn_steps: int | None
    seed: int
    batch: int = 64

    @property
    def peer_epochs(self) -> int:
        """The epochs that a peer does."""
        return self.epochs if self.peer_rows is None else 2

    def peer_data(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return the dense rows that a peer gets, and their labels."""
        return dense(X[: self.peer_rows]), y[: self.peer_rows]


def dense(X: Any) -> Any:
    """Return a matrix as a dense array."""
    return X.toarray() if hasattr(X, "toarray") else X


def ffnn(task: Task, X: Any, y: Any, builder: str) -> Fit:
    """Fit ffnn's classifier."""
    from ffnn import MLPClassifier

    engine = 0.0 if builder == "native" else engine_seconds("keras" if builder == "keras" else "tensorflow")
    start = time.perf_counter()
    fitted = MLPClassifier(
        tuple(task.hidden), batch_size=task.batch, n_epochs=task.epochs, builder=builder, random_state=task.seed
    ).fit(X, y)
    seconds = time.perf_counter() - start
    return Fit(seconds, peak_mb(), lambda rows: fitted.predict_proba(rows)[:, 1], engine=engine)


def sklearn(task: Task, X: Any, y: Any) -> Fit:
    """Fit scikit-learn's classifier, or time some of its steps."""
    import numpy as np
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        tuple(task.hidden),
        batch_size=task.batch,
        max_iter=task.epochs,
        n_iter_no_change=task.epochs + 1,
        alpha=0.0,
        random_state=task.seed,
    )
    if task.sklearn_steps is None:
        start = time.perf_counter()
        model.fit(X, y)
        return Fit(time.perf_counter() - start, peak_mb(), lambda rows: model.predict_proba(rows)[:, 1])
    times = []
    for step in range(task.sklearn_steps + 1):
        first = step * task.batch % (X.shape[0] - task.batch + 1)
        X_batch, y_batch = X[first : first + task.batch], y[first : first + task.batch]
        start = time.perf_counter()
        model.partial_fit(X_batch, y_batch, classes=np.unique(y))
        times.append(time.perf_counter() - start)
    a_step = float(np.median(times[1:]))  # the first one draws the weights
    steps = task.epochs * -(-X.shape[0] // task.batch)
    seconds = max(times[0] - a_step, 0.0) + steps * a_step
    return Fit(seconds, peak_mb(), None, f"extrapolated from {task.sklearn_steps} of {steps} steps")


def _clock() -> Any:
    """Return a Keras callback that notes how long each epoch takes."""
    from keras.callbacks import Callback

    class Clock(Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.seconds: list[float] = []

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seconds.append(time.perf_counter() - self.start)

    return Clock()


def _peer_fit(
    task: Task, n_rows: int, seconds: float, epochs: Sequence[float], engine: float, scores: Callable[[Any], Any]
) -> Fit:
    """Return a peer's fit, extrapolated where it did a part: its set-up once, the last epoch's time for each epoch."""
    if task.peer_rows is None:
        return Fit(seconds, peak_mb(), scores, engine=engine)
    set_up = max(seconds - len(epochs) * epochs[-1], 0.0)
    steps, done = -(-n_rows // task.batch), -(-task.peer_rows // task.batch)
    seconds = set_up + task.epochs * epochs[-1] * steps / done
    return Fit(seconds, None, None, f"extrapolated from {2 * done} of {task.epochs * steps} steps", engine)


def _network(n_features: int, hidden: Sequence[int], n_outputs: int = 1) -> Any:
    """Return a compiled Keras model."""
    import keras

    layers = [keras.layers.Dense(units, activation="relu") for units in hidden]
    layers += [keras.layers.Dense(n_outputs, activation="sigmoid" if n_outputs == 1 else "softmax")]
    model = keras.Sequential([keras.Input((n_features,)), *layers])
    loss = "binary_crossentropy" if n_outputs == 1 else "categorical_crossentropy"
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss)
    return model


def keras(task: Task, X: Any, y: Any) -> Fit:
    """Fit with ``keras.Model.fit``, on a dense X."""
    engine = import_seconds("tensorflow", "keras")
    import keras as module

    n_rows = X.shape[0]
    X, y = task.peer_data(X, y)
    module.utils.set_random_seed(task.seed)
    clock = _clock()
    start = time.perf_counter()
    model = _network(X.shape[1], task.hidden)
    model.fit(X, y, batch_size=task.batch, epochs=task.peer_epochs, verbose=0, callbacks=[clock])
    seconds = time.perf_counter() - start
    return _peer_fit(
        task, n_rows, seconds, clock.seconds, engine, lambda rows: model.predict(dense(rows), verbose=0)[:, 0]
    )


def keras_wrapper(task: Task, X: Any, y: Any) -> Fit:
    """Fit with Keras's own wrapper for scikit-learn."""
    engine = import_seconds("tensorflow", "keras")
    import keras as module

    n_rows = X.shape[0]
    X, y = task.peer_data(X, y)
    module.utils.set_random_seed(task.seed)
    clock = _clock()
    start = time.perf_counter()
    model = module.wrappers.SKLearnClassifier(
        lambda X, y: _network(X.shape[1], task.hidden, y.shape[1]),
        fit_kwargs={"batch_size": task.batch, "epochs": task.peer_epochs, "verbose": 0, "callbacks": [clock]},
    ).fit(X, y)
    seconds = time.perf_counter() - start
    return _peer_fit(
        task, n_rows, seconds, clock.seconds, engine, lambda rows: model.model_.predict(dense(rows), verbose=0)[:, 1]
    )


def scikeras(task: Task, X: Any, y: Any) -> Fit:
    """Fit with scikeras."""
    engine = import_seconds("tensorflow", "keras")
    from scikeras.wrappers import KerasClassifier

    n_rows = X.shape[0]
    X, y = task.peer_data(X, y)
    clock = _clock()
    start = time.perf_counter()
    model = KerasClassifier(
        lambda meta: _network(meta["n_features_in_"], task.hidden),
        batch_size=task.batch,
        epochs=task.peer_epochs,
        verbose=0,
        callbacks=[clock],
        random_state=task.seed,
    ).fit(X, y)
    seconds = time.perf_counter() - start
    return _peer_fit(
        task, n_rows, seconds, clock.seconds, engine, lambda rows: model.predict_proba(dense(rows), verbose=0)[:, 1]
    )


def skorch(task: Task, X: Any, y: Any) -> Fit:
    """Fit with skorch on torch, on a dense X."""
    engine = import_seconds("torch")
    import numpy as np
    import torch
    from skorch import NeuralNetBinaryClassifier

    n_rows = X.shape[0]
    X, y = task.peer_data(X, y)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(task.seed)
    start = time.perf_counter()
    layers: list[Any] = []
    for n_inputs, n_units in zip([X.shape[1], *task.hidden[:-1]], task.hidden, strict=True):
        layers += [torch.nn.Linear(n_inputs, n_units), torch.nn.ReLU()]
    layers += [torch.nn.Linear(task.hidden[-1], 1), torch.nn.Flatten(0)]
    model = NeuralNetBinaryClassifier(
        torch.nn.Sequential(*layers),
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=task.batch,
        max_epochs=task.peer_epochs,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    ).fit(X, y.astype(np.float32))
    seconds = time.perf_counter() - start
    return _peer_fit(
        task, n_rows, seconds, model.history[:, "dur"], engine, lambda rows: model.predict_proba(dense(rows))[:, 1]
    )


FITS: dict[str, Callable[[Task, Any, Any], Fit]] = {
    "ffnn, native": lambda task, X, y: ffnn(task, X, y, "native"),
    "ffnn, tf": lambda task, X, y: ffnn(task, X, y, "tf"),
    "ffnn, keras": lambda task, X, y: ffnn(task, X, y, "keras"),
    "scikit-learn": sklearn,
    "Keras": keras,
    "Keras's wrapper": keras_wrapper,
    "scikeras": scikeras,
    "skorch": skorch,
}
