"""A fitted network: in an engine while it is used, as plain arrays when it is pickled."""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

from ffnn._utils.forks import check_not_forked
from ffnn._utils.keys import parameters_key
from ffnn.builder import Builder
from ffnn.model import Model, State
from ffnn.network import Network
from ffnn.solver import Solver
from ffnn.training.epochs import initial_generator

if TYPE_CHECKING:
    pass

__all__ = ["Fitted"]


class Fitted:
    """A network with its weights, the solver's slots and the seed of its random numbers.

    Its pickles and copies consist of NumPy arrays and plain values. The model is built when it is first needed; where
    another builder is asked for later, the state moves there.

    Parameters
    ----------
    network : Network
        The description.
    solver : Solver
        The solver that trains it.
    root_seed : int
        The seed of the initial weights, the order of rows and dropout.
    state : State or None
        The weights and the solver's slots; None draws the weights when the model is built.
    """

    def __init__(self, network: Network, solver: Solver, root_seed: int, state: State | None = None) -> None:
        self.network: Network = network
        self.solver: Solver = solver
        self.root_seed = root_seed
        self._state = state
        self._model: Model | None = None
        self._built_by: Hashable = None
        self._builder: Builder | None = None  # of the model
        self._process = -1  # in which it lives
        self._lock = threading.RLock()

    def model(self, builder: Builder) -> Model:
        """Return the network's model on a builder: with its state, or with freshly drawn weights if it has none yet.

        Raises
        ------
        EngineNotInstalledError
            If the builder's engine is not there.
        ForkedEngineError
            In a forked child of the process in which the model was made.
        ValueError
            If the state is that of another architecture, as a user's own Keras model may be.
        """
        self._check_usable()
        builder.check_running()
        key = builder.structure()
        with self._lock:
            if self._model is None or self._built_by != key:
                builder.check_installed()
                state = self.state
                model = builder.model(self.network, self.solver)
                model.set_state(state or State(model.initial_weights(initial_generator(self.root_seed))))
                self._model, self._built_by, self._state = model, key, None
                self._builder, self._process = builder, os.getpid()
            return self._model

    def is_on(self, builder: Builder) -> bool:
        """Return whether there is a model, and this builder has made it."""
        return self._model is not None and self._built_by == builder.structure()

    def change(self, network: Network, solver: Solver) -> None:
        """Go on with a network of the same weights (another dropout rate, say), or with another solver.

        Another solver starts with an empty memory, at its first step.
        """
        same_solver = parameters_key(solver) == parameters_key(self.solver)
        same_network = network.structure() == self.network.structure() and np.array_equal(
            network.scalars(), self.network.scalars()
        )
        if same_solver and same_network:
            return
        with self._lock:
            state = self.state
            self._state = state if same_solver or state is None else State(state.weights)
            self._model = None
            self.network, self.solver = network, solver

    def branch(self) -> Fitted:
        """Return a fitted network that takes over the model for further training; this one keeps a copy of its state.

        So an estimator stays as it is while a draft of it is trained, at the cost of one copy of the network.
        """
        with self._lock:
            other = Fitted(self.network, self.solver, self.root_seed)
            other._built_by, other._builder, other._process = self._built_by, self._builder, self._process
            state = self.state
            other._model, other._state = self._model, None if self._model is not None else state
            self._model, self._state = None, state
        return other

    @property
    def state(self) -> State | None:
        """A copy of the whole state as arrays; None before the first model."""
        self._check_usable()
        with self._lock:
            return self._state if self._model is None else self._model.get_state()

    def _check_usable(self) -> None:
        """Refuse a model whose engine cannot run here, or that belongs to the process this one was forked from."""
        if self._model is None or self._builder is None:
            return
        if self._process != os.getpid() and not self._builder.survives_fork:
            check_not_forked()
        self._builder.check_running()

    def __getstate__(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "solver": self.solver,
            "root_seed": self.root_seed,
            "_state": self.state,
        }

    def __setstate__(self, saved: dict[str, Any]) -> None:
        Fitted.__init__(self, saved["network"], saved["solver"], saved["root_seed"], saved["_state"])
