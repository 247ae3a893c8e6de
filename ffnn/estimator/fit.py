"""What ``fit`` and ``partial_fit`` do: from parameters and data to a trained network."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

from ffnn._utils._private import safe_indexing
from ffnn._utils.unvalidated import with_shape
from ffnn.estimator.callbacks import SklearnCallbacks, tearing_down
from ffnn.estimator.fitted import CURVES, Fitted, trained_in_place
from ffnn.estimator.settings import Settings, root_seed
from ffnn.model import Array
from ffnn.output import Output
from ffnn.training.epochs import Training, advice, check_finite_targets
from ffnn.training.interrupt import deferred_interrupt
from ffnn.training.listeners import Listeners, MonitorListener, Run
from ffnn.training.progress_bar import EpochProgressBar
from ffnn.training.stopping import TrainingLossStopping
from ffnn.training.validation import Held, Validation, ValidationListener, scorer_of, split
from ffnn.training.weights import check_taught, check_weight, near_one, relative, warn_of_untaught

if TYPE_CHECKING:
    from ffnn.estimator.base import BaseMLP
    from ffnn.estimator.fittable import Monitor

__all__ = ["Held", "fit"]

_LEARNED = (*CURVES, "best_epoch_", "callbacks_")


@dataclass
class _Data:
    """What is trained on: all samples, and the rows of them that are meant, those of no weight left out in `order`."""

    X: Any
    y: Any
    weight: Array
    rows: Array
    validation: Validation | None
    order: Array = field(default_factory=lambda: np.arange(0))


def fit(
    estimator: BaseMLP,
    X: Any,
    y: Any,
    sample_weight: Any,
    monitor: Monitor | None,
    *,
    held: Held | None = None,
    classes: Any = None,
    partial: bool,
) -> None:
    """Train an estimator: from new weights, from those it has (``warm_start``), or for one more epoch (``partial``).

    Whatever is raised, the estimator is then as it was before; but for a Ctrl-C, which leaves it the last whole epoch.
    """
    held = held or Held()
    settings = Settings.of(estimator)
    settings.check_monitor(monitor)
    first = not ((partial or estimator.warm_start) and hasattr(estimator, "_fitted"))
    if partial and settings.early_stopping:
        raise ValueError(
            f"early_stopping={settings.early_stopping!r} needs fit, which sees all epochs; set it to False for "
            "partial_fit."
        )
    X = with_shape(X)
    dtype = settings.dtype_for(X) if first else estimator.network_.dtype
    before = dict(estimator.__dict__)
    try:
        data = _take(estimator, settings, X, y, sample_weight, held, dtype, reset=first)
        if first:
            _start(estimator, settings, data, classes, dtype, partial=partial)
        else:
            before.update(trained_in_place(estimator))
            _go_on(estimator, settings, data, classes, partial=partial)
        _weigh(estimator, data, partial=partial)
        epochs = range(estimator.n_iter_, estimator.n_iter_ + (1 if partial else settings.n_epochs))
        # a schedule ends with the training; single epochs are those of a training of n_epochs
        horizon = settings.n_epochs if partial else epochs.stop
        callbacks = SklearnCallbacks(estimator, X, y, sample_weight, data.rows, epochs)
        interrupted = _train(estimator, settings, data, epochs, horizon, callbacks, monitor)
    except BaseException:  # a second Ctrl-C too: as if nothing had been called
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise
    if interrupted:
        raise KeyboardInterrupt(
            f"interrupted after epoch {estimator.n_iter_} of {epochs.stop}; the estimator has the weights of that epoch"
        )


def _take(
    estimator: BaseMLP, settings: Settings, X: Any, y: Any, sample_weight: Any, held: Held, dtype: str, *, reset: bool
) -> _Data:
    """Validate the data, and set apart what is not trained on."""
    given = held.given
    X, y = estimator._validate(X, y, dtype, reset=reset)
    weight = near_one(check_weight(sample_weight, X))
    rows = np.arange(X.shape[0])
    validation = None
    scorer = scorer_of(estimator)
    if given:
        X_val = estimator._checked(held.X, dtype, "X_val")
        y_val = estimator._validate_held(held.y)
        check_consistent_length(X_val, y_val)
        weight_val = check_weight(held.sample_weight, X_val)
        scored = None if held.sample_weight is None else weight_val
        validation = Validation(X_val, y_val, near_one(weight_val), scored, scorer)
    elif settings.early_stopping is True:
        rows, test = split(estimator, X, y, weight, root_seed(copy.copy(estimator.random_state)))
        scored = None if sample_weight is None else check_weight(sample_weight, X)[test]
        validation = Validation(safe_indexing(X, test), safe_indexing(y, test), weight[test], scored, scorer)
    return _Data(X, y, weight, rows, validation)


def _start(estimator: BaseMLP, settings: Settings, data: _Data, classes: Any, dtype: str, *, partial: bool) -> None:
    """Describe the network for this data and set the fitted attributes of an untrained one."""
    X, y, weight = data.X, data.y, data.weight
    if len(data.rows) < X.shape[0]:  # what is set apart teaches nothing
        y, weight = safe_indexing(y, data.rows), weight[data.rows]
    output = settings.output_for(y, classes, estimator._estimator_type_name())
    if partial and classes is None and output.needs_classes:
        raise ValueError(
            "classes must be passed on the first call to partial_fit: all labels that any call will bring, such as "
            "numpy.unique(y) of all data."
        )
    output = output.fit(y, classes, weight)
    _balance(estimator, output, data, partial=partial)
    input = settings.input_for(X).fit(X, settings.batch_size)
    network = settings.describe(input, output, n_features=X.shape[1], dtype=dtype, compute_dtype=settings.compute_dtype)
    estimator._fitted = Fitted(network, settings.solver, root_seed(estimator.random_state))
    estimator.network_ = network
    for name in _LEARNED:
        estimator.__dict__.pop(name, None)
    estimator.loss_curve_ = []
    estimator.n_iter_ = 0
    estimator._learned(output)


def _balance(estimator: BaseMLP, output: Output, data: _Data, *, partial: bool) -> None:
    """Let each sample, or each label of it, weigh what its class does in this call."""
    class_weight = getattr(estimator, "class_weight", None)
    if partial and isinstance(class_weight, str):
        raise ValueError(
            f"class_weight={class_weight!r} needs all the data, which partial_fit does not see. Give the weights: "
            "class_weight=dict(zip(classes, sklearn.utils.class_weight.compute_class_weight('balanced', ...)))."
        )
    output.balance(class_weight, safe_indexing(data.y, data.rows), data.weight[data.rows])
    if class_weight is not None:
        data.weight = output.weigh(data.y, data.weight)
        if data.validation is not None:
            weight = output.weigh(data.validation.y, data.validation.weight)
            data.validation = replace(data.validation, weight=weight)


def _go_on(estimator: BaseMLP, settings: Settings, data: _Data, classes: Any, *, partial: bool) -> None:
    """Take over what parameters may change between two calls, and refuse the others."""
    if classes is not None:
        estimator._check_classes(classes)
    if not partial:
        estimator._check_same_classes(data.y)
    old = estimator.network_
    output = copy.copy(old.output)  # what the last call weighed classes by stays with what it trained
    _balance(estimator, output, data, partial=partial)
    network = settings.describe(
        old.input, output, n_features=old.n_features, dtype=old.dtype, compute_dtype=old.compute_dtype
    )
    if network.weights != old.weights:
        raise ValueError(
            f"hidden_units={estimator.hidden_units!r} and block={estimator.block!r} describe another network than the "
            "one that is trained already. Set them back; or set warm_start=False and call fit, to start anew."
        )
    estimator._fitted.change(network, settings.solver)
    estimator.network_ = network


def _weigh(estimator: BaseMLP, data: _Data, *, partial: bool) -> None:
    """Leave out rows of zero weight, as if they were not there, and let the weights of the others have the mean 1."""
    order = data.rows[data.weight[data.rows] > 0]
    if not len(order):  # weights of zero alone are refused before, so that those of the classes are among the reasons
        raise ValueError(
            f"class_weight={estimator.class_weight!r}, times sample_weight, gives none of the {len(data.rows)} samples "
            "to train on a positive weight. Weigh one of their classes, or leave out the call."
        )
    data.order = order.astype(np.int32 if len(data.weight) < 2**31 else np.int64)
    data.weight = relative(data.weight, order)
    output, class_weight = estimator.network_.output, getattr(estimator, "class_weight", None)
    taught = check_taught("y", output, data.y, data.weight, class_weight)
    if not partial:  # another call may bring the rest
        warn_of_untaught(taught)
    if data.validation is not None:
        check_taught("The validation data", output, data.validation.y, data.validation.weight, class_weight)


@tearing_down
def _train(
    estimator: BaseMLP,
    settings: Settings,
    data: _Data,
    epochs: range,
    horizon: int,
    callbacks: SklearnCallbacks,
    monitor: Monitor | None,
) -> bool:
    """Train; return whether a Ctrl-C ended it."""
    network, fitted = estimator.network_, estimator._fitted
    # everything that can be refused is refused before an engine is imported
    rows = network.input.prepare(data.X, network.dtype)
    targets = network.output.encode(data.y, network.dtype)
    check_finite_targets("y", targets, data.order)
    learned = {"X": data.X, "the standardised y": targets}
    if data.validation is not None:
        encoded = network.output.encode(data.validation.y, network.dtype)
        check_finite_targets("the validation data's y", encoded, slice(None))
        learned |= {"the validation data's X": data.validation.X, "its standardised y": encoded}
    model = fitted.model(settings.builder)
    run = Run(estimator, model, epochs, -(-len(data.order) // settings.batch_size), settings.verbose)
    advise = functools.partial(
        advice,
        settings.schedule if settings.solver.stochastic else None,
        learned,
    )
    watch = ValidationListener(estimator, data.validation, settings, model, advise)
    listeners = Listeners(
        [
            watch,
            TrainingLossStopping(settings, epochs),
            EpochProgressBar(settings.verbose, len(epochs), type(estimator).__name__),
            *settings.builder.listeners(run),
            callbacks,
            MonitorListener(monitor, estimator),
        ]
    )

    def on_epoch(epoch: int, loss: float) -> bool:
        estimator.loss_curve_.append(loss)
        estimator.n_iter_ = epoch + 1
        rate = training.learning_rate
        stats = {"loss": loss} if rate is None else {"loss": loss, "learning_rate": rate}
        return listeners.end_epoch(epoch, stats) | interrupted()

    training = Training(
        model=model,
        rows=data.order,
        epochs=epochs,
        batch_size=settings.batch_size,
        schedule=settings.schedule,
        horizon=horizon,
        weight_decay=settings.weight_decay,
        root_seed=fitted.root_seed,
        on_epoch=on_epoch,
        on_begin=listeners.begin_epoch,
        advise=advise,
    )
    try:
        model.load(rows, targets, data.weight.astype(network.dtype))
        with deferred_interrupt() as interrupted:
            try:
                listeners.begin()
                fitted.solver.train(training)
                if interrupted():
                    training.check_finite()
                else:
                    watch.restore()
                    training.check_finite()
                    listeners.end()
            except Exception as error:
                if interrupted():  # which must not be lost: what calls fit in a loop goes on after an error
                    raise KeyboardInterrupt("interrupted; the estimator is as it was before") from error
                raise
            return interrupted()
    finally:
        listeners.close()
        model.unload()
