"""The parameters of other libraries with ffnn's equivalents, for errors and for the pages on coming from them."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

__all__ = ["NAMES", "Equivalent", "explains_unknown_names", "unknown_parameter", "value_hint"]

P = ParamSpec("P")
Self = TypeVar("Self")


class Equivalent(NamedTuple):
    """The equivalent of another library's parameter.

    Attributes
    ----------
    code : str
        A parameter or an argument of ffnn; empty if there is none.
    note : str
        A sentence about it.
    """

    code: str
    note: str


_SOLVER = "a name such as 'adam', or an instance such as ffnn.Adam(beta_1=0.8), instead of a class"
_EPOCHS = Equivalent("n_epochs", "the number of passes over the data; 'auto' is 10, and more on small data")
_HIDDEN = Equivalent("hidden_units", "the units of each hidden layer, such as (100,) or (256, 128)")
_RATE = Equivalent("learning_rate", "a number such as 1e-3, or a schedule such as ffnn.Cosine(1e-3)")
_OPTIMIZER = Equivalent("solver", _SOLVER)
_LOSS = Equivalent("output_layer", "the kind of y selects the loss; the page on outputs lists the others")
_SCORE = Equivalent("scoring", "any of scikit-learn's scorers, computed on the validation data after each epoch")
_FRACTION = Equivalent(
    "validation_fraction", "used where early_stopping=True; validation data of your own is fit(..., X_val=, y_val=)"
)
_MODEL = Equivalent(
    "builder=KerasBuilder(build=function)", "a Keras model of your own; without one, hidden_units and block describe it"
)
_CALLBACKS = Equivalent(
    "builder=KerasBuilder(callbacks=[...])", "Keras's callbacks; scikit-learn's are given to set_callbacks"
)
_SHUFFLE = Equivalent("", "Leave it out: the samples are always shuffled, and random_state repeats the order.")
_VERBOSE = Equivalent("verbose", "1 shows a progress bar, 0 nothing, which is the default")
_STATE = Equivalent("random_state", "the same")
_WARM = Equivalent("warm_start", "the same, and the solver's state is kept, too")
_BATCH = Equivalent("batch_size", "the same; 64 by default")
_FIT_KWARGS = Equivalent("", "Leave it out: n_epochs, batch_size and verbose are parameters of the estimator.")

_KERAS_FIT = {
    "epochs": _EPOCHS,
    "batch_size": _BATCH,
    "validation_split": _FRACTION,
    "callbacks": _CALLBACKS,
    "class_weight": Equivalent("class_weight", "the same, by label"),
    "shuffle": _SHUFFLE,
    "verbose": _VERBOSE,
}

#: For each library its parameters and what to write for them here. ``other`` are names from elsewhere.
NAMES: dict[str, dict[str, Equivalent]] = {
    "scikit-learn": {
        "hidden_layer_sizes": _HIDDEN,
        "activation": Equivalent("activation", "the same names, and more"),
        "solver": Equivalent("solver", "the same names, and more"),
        "alpha": Equivalent("weight_decay", "scikit-learn's alpha divided by its batch size: 1e-4 is 1e-4 / 200"),
        "batch_size": Equivalent("batch_size", "a number; scikit-learn's 'auto' is min(200, n_samples)"),
        "learning_rate": Equivalent(
            "learning_rate", "a number or a schedule; 'invscaling' is ffnn.InverseScaling(), 'constant' the number"
        ),
        "learning_rate_init": _RATE,
        "power_t": Equivalent("learning_rate=ffnn.InverseScaling(power=0.5)", "a parameter of the schedule"),
        "max_iter": Equivalent("n_epochs", "the number of passes over the data; scikit-learn's default is 200"),
        "shuffle": _SHUFFLE,
        "random_state": _STATE,
        "tol": Equivalent("tol", "the same; used where early_stopping is set"),
        "verbose": _VERBOSE,
        "warm_start": _WARM,
        "momentum": Equivalent("solver=ffnn.SGD(momentum=0.9)", "a parameter of the solver"),
        "nesterovs_momentum": Equivalent("solver=ffnn.SGD(nesterov=True)", "a parameter of the solver"),
        "early_stopping": Equivalent(
            "early_stopping", "True is the same; scikit-learn's False, which follows the training loss, is 'training'"
        ),
        "validation_fraction": Equivalent("validation_fraction", "the same"),
        "beta_1": Equivalent("solver=ffnn.Adam(beta_1=0.9)", "a parameter of the solver"),
        "beta_2": Equivalent("solver=ffnn.Adam(beta_2=0.999)", "a parameter of the solver"),
        "epsilon": Equivalent("solver=ffnn.Adam(epsilon=1e-8)", "a parameter of the solver"),
        "n_iter_no_change": Equivalent(
            "n_iter_no_change", "scikit-learn's plus one: it stops when its number is exceeded"
        ),
        "max_fun": Equivalent("solver=ffnn.LBFGS(max_evaluations=20)", "the evaluations of an iteration, not of all"),
        "loss": _LOSS,
    },
    "scikeras": {
        "model": _MODEL,
        "build_fn": _MODEL,
        "optimizer": _OPTIMIZER,
        "loss": _LOSS,
        "metrics": _SCORE,
        **_KERAS_FIT,
        "validation_batch_size": Equivalent("", "Leave it out: validation data is predicted in batches by itself."),
        "run_eagerly": Equivalent("", "Leave it out: an epoch is one call into the engine."),
        "warm_start": _WARM,
        "random_state": _STATE,
    },
    "Keras": {
        "model": _MODEL,
        "model_kwargs": Equivalent("", "Leave it out: each argument is a parameter of the estimator, such as dropout."),
        "fit_kwargs": _FIT_KWARGS,
        "warm_start": _WARM,
        **{f'fit_kwargs["{name}"]': found for name, found in _KERAS_FIT.items()},
    },
    "skorch": {
        "module": Equivalent("hidden_units", "with activation, dropout and block; no PyTorch module can be given"),
        "criterion": _LOSS,
        "optimizer": _OPTIMIZER,
        "lr": _RATE,
        "max_epochs": _EPOCHS,
        "batch_size": _BATCH,
        "train_split": _FRACTION,
        "callbacks": _CALLBACKS,
        "warm_start": _WARM,
        "verbose": _VERBOSE,
        "device": Equivalent("device", "'cpu', 'gpu' or 'gpu:1' instead of 'cuda'"),
        "iterator_train": Equivalent("", "Leave it out: X is an array or a CSR matrix; partial_fit takes parts of it."),
        "iterator_valid": Equivalent("", "Leave it out: validation data is fit(..., X_val=, y_val=)."),
        "dataset": Equivalent("", "Leave it out: X is an array or a CSR matrix."),
        "predict_nonlinearity": Equivalent("", "Leave it out: predict_proba gives probabilities by itself."),
        "compile": Equivalent("", "Leave it out: networks are compiled by themselves."),
    },
    "muffnn": {
        "hidden_units": Equivalent("hidden_units", "the same"),
        "batch_size": _BATCH,
        "n_epochs": Equivalent("n_epochs", "the same; muffnn's default is 5"),
        "keep_prob": Equivalent("dropout", "1 - keep_prob, the fraction that is dropped"),
        "activation": Equivalent("activation", "a name such as 'relu', or a function"),
        "random_state": _STATE,
        "solver": _OPTIMIZER,
        "solver_kwargs": Equivalent("solver=ffnn.Adam(...)", "its parameters; learning_rate is the estimator's"),
        "transform_layer_index": Equivalent("transform_layer_index", "the same; -1, the last layer, by default"),
    },
    "other": {
        **dict.fromkeys(("epoch", "num_epochs", "nb_epoch", "n_iter", "max_epoch"), _EPOCHS),
        **dict.fromkeys(
            (
                "hidden",
                "hidden_layers",
                "hidden_size",
                "hidden_sizes",
                "hidden_dim",
                "hidden_dims",
                "n_hidden",
                "layers",
            ),
            _HIDDEN,
        ),
        **dict.fromkeys(
            ("n_layers", "num_layers", "n_hidden_layers"),
            Equivalent("hidden_units", "its length is the number of hidden layers: (256,) * 3 has three"),
        ),
        **dict.fromkeys(("eta", "eta0", "step_size"), _RATE),
        **dict.fromkeys(
            ("dropout_rate", "p_dropout"), Equivalent("dropout", "the fraction dropped, such as 0.5; None for none")
        ),
        **dict.fromkeys(
            ("l2", "l2_reg", "penalty", "weight_decay_rate"), Equivalent("weight_decay", "a number; 0.0 for none")
        ),
        **dict.fromkeys(("seed", "random_seed"), Equivalent("random_state", "an integer makes fit repeatable")),
        "patience": Equivalent("n_iter_no_change", "the epochs without improvement; set early_stopping=True, too"),
        "engine": Equivalent("builder", "'native', 'tf' or 'keras'"),
        "backend": Equivalent("builder", "'native', 'tf' or 'keras'"),
    },
}

#: What to write for the value of a parameter, by parameter and the value in small letters.
_VALUES: dict[str, dict[str, str]] = {
    "batch_size": {"auto": "Use batch_size=200 for scikit-learn's 'auto', or leave it at 64."},
    "learning_rate": {
        "invscaling": "Use learning_rate='inverse_scaling', or ffnn.InverseScaling(1e-3, power=0.5).",
        "adaptive": "There is no schedule that follows the loss: use one that falls, learning_rate=ffnn.Cosine(1e-3), "
        "or early_stopping=True.",
        "auto": "Use a number: learning_rate=1e-3 is the default.",
    },
    "builder": {
        "tensorflow": "Use builder='tf'.",
        "numpy": "Use builder='native'.",
        "c": "Use builder='native'.",
        **dict.fromkeys(
            ("torch", "pytorch", "jax"),
            "Use builder='keras' with the environment variable KERAS_BACKEND={backend}, or builder='auto'.",
        ),
    },
    "early_stopping": {
        "loss": "Use early_stopping='training' for the training loss, or True for that of validation data.",
        "auto": "Use early_stopping=True, or 'training' to follow the training loss.",
        **dict.fromkeys(
            ("validation", "val_loss", "valid_loss"),
            "Use early_stopping=True, which watches validation data; scoring says by which score.",
        ),
    },
    "solver": {
        "l-bfgs": "Use solver='lbfgs'.",
        "nadam": "Use solver='adam'.",
        "momentum": "Use solver=ffnn.SGD(momentum=0.9).",
        "nesterov": "Use solver=ffnn.SGD(momentum=0.9, nesterov=True).",
    },
    "device": {"cuda": "Use device='gpu'.", "auto": "Use device=None, the engine's choice."},
}
_BACKENDS = {"pytorch": "torch"}


def value_hint(parameter: str, value: Any, names: Iterable[str] = ()) -> str:
    """Return a sentence on what to write for a value that another library takes, or an empty string.

    Parameters
    ----------
    parameter : str
        The parameter.
    value : object
        The value that it does not take.
    names : iterable of str, optional
        The names that it takes; one that differs in capitals, dashes and spaces alone is the one meant.
    """
    if not isinstance(value, str):
        return ""
    small = value.lower()
    hint = _VALUES.get(parameter, {}).get(small)
    if hint is not None:
        return " " + hint.replace("{backend}", _BACKENDS.get(small, small))
    plain = _plain(value)
    return next((f" Use {parameter}={name!r}." for name in names if _plain(name) == plain), "")


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


def unknown_parameter(owner: str, name: str, known: Iterable[str]) -> str:
    """Return the message for a parameter that an estimator lacks: what to write instead, and the parameters it has.

    Parameters
    ----------
    owner : str
        The estimator's class.
    name : str
        The parameter.
    known : iterable of str
        The parameters that it has.
    """
    known = list(known)
    found = next((names[name] for names in NAMES.values() if name in names), None)
    if found is not None and (not found.code or found.code.partition("=")[0] in known):
        remedy = f" Use {found.code}: {found.note}." if found.code else f" {found.note}"
    else:
        near = difflib.get_close_matches(name, known, n=1)
        remedy = f" Did you mean {near[0]!r}?" if near else ""
    return f"{owner} has no parameter {name!r}.{remedy} Its parameters: {', '.join(known)}."


def explains_unknown_names(
    init: Callable[Concatenate[Self, P], None],
) -> Callable[Concatenate[Self, P], None]:
    """Decorate an estimator's ``__init__``: the ``TypeError`` for an unknown name says what to write instead.

    The signature stays what it is, for scikit-learn too.
    """
    known = [name for name in inspect.signature(init).parameters if name != "self"]
    names = frozenset(known)

    @functools.wraps(init)
    def checked(self: Self, /, *args: P.args, **kwargs: P.kwargs) -> None:
        if not kwargs.keys() <= names:
            raise TypeError(unknown_parameter(type(self).__name__, _first_unknown(kwargs, names), known))
        init(self, *args, **kwargs)

    return checked


def _first_unknown(given: Mapping[str, Any], known: frozenset[str]) -> str:
    return next(name for name in given if name not in known)
