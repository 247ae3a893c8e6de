"""``fit`` and ``partial_fit``: from parameters and data to a trained network."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ffnn._utils.unvalidated import with_shape
from ffnn.builder import Builder
from ffnn.estimator.builders import builder_for
from ffnn.estimator.callbacks import SklearnCallbacks, tearing_down
from ffnn.estimator.data import Arguments, Data, Draft
from ffnn.estimator.fitted import Fitted
from ffnn.estimator.settings import Settings, root_seed
from ffnn.estimator.turns import one_at_a_time
from ffnn.model import Array, Model
from ffnn.training.control import EpochListener, FitControl, FitPaused, PausedState, hash_of
from ffnn.training.epochs import TrainingLoop, advice, check_finite_targets
from ffnn.training.history import History
from ffnn.training.interrupt import deferred_interrupt
from ffnn.training.listeners import Listener, Listeners, MonitorListener, Run
from ffnn.training.progress_bar import EpochProgressBar
from ffnn.training.stopping import TrainingLossStopping
from ffnn.training.unscaled import warn_of_scale
from ffnn.training.validation import Validation, ValidationListener

__all__ = ["Fit"]


class Fit:
    """One call of ``fit`` or ``partial_fit``.

    It works on a draft, a shallow copy of the estimator, whose attributes become the estimator's at the end. A call
    that is refused, fails or is interrupted twice leaves the estimator as it was. Ctrl-C leaves it the last whole
    epoch.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        The estimator to fit.
    arguments : Arguments
        The arguments of the call.
    """

    def __init__(self, estimator: Any, arguments: Arguments) -> None:
        self._estimator = estimator
        self._arguments = replace(arguments, X=with_shape(arguments.X))
        self._settings = Settings.of(estimator)
        self._settings.check_monitor(arguments.monitor)
        if arguments.partial and self._settings.early_stopping:
            raise ValueError(
                f"early_stopping={self._settings.early_stopping!r} needs fit, which sees all epochs; set it to False "
                "for partial_fit."
            )
        self._class_weight = getattr(estimator, "class_weight", None)
        goes_on = arguments.partial or estimator.warm_start
        self._begins = not (goes_on and hasattr(estimator, "_fitted"))
        self._draft: Draft = _copy_of(estimator)
        self._history = History()
        self._control = FitControl.of(estimator) if self._begins and not arguments.partial else FitControl(None)
        self._paused: PausedState | None = None  # where this call goes on

    def run(self) -> None:
        """Fit the estimator.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C, when the epoch under way has ended.
        """
        settings, draft = self._settings, self._draft
        dtype = settings.dtype_for(self._arguments.X) if self._begins else draft.network_.dtype
        partial = self._arguments.partial
        data = Data.of(draft, settings, self._arguments, dtype, reset=self._begins)
        data = self._begin(data, dtype) if self._begins else self._go_on(data)
        data, order = data.normalized(draft.network_.output, self._class_weight, partial=partial)
        stop = draft.n_iter_ + (1 if partial else settings.epochs_for(len(order)))
        self._go_on_where_paused(data)
        epochs = range(draft.n_iter_, stop)
        with one_at_a_time(draft):  # a monitor or a scorer has the draft, and must not train it
            interrupted = _train(draft, self, data, order, epochs)
        self._commit()
        if interrupted:
            raise KeyboardInterrupt(
                f"interrupted after epoch {draft.n_iter_} of {epochs.stop}; the estimator has the weights of that epoch"
            )

    # -- the network ----------------------------------------------------------------------------------------------

    def _begin(self, data: Data, dtype: str) -> Data:
        """Describe the network for this data; return the data as the classes weigh it."""
        settings, draft, classes = self._settings, self._draft, self._arguments.classes
        X = data.X
        y, weight = data.training_targets  # the network learns nothing of the validation data
        output = settings.output_for(y, classes, draft._estimator_type_name())
        if self._arguments.partial and classes is None and output.needs_classes:
            raise ValueError(
                "classes must be passed on the first call to partial_fit: all labels that any call will bring, such as "
                "numpy.unique(y) of all data."
            )
        output = output.fit(y, classes, weight)
        data = data.balanced(output, self._class_weight, partial=self._arguments.partial)
        input = settings.input_for(X).fit(X, settings.batch_size)
        network = settings.describe(
            input, output, n_features=X.shape[1], dtype=dtype, compute_dtype=settings.compute_dtype
        )
        attributes = vars(draft)
        for name in ("validation_loss_curve_", "validation_scores_", "best_epoch_", "callbacks_", "builder_"):
            attributes.pop(name, None)
        draft._fitted = Fitted(network, settings.solver, root_seed(draft.random_state))
        draft.network_ = network
        draft.n_iter_ = 0
        draft._learned(output)
        return data

    def _go_on(self, data: Data) -> Data:
        """Take over what parameters may change between two calls, and refuse the others."""
        draft, settings, given = self._draft, self._settings, self._arguments
        if given.classes is not None:
            draft._check_classes(given.classes)
        if not given.partial:
            draft._check_same_classes(data.y)
        old = draft.network_
        output = copy.copy(old.output)  # the class weights of the last call stay with what it trained
        data = data.balanced(output, self._class_weight, partial=self._arguments.partial)
        network = settings.describe(
            old.input, output, n_features=old.n_features, dtype=old.dtype, compute_dtype=old.compute_dtype
        )
        if network.weights != old.weights:
            parameters = draft.get_params(deep=False)
            raise ValueError(
                f"hidden_units={parameters['hidden_units']!r} and block={parameters['block']!r} describe another "
                "network than the one that is trained already. Set them back; or set warm_start=False and call fit, to "
                "start anew."
            )
        draft._fitted = draft._fitted.branch()
        draft._fitted.change(network, settings.solver)
        draft.network_ = network
        self._history = History.of(vars(draft))
        return data

    def _go_on_where_paused(self, data: Data) -> None:
        """Take over the state of a fit that paused, if the task brings it."""
        paused = self._paused = self._control.going_on(data.arrays)
        if paused is not None:
            draft = self._draft
            draft._fitted = Fitted(draft.network_, self._settings.solver, paused.root_seed, paused.state)
            draft.n_iter_ = paused.n_epochs
            self._history = copy.deepcopy(paused.history)

    # -- the training ---------------------------------------------------------------------------------------------

    def train(self, data: Data, order: Array, epochs: range) -> bool:
        """Train the draft; return whether Ctrl-C ended it."""
        draft, settings, given = self._draft, self._settings, self._arguments
        network, fitted, history = draft.network_, draft._fitted, self._history
        draft.builder_, builder = builder_for(draft, network, settings.solver, len(order), settings.batch_size)
        # bad data is refused before an engine is imported
        rows = network.input.prepare(data.X, network.dtype)
        targets = network.output.encode(data.y, network.dtype)
        sizes = self._checked_targets(data, targets, order)
        advise = functools.partial(advice, settings.schedule if settings.solver.stochastic else None, sizes)
        model = fitted.model(builder)
        watch = self._validation_listener(data.validation, model, advise)
        vars(draft).update(history.attributes())
        listeners = Listeners(
            [*([] if watch is None else [watch]), *self._followers(data, builder, model, order, epochs)]
        )
        if self._paused is not None:
            listeners.recall_all(self._paused.memories)

        def on_epoch(epoch: int, loss: float) -> bool:
            history.add_epoch(loss)
            draft.n_iter_ = epoch + 1
            rate = loop.learning_rate
            stats = {"loss": loss} if rate is None else {"loss": loss, "learning_rate": rate}
            stop = listeners.end_epoch(epoch, stats) | interrupted()
            if not stop and self._control.pauses(epoch + 1, epochs.stop):
                raise self._pause(data, model, listeners)
            return stop

        loop = TrainingLoop(
            model=model,
            rows=order,
            epochs=epochs,
            batch_size=settings.batch_size,
            schedule=settings.schedule,
            # a schedule ends with the training; single epochs are those of a training of n_epochs
            horizon=settings.epochs_for(len(order)) if given.partial else epochs.stop,
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
                    fitted.solver.train(loop)
                    if watch is not None and not interrupted():
                        watch.restore()
                    loop.check_finite()
                    if not interrupted():
                        listeners.end()
                        if not given.partial:
                            warn_of_scale(data.X, network.output, targets[order], data.weight[order], history.loss[-1])
                except Exception as error:
                    if interrupted():  # Ctrl-C must not be lost: callers that fit in a loop go on after an error
                        raise KeyboardInterrupt("interrupted; the estimator is as it was before") from error
                    raise
                return interrupted()
        finally:  # the data must not wait for the garbage collector: these objects are in reference cycles
            listeners.close()
            model.unload()
            sizes.clear()

    def _pause(self, data: Data, model: Model, listeners: Listeners) -> FitPaused:
        """Return what ends this call; its state is kept if another call can go on from it."""
        paused = None
        if self._settings.solver.stochastic and listeners.can_go_on:
            seed, history = self._draft._fitted.root_seed, copy.deepcopy(self._history)
            paused = PausedState(hash_of(data.arrays), seed, model.get_state(), history, listeners.memories())
        return self._control.pause(self._history, paused)

    def _checked_targets(self, data: Data, targets: Array, order: Array) -> dict[str, Any]:
        """Refuse targets that are not finite once encoded; return what may be too large where a training diverges."""
        network, validation = self._draft.network_, data.validation
        check_finite_targets("y", targets, order)
        sizes = {"X": data.X, "the standardised y": targets}
        if validation is not None:
            encoded = network.output.encode(validation.y, network.dtype)
            check_finite_targets("the validation data's y", encoded, slice(None))
            sizes |= {"the validation data's X": validation.X, "its standardised y": encoded}
        return sizes

    def _validation_listener(
        self, validation: Validation | None, model: Model, advise: Callable[[], str]
    ) -> ValidationListener | None:
        if validation is None:
            return None
        settings, history = self._settings, self._history
        scores = validation.scorer is not None
        history.expect(validation=True, score=scores)
        return ValidationListener(
            validation,
            self._draft.network_,
            model,
            history,
            score=functools.partial(validation.score, self._draft) if scores else None,
            stopping=(settings.stopping(), settings.stopping()),
            restores=settings.early_stopping is True,
            advise=advise,
        )

    def _followers(self, data: Data, builder: Builder, model: Model, order: Array, epochs: range) -> list[Listener]:
        """Return the listeners after the validation, in order."""
        settings, given, draft = self._settings, self._arguments, self._draft
        monitor, attributes = given.monitor, vars(draft)
        n_batches = -(-len(order) // settings.batch_size)
        followers: list[Listener] = []
        if settings.early_stopping == "training":
            # L-BFGS warns by itself where it has not converged
            followers += [TrainingLossStopping(settings.stopping(), epochs, warns=settings.solver.stochastic)]
        if settings.verbose:
            followers += [EpochProgressBar(len(epochs), type(self._estimator).__name__)]
        followers += builder.listeners(Run(model, epochs, n_batches, settings.verbose, attributes))
        if self._control.on_epoch is not None:
            followers += [EpochListener(self._control.on_epoch, epochs.stop)]
        followers += [SklearnCallbacks(draft, given.X, given.y, given.sample_weight, data.rows, epochs)]
        if monitor is not None:
            followers += [MonitorListener(lambda epoch, stats: monitor(epoch, draft, stats))]
        return followers

    def _commit(self) -> None:
        """Give the estimator the draft's attributes."""
        self._control.note(self._history)
        vars(self._draft).update(self._history.attributes())
        attributes = vars(self._estimator)
        attributes.clear()
        attributes.update(vars(self._draft))


@tearing_down
def _train(draft: Any, fit: Fit, data: Data, order: Array, epochs: range) -> bool:
    """Train a draft, and tear down the callbacks of scikit-learn that it has set up."""
    return fit.train(data, order, epochs)


def _copy_of(estimator: Any) -> Any:
    """Return another object with the same attributes."""
    draft = object.__new__(type(estimator))
    vars(draft).update(vars(estimator))
    return draft
