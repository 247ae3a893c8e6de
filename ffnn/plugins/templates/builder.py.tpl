"""The builder ``$name``."""

from __future__ import annotations

import time
from typing import Any

from ffnn.model import EpochPlan, Model
from ffnn.network import Network
from ffnn.solver import Solver
from ffnn_plugins.builders.native import NativeBuilder


class TimedModel:
    """A model that does what another does, and notes how long each epoch takes.

    Attributes
    ----------
    seconds : list of float
        The wall time of each epoch.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.seconds: list[float] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # as copying and pickling ask for
            raise AttributeError(name)
        return getattr(self._model, name)

    def train_epoch(self, plan: EpochPlan) -> float:
        """Train an epoch."""
        start = time.perf_counter()
        loss = self._model.train_epoch(plan)
        self.seconds.append(time.perf_counter() - start)
        return loss

    @property
    def native(self) -> TimedModel:
        """The model itself, which is what the estimator's ``model_`` gives."""
        return self


class $cls(NativeBuilder):
    """Builds as ``native`` does, and times the epochs.

    A builder of an engine of your own derives from ``ffnn.builder.Builder``, names that engine, and returns a model
    that has all of ``ffnn.model.Model``.
    """

    def model(self, network: Network, solver: Solver) -> Any:
        """Return a model of the network."""
        return TimedModel(super().model(network, solver))
