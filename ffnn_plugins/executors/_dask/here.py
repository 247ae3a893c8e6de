"""The machine of a Dask worker, as a host for child processes that run its tasks."""

from __future__ import annotations

import dataclasses
import sys

from ffnn.parallel.hosts.local import LocalHost
from ffnn.parallel.hosts.provisioner import Command, Facts
from ffnn.parallel.sharing.pipelines import FOLDER_VARIABLE
from ffnn_plugins.executors._dask.folder import REAPER, Folder

__all__ = ["Here"]


class Here(LocalHost):
    """The machine, whose store is shared by all Dask workers on it.

    Parameters
    ----------
    name : str
        The Dask worker's address.
    n_workers : int
        The number of its threads.
    n_threads : int
        The threads that each child may use.
    folder : Folder
        The data of the run on this host.
    """

    def __init__(self, name: str, n_workers: int, n_threads: int, folder: Folder) -> None:
        super().__init__(n_workers, n_threads)
        self.name = name
        self._folder = folder

    def command(self, slot: int, start: str, facts: Facts) -> Command:
        """Return the command of a child; after its end the folder is removed if no Dask worker uses it."""
        command = super().command(slot, start, facts)
        shared = {FOLDER_VARIABLE: self._folder.shared} if self.shares else {}
        return dataclasses.replace(
            command,
            environment={**command.environment, "FFNN_STORE": self._folder.data, **shared},
            after=[sys.executable, "-I", "-S", "-c", REAPER, self._folder.path],
        )
