"""Feed-forward neural networks as scikit-learn estimators, on the engine of the user's choice.

All public names are available here. They are imported at first use, so ``import ffnn`` loads no engine.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import joblib

from ffnn._version import __version__ as __version__

if TYPE_CHECKING:
    from ffnn import callbacks, preprocessing, presets
    from ffnn.builders.keras import KerasBuilder
    from ffnn.builders.tensorflow import TensorFlowBuilder
    from ffnn.classifier import MLPClassifier
    from ffnn.displays import LossCurveDisplay, PredictionGradientDisplay, SearchDisplay
    from ffnn.ensembles import ensemble
    from ffnn.exporting import export
    from ffnn.parallel.journal.journal import Journal
    from ffnn.parallel.pool import make_backend_factory, pool
    from ffnn.parallel.pruning.policy import PruningPolicy, SuccessiveHalving
    from ffnn.parallel.sharing.cached import cached
    from ffnn.persistence import load, save
    from ffnn.regressor import MLPRegressor
    from ffnn.schedules import Cosine, CosLog, Exponential, InverseScaling, Linear, OneCycle, Stepwise, WarmUp
    from ffnn.solvers import LBFGS, SGD, Adagrad, Adam, AdamW, RMSprop

_HOMES = {
    "Adagrad": "ffnn.solvers",
    "Adam": "ffnn.solvers",
    "AdamW": "ffnn.solvers",
    "CosLog": "ffnn.schedules",
    "Cosine": "ffnn.schedules",
    "Exponential": "ffnn.schedules",
    "InverseScaling": "ffnn.schedules",
    "Journal": "ffnn.parallel.journal.journal",
    "KerasBuilder": "ffnn.builders.keras",
    "LBFGS": "ffnn.solvers",
    "Linear": "ffnn.schedules",
    "LossCurveDisplay": "ffnn.displays",
    "MLPClassifier": "ffnn.classifier",
    "MLPRegressor": "ffnn.regressor",
    "OneCycle": "ffnn.schedules",
    "PredictionGradientDisplay": "ffnn.displays",
    "PruningPolicy": "ffnn.parallel.pruning.policy",
    "RMSprop": "ffnn.solvers",
    "SGD": "ffnn.solvers",
    "SearchDisplay": "ffnn.displays",
    "Stepwise": "ffnn.schedules",
    "SuccessiveHalving": "ffnn.parallel.pruning.policy",
    "TensorFlowBuilder": "ffnn.builders.tensorflow",
    "WarmUp": "ffnn.schedules",
    "cached": "ffnn.parallel.sharing.cached",
    "callbacks": "ffnn.callbacks",
    "ensemble": "ffnn.ensembles",
    "export": "ffnn.exporting",
    "load": "ffnn.persistence",
    "make_backend_factory": "ffnn.parallel.pool",
    "pool": "ffnn.parallel.pool",
    "preprocessing": "ffnn.preprocessing",
    "presets": "ffnn.presets",
    "save": "ffnn.persistence",
}

__all__ = [
    "LBFGS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "CosLog",
    "Cosine",
    "Exponential",
    "InverseScaling",
    "Journal",
    "KerasBuilder",
    "Linear",
    "LossCurveDisplay",
    "MLPClassifier",
    "MLPRegressor",
    "OneCycle",
    "PredictionGradientDisplay",
    "PruningPolicy",
    "RMSprop",
    "SearchDisplay",
    "Stepwise",
    "SuccessiveHalving",
    "TensorFlowBuilder",
    "WarmUp",
    "cached",
    "callbacks",
    "ensemble",
    "export",
    "load",
    "make_backend_factory",
    "pool",
    "preprocessing",
    "presets",
    "save",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ffnn' has no attribute {name!r}; it has {', '.join(__all__)}")
    module = importlib.import_module(_HOMES[name])
    value = module if module.__name__ == f"ffnn.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])


def _backend(*args: Any, **kwargs: Any) -> Any:
    from ffnn.parallel.backend import FfnnBackend

    return FfnnBackend(*args, **kwargs)


joblib.register_parallel_backend("ffnn", _backend)
