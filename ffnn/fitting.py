"""What ``fit`` and ``partial_fit`` do: from parameters and data to a trained network."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from ffnn.builder import Array
from ffnn.fitted import Fitted
from ffnn.settings import Settings, check_weight, root_seed
from ffnn.training import Training

if TYPE_CHECKING:
    from ffnn.base import BaseMLP, Monitor

__all__ = ["fit"]


def fit(
    estimator: BaseMLP,
    X: Any,
    y: Any,
    sample_weight: Any,
    monitor: Monitor | None,
    *,
    classes: Any = None,
    partial: bool,
) -> None:
    """Train an estimator from new weights or, if ``partial``, for one more epoch.

    Whatever is raised, the estimator is then as it was before.
    """
    settings = Settings.of(estimator)
    settings.check_monitor(monitor)
    first = not (partial and hasattr(estimator, "_fitted"))
    dtype = settings.dtype_for(X) if first else estimator.network_.dtype
    before = dict(estimator.__dict__)
    try:
        X, y = estimator._validate(X, y, dtype, reset=first)
        weight = check_weight(sample_weight, X)
        if first:
            _start(estimator, settings, X, y, weight, classes, dtype, partial=partial)
        else:
            # what is trained in place: the copy has the state as arrays
            before.update(loss_curve_=list(estimator.loss_curve_), _fitted=copy.copy(estimator._fitted))
            _go_on(estimator, settings, classes)
        epochs = range(estimator.n_iter_, estimator.n_iter_ + (1 if partial else settings.n_epochs))
        _train(estimator, settings, X, y, weight, epochs, monitor)
    except BaseException:  # a Ctrl-C too: as if nothing had been called
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise


def _start(
    estimator: BaseMLP, settings: Settings, X: Any, y: Any, weight: Array, classes: Any, dtype: str, *, partial: bool
) -> None:
    """Describe the network for this data and set the fitted attributes of an untrained one."""
    output = settings.output_for(y, classes, estimator._estimator_type_name())
    if partial and classes is None and output.needs_classes:
        raise ValueError(
            "classes must be passed on the first call to partial_fit: all labels that any call will bring, such as "
            "numpy.unique(y) of all data."
        )
    output = output.fit(y, classes, weight)
    network = settings.describe(settings.input_for(X), output, n_features=X.shape[1], dtype=dtype)
    estimator._fitted = Fitted(network, settings.solver, root_seed(estimator.random_state))
    estimator.network_ = network
    estimator.loss_curve_ = []
    estimator.n_iter_ = 0
    estimator._learned(output)


def _go_on(estimator: BaseMLP, settings: Settings, classes: Any) -> None:
    """Take over what parameters may change between two calls of ``partial_fit``, and refuse the others."""
    if classes is not None:
        estimator._check_classes(classes)
    old = estimator.network_
    network = settings.describe(old.input, old.output, n_features=old.n_features, dtype=old.dtype)
    if network.weights != old.weights:
        raise ValueError(
            f"hidden_units={estimator.hidden_units!r} and block={estimator.block!r} describe another network than the "
            "one that partial_fit began with. Set them back, or call fit to start anew."
        )
    estimator._fitted.change(network, settings.solver)
    estimator.network_ = network


def _train(
    estimator: BaseMLP, settings: Settings, X: Any, y: Any, weight: Array, epochs: range, monitor: Monitor | None
) -> None:
    network, fitted = estimator.network_, estimator._fitted
    # everything that can be refused is refused before an engine is imported
    rows = network.input.prepare(X, network.dtype)
    targets = network.output.encode(y, network.dtype)
    model = fitted.model(settings.builder)
    # a row of zero weight is left out, which makes it the same as one that was never there
    order = np.flatnonzero(weight > 0).astype(np.int32 if len(weight) < 2**31 else np.int64)

    def on_epoch(epoch: int, loss: float) -> bool:
        estimator.loss_curve_.append(loss)
        estimator.n_iter_ = epoch + 1
        return monitor is not None and bool(monitor(epoch, estimator, {"loss": loss}))

    model.load(rows, targets, weight.astype(network.dtype))
    try:
        fitted.solver.train(
            Training(
                model=model,
                rows=order,
                epochs=epochs,
                batch_size=settings.batch_size,
                learning_rate=settings.learning_rate,
                weight_decay=settings.weight_decay,
                root_seed=fitted.root_seed,
                on_epoch=on_epoch,
            )
        )
    finally:
        model.unload()
