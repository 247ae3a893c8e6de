"""An estimator's parameters, checked and resolved. Bad ones are refused here, before anything starts."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state

from ffnn._utils.checks import (
    check_batch_size,
    check_classes,
    check_flag,
    check_integer,
    check_number,
    check_rate,
    check_share,
    check_units,
    check_verbose,
    unknown_name,
)
from ffnn._utils.unvalidated import n_values
from ffnn.estimator.builders import named_builder
from ffnn.estimator.memory import check_memory
from ffnn.input import Input
from ffnn.layer import Layer
from ffnn.network import Network, describe
from ffnn.output import Output, encoded_by, values_met
from ffnn.plugins import registry
from ffnn.schedules import Schedule, as_schedule
from ffnn.solver import Solver
from ffnn.solvers import resolve_solver
from ffnn.training.scorers import check_scorer
from ffnn.training.stopping import EarlyStopping

__all__ = ["Settings", "root_seed"]

#: ``dtype="auto"`` means float64 for a dense X of up to so many values: there rounding shows and speed does not.
TINY = 2**15
_DTYPES = ("float32", "float64")
_MIXED = "mixed_bfloat16"


@dataclass(frozen=True)
class Settings:
    """The parameters of an estimator, as ``fit`` uses them."""

    hidden_units: tuple[int, ...]
    batch_size: int
    n_epochs: int | None
    dropout: float | None
    activation: Any
    block: tuple[str | Layer, ...]
    input_layer: Any
    output_layer: Any
    solver: Solver
    schedule: Schedule
    weight_decay: float
    early_stopping: bool | str
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    scoring: Any
    dtype: str
    verbose: bool

    @classmethod
    def of(cls, estimator: BaseEstimator) -> Self:
        """Return the checked parameters of an estimator.

        Raises
        ------
        TypeError, ValueError
            That name the parameter, what was expected, what arrived, and the remedy.
        """
        e: Any = estimator
        check_scorer(e.scoring)
        check_flag("warm_start", e.warm_start)
        named_builder(e)
        solver = resolve_solver(e.solver)
        if solver is e.solver:  # which may be changed later
            solver = clone(solver)
        return cls(
            hidden_units=check_units(e.hidden_units),
            batch_size=check_batch_size(e.batch_size),
            n_epochs=None
            if isinstance(e.n_epochs, str) and e.n_epochs == "auto"
            else check_integer("n_epochs", e.n_epochs, "It is the number of passes over the data; or use 'auto'."),
            dropout=check_rate("dropout", e.dropout) or None,
            activation=_activation(e.activation),
            block=_recipe("block", e.block),
            input_layer=_end("input", e.input_layer, Input),
            output_layer=_end("output", e.output_layer, Output),
            solver=solver,
            schedule=as_schedule(e.learning_rate),
            weight_decay=check_number("weight_decay", e.weight_decay, "Use 0.0 for none."),
            early_stopping=_early_stopping(e.early_stopping),
            validation_fraction=check_share("validation_fraction", e.validation_fraction),
            n_iter_no_change=check_integer(
                "n_iter_no_change", e.n_iter_no_change, "It is the number of epochs without improvement; 10 is usual."
            ),
            tol=check_number("tol", e.tol, "It is what counts as an improvement; 1e-4 is usual."),
            scoring=e.scoring,
            dtype=_dtype(e.dtype, solver),
            verbose=check_verbose(e.verbose),
        )

    def stopping(self) -> EarlyStopping:
        """Return a fresh :class:`EarlyStopping`."""
        return EarlyStopping(self.n_iter_no_change, self.tol)

    def epochs_for(self, n_rows: int) -> int:
        """Return ``n_epochs``; for ``"auto"`` what the solver takes for so many training rows."""
        return self.solver.epochs_for(-(-n_rows // self.batch_size)) if self.n_epochs is None else self.n_epochs

    def check_monitor(self, monitor: Any) -> None:
        """Refuse a monitor that cannot be called."""
        if monitor is not None and not callable(monitor):
            raise TypeError(
                f"monitor={monitor!r}: expected a callable monitor(epoch, estimator, stats), or None; "
                f"got {type(monitor).__name__}."
            )

    def dtype_for(self, X: Any) -> str:
        """Return the network's dtype: the one named, or for ``"auto"`` the solver's, or one by the data's size."""
        if self.dtype != "auto":
            return "float32" if self.dtype == _MIXED else self.dtype
        return self.solver.dtype or ("float64" if n_values(X) <= TINY else "float32")

    @property
    def compute_dtype(self) -> str | None:
        """The dtype of the hidden layers, if not the network's."""
        return "bfloat16" if self.dtype == _MIXED else None

    def input_for(self, X: Any) -> Input:
        """Return the input to take ``X`` with."""
        chosen: Input
        if self.input_layer != "auto":
            chosen = clone(registry.resolve("input", self.input_layer, "input_layer", Input))
            return chosen
        first = registry.choose("input", Input, lambda found: found.accepts(X))
        if first is not None:
            return first
        raise ValueError(f"input_layer='auto': no input plugin accepts an X of type {type(X).__name__}. Name one.")

    def output_for(self, y: Any, classes: Any, estimator_type: str) -> Output:
        """Return the output to take ``y`` with, not yet fitted."""
        chosen: Output
        if classes is not None and estimator_type == "classifier":
            classes = check_classes(classes)
        if self.output_layer != "auto":
            chosen = clone(registry.resolve("output", self.output_layer, "output_layer", Output))
            if chosen.estimator_type != estimator_type:
                raise ValueError(
                    f"output_layer={self.output_layer!r} is a {chosen.estimator_type}'s; expected a "
                    f"{estimator_type}'s. Use 'auto', or the other estimator."
                )
            return chosen
        first = registry.choose(
            "output", Output, lambda found: found.estimator_type == estimator_type and found.accepts(y, classes)
        )
        if first is not None:
            return first
        raise ValueError(
            f"output_layer='auto': no output takes a y of shape {y.shape} and dtype {y.dtype}{values_met(y)}. A "
            "classifier takes one label a row, or an indicator matrix of 0, 1 and, for missing, -1." + encoded_by(y)
        )

    def describe(
        self, input: Input, output: Output, *, n_features: int, dtype: str, compute_dtype: str | None
    ) -> Network:
        """Return the network between an input and a fitted output.

        Raises
        ------
        TypeError, ValueError
            If a layer is unknown, has a value that is out of range, or cannot be trained by the solver.
        """
        network = describe(
            input,
            output,
            hidden_units=self.hidden_units,
            block=self.block,
            values={"rate": self.dropout, "activation": self.activation},
            n_features=n_features,
            dtype=dtype,
            compute_dtype=compute_dtype,
        )
        check_memory(network.weights, dtype, f"hidden_units={self.hidden_units!r} and {n_features} features")
        if network.extras and not self.solver.stochastic:
            layer, _, name = next(iter(network.extras)).rpartition(".")
            raise ValueError(
                f"solver={type(self.solver).__name__.lower()!r} cannot train the layer {layer!r}: its {name!r} changes "
                "from batch to batch, and this solver takes all data at once. Use a solver that trains by batches, "
                "such as 'adam', or another layer: 'layer_norm' for 'batch_norm'."
            )
        return network


def root_seed(random_state: Any) -> int:
    """Return the seed of all random numbers of a fit; a RandomState instance is advanced by one draw.

    Raises
    ------
    ValueError
        If ``random_state`` is none of what scikit-learn takes.
    """
    try:
        return _first_draw(random_state) if type(random_state) is int else _draw(random_state)
    except ValueError as error:
        raise ValueError(
            f"random_state={random_state!r}: expected an integer from 0 to 2**32 - 1, a numpy.random.RandomState, or "
            "None. An integer makes fit repeatable."
        ) from error


def _draw(random_state: Any) -> int:
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


_first_draw = functools.lru_cache(maxsize=128)(_draw)  # of an integer, which is always the same


def _activation(value: Any) -> Any:
    if value is not None and not isinstance(value, str) and not callable(value):
        raise TypeError(
            f"activation={value!r}: expected a name such as 'relu', a callable, or None for linear; "
            f"got {type(value).__name__}."
        )
    return value


def _recipe(parameter: str, value: Any) -> tuple[str | Layer, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(
            f"{parameter}={value!r}: expected a sequence of layers, such as ('dropout', 'affine', 'activation'); "
            f"got {type(value).__name__}."
        )
    for item in value:
        registry.resolve("layer", item, parameter, Layer)
    return tuple(value)


def _early_stopping(value: Any) -> bool | str:
    if not isinstance(value, str):
        return check_flag("early_stopping", value)
    if value != "training":
        raise unknown_name("early_stopping", value, ["training"], "True or False")
    return value


def _end(kind: Any, value: Any, base: type) -> Any:
    """Return an ``input_layer`` or ``output_layer``, checked; a name stays a name."""
    if not (isinstance(value, str) and value == "auto"):
        end: Any = registry.resolve(kind, value, f"{kind}_layer", base)
        if isinstance(end, Output):
            _recipe("output_layer.head", end.head)
    return value


def _dtype(value: Any, solver: Solver) -> str:
    names = ("auto", *_DTYPES, _MIXED)
    try:
        name = value if isinstance(value, str) else str(np.dtype(value).name)
    except (TypeError, ValueError):
        name = ""
    if value is None or name not in names:
        raise unknown_name("dtype", value, names, "leave it at 'auto'")
    if name == _MIXED and not solver.stochastic:
        raise ValueError(
            f"dtype={value!r} cannot be used with solver={type(solver).__name__.lower()!r}: the rounding of bfloat16 "
            "hides what its small steps gain. Use dtype='auto', or a solver that trains by batches, such as 'adam'."
        )
    return name
