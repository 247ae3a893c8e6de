"""Converts estimators to JSON and arrays, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ffnn._utils._private import CALLBACKS, METADATA_REQUESTS, metadata_requests, set_metadata_requests
from ffnn._version import __version__
from ffnn.classifier import MLPClassifier
from ffnn.estimator.base import BaseMLP
from ffnn.estimator.fitted import Fitted
from ffnn.exceptions import PersistenceError
from ffnn.input import Input
from ffnn.layer import Layer
from ffnn.model import Arrays, State
from ffnn.network import Network, Stage
from ffnn.output import Output
from ffnn.persistence.reader import Reader, set_attributes
from ffnn.persistence.values import Writer, check
from ffnn.regressor import MLPRegressor
from ffnn.solver import Solver

__all__ = ["ESTIMATORS", "FORMAT", "describe", "restore"]

#: The format that this version writes.
FORMAT = 1
#: The classes of estimators that can be saved.
ESTIMATORS: dict[str, type[BaseMLP]] = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}
#: The attributes of an estimator that are saved in a special form or, as callbacks, not at all.
_SEPARATE_ATTRIBUTES = ("_fitted", "network_", METADATA_REQUESTS, CALLBACKS, "callbacks_")

Json = dict[str, Any]


def describe(estimator: BaseMLP, writer: Writer) -> Json:
    """Return an estimator as JSON; its arrays go to the writer.

    Raises
    ------
    PersistenceError
        If one of its parameters cannot be saved.
    """
    parameters = estimator.get_params(deep=False)
    attributes = {name: v for name, v in vars(estimator).items() if name not in (*parameters, *_SEPARATE_ATTRIBUTES)}
    requests = metadata_requests(estimator)
    fitted: Fitted | None = getattr(estimator, "_fitted", None)
    return {
        "format": FORMAT,
        "ffnn": __version__,
        "estimator": type(estimator).__name__,
        "parameters": {name: writer.write(value, name) for name, value in parameters.items()},
        "attributes": {name: writer.write(value, name) for name, value in attributes.items()},
        "requests": None if requests is None else writer.write(requests, "metadata request"),
        "fitted": None if fitted is None else _describe_fitted(fitted, writer),
    }


def _describe_fitted(fitted: Fitted, writer: Writer) -> Json:
    network, state = fitted.network, fitted.state
    assert state is not None  # set by every fit
    stages = [
        {
            "name": stage.name,
            "layer": None if stage.layer is network.input else writer.write(stage.layer, stage.name),
            "widths": [stage.n_inputs, stage.n_outputs],
        }
        for stage in network.stages
    ]
    return {
        "input": writer.write(network.input, "input"),
        "stages": stages,
        "output": writer.write(network.output, "output"),
        "n_features": network.n_features,
        "dtype": network.dtype,
        "compute_dtype": network.compute_dtype,
        "solver": writer.write(fitted.solver, "solver"),
        "root_seed": fitted.root_seed,
        "step": state.step,
        "weights": {name: writer.write(array, f"weights/{name}") for name, array in state.weights.items()},
        "slots": {name: writer.write(array, f"slots/{name}") for name, array in state.slots.items()},
    }


def restore(contents: Json, reader: Reader) -> BaseMLP:
    """Return the estimator that the JSON describes.

    Raises
    ------
    PersistenceError
        If the description is invalid, or needs what this version or installation lacks. Misplaced numbers and names
        may raise other errors.
    """
    check(contents["estimator"] in ESTIMATORS, f"The file has an estimator {contents['estimator']!r}")
    kind = ESTIMATORS[contents["estimator"]]
    parameters = {name: reader.read(value) for name, value in contents["parameters"].items()}
    unknown = sorted(parameters.keys() - kind._get_param_names())
    if unknown:
        raise PersistenceError(
            f"The file has parameters that {kind.__name__} does not have in ffnn {__version__}: "
            f"{', '.join(unknown)}. It was made by ffnn {contents['ffnn']}: install that or a later one."
        )
    estimator = kind(**parameters)  # parameters added after the file was written have their defaults
    requested = reader.read(contents["requests"])
    if requested is not None:
        set_metadata_requests(estimator, requested)
    if contents["fitted"] is not None:
        estimator._fitted = _fitted(contents["fitted"], reader)
        estimator.network_ = estimator._fitted.network
    attributes = {name: reader.read(value) for name, value in contents["attributes"].items()}
    check(not set(_SEPARATE_ATTRIBUTES) & set(attributes), "The file sets reserved attributes")
    set_attributes(estimator, attributes)
    _check_attributes(estimator)
    return estimator


def _fitted(saved: Json, reader: Reader) -> Fitted:
    network = _network(saved, reader)
    solver, seed, step = reader.read(saved["solver"]), saved["root_seed"], saved["step"]
    check(isinstance(solver, Solver), f"The file has the solver {solver!r}")
    check(_is_count(seed) and _is_count(step), f"The file has the seed {seed!r} and the step {step!r}")
    weights, slots = ({n: reader.read(v) for n, v in saved[kind].items()} for kind in ("weights", "slots"))
    for name, array in [*weights.items(), *slots.items()]:
        check(isinstance(array, np.ndarray), f"The file has no array for {name}")
    for name, weight in network.weights.items():
        # builders may have weights of other names, or additional ones
        array = weights.get(name)
        fits = array is None or (array.shape, array.dtype) == (weight.shape, network.dtype)
        check(fits, f"{name} has another shape or dtype")
    _check_slots(slots, weights, solver.slots)
    fitted = Fitted(network, solver, seed)
    fitted.__setstate__({**fitted.__getstate__(), "_state": State(weights, slots, step)})
    return fitted


def _network(saved: Json, reader: Reader) -> Network:
    taken, output = reader.read(saved["input"]), reader.read(saved["output"])
    check(isinstance(taken, Input) and isinstance(output, Output), "The file's network has no input, or no output")
    check(saved["dtype"] in ("float32", "float64"), f"The file's network has the dtype {saved['dtype']!r}")
    computes = saved.get("compute_dtype")  # missing in files of earlier versions
    check(computes in (None, "bfloat16"), f"The file's network computes in {computes!r}")
    stages: list[Stage] = []
    width = saved["n_features"]
    for stage in saved["stages"]:
        layer = taken if stage["layer"] is None else reader.read(stage["layer"])
        check(
            isinstance(stage["name"], str) and isinstance(layer, (Layer, Input)),
            "The file's network has invalid layers",
        )
        leaving = layer.n_outputs(width)
        check([width, leaving] == stage["widths"], f"The widths of {stage['name']} are not those of its neighbours")
        stages.append(Stage(stage["name"], layer, width, leaving))
        width = leaving
    check(stages and stages[0].layer is taken, "The file's network does not begin with its input")
    check(width == output.n_outputs_, "The file's network does not end with its output")
    network = Network(taken, tuple(stages), output, saved["n_features"], saved["dtype"], computes)
    hash(network.structure())
    check(np.isfinite(network.scalars()).all(), "The file's network has parameters that are not finite")
    return network


def _check_slots(slots: Arrays, weights: Arrays, names: Any) -> None:
    owners = dict.fromkeys(name.rpartition("/")[0] for name in slots)
    expected = {f"{owner}/{name}" for owner in owners for name in names}
    check(expected == set(slots) and owners.keys() <= weights.keys(), "The solver's memory is not that of the solver")
    for name, array in slots.items():
        like = weights[name.rpartition("/")[0]]
        check((array.shape, array.dtype) == (like.shape, like.dtype), f"{name} has the shape {array.shape}")


def _check_attributes(estimator: Any) -> None:
    """Refuse fitted attributes with which ``predict`` or ``partial_fit`` would return nonsense."""
    if not hasattr(estimator, "_fitted"):
        return
    output, n_features = estimator.network_.output, estimator.network_.n_features
    kind = estimator._estimator_type_name()
    check(output.estimator_type == kind, f"The file has a {kind} with the output of a {output.estimator_type}")
    check(estimator.n_features_in_ == n_features, "n_features_in_ is not the width of the network")
    check(_is_count(estimator.n_iter_), f"n_iter_ is {estimator.n_iter_!r}")
    builder = getattr(estimator, "builder_", "")  # missing in files of earlier versions
    check(isinstance(builder, str), f"builder_ is {builder!r}")
    check(all(type(loss) is float for loss in estimator.loss_curve_), "loss_curve_ has more than numbers")
    check(
        len(getattr(estimator, "feature_names_in_", range(n_features))) == n_features,
        "feature_names_in_ has another length",
    )
    if kind == "classifier":
        check(np.array_equal(estimator.classes_, output.classes_), "classes_ are not those of the output")


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0
