"""The base class of builders: plugins that turn a network into a trainable model on one engine."""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, ClassVar

from sklearn.base import BaseEstimator

from ffnn._utils.documentation import DocumentedMixin
from ffnn._utils.keys import parameters_key
from ffnn.exceptions import EngineNotInstalledError
from ffnn.model import Model

if TYPE_CHECKING:
    from ffnn.network import Network
    from ffnn.solver import Solver
    from ffnn.training.listeners import Listener, Run

__all__ = ["Builder", "can_be_found"]


class Builder(DocumentedMixin, BaseEstimator, ABC):
    """Turns a network into a model on one engine. Constructing one imports no engine."""

    #: The engine's top-level module, and what to install for it.
    engine: ClassVar[str]
    requirement: ClassVar[str]
    #: What the error adds where the engine is not installed: another way.
    otherwise: ClassVar[str] = ""
    #: Whether a forked child can use the models of its parent, which an engine with threads cannot.
    survives_fork: ClassVar[bool] = False

    @abstractmethod
    def model(self, network: Network, solver: Solver) -> Model:
        """Return a model of the network that can be trained by the solver; its state is not set yet."""

    def check_network(self, network: Network, solver: Solver) -> None:
        """Raise an error if this builder does not have what a network or its solver is made of; by default it has all.

        It is called before each training, and builds nothing.

        Raises
        ------
        UnsupportedError
            That names what is missing, and another builder.
        """

    def suits(self, network: Network, solver: Solver, n_rows: int, batch_size: int) -> bool:
        """Return whether ``builder="auto"`` may take this builder before another one that can train the network, too.

        The answer follows from the arguments and the builder's parameters alone, so that the same call trains on the
        same builder. It is asked only for networks that :meth:`check_network` passes.

        Parameters
        ----------
        network : Network
            The description.
        solver : Solver
            What is to train it.
        n_rows, batch_size : int
            The number of samples, and of those of a step.
        """
        return True

    def structure(self) -> Hashable:
        """Return the key of the models that this builder makes; when it changes, the state moves to a new model."""
        return parameters_key(self)

    def listeners(self, run: Run) -> Sequence[Listener]:
        """Return the engine's own listeners of a training, such as its callbacks; none by default."""
        return ()

    def import_engine(self) -> None:
        """Import the engine, as :meth:`model` does; workers call this before a task is timed."""
        importlib.import_module(self.engine)

    def check_running(self) -> None:
        """Raise an error if the engine cannot run here, called before a model is used; does nothing by default."""

    def check_installed(self, parameter: str = "builder") -> None:
        """Raise an error if the engine is not installed, without importing it.

        Raises
        ------
        EngineNotInstalledError
            With the command that installs it.
        """
        if not can_be_found(self.engine):
            raise EngineNotInstalledError(
                f"{parameter}={self!r} needs {self.engine}, which is not installed. "
                f"Install it with: python -m pip install '{self.requirement}'{self.otherwise}"
            )


def can_be_found(module: str) -> bool:
    """Return whether a module is installed, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # somebody keeps it from being imported
        return False
