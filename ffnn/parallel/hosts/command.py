"""The properties of a host, and the commands to run on it: the types that provisioners and connections exchange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Command", "Facts"]


@dataclass(frozen=True)
class Facts:
    """The properties of a host, as its agent reports them when it starts.

    Attributes
    ----------
    hostname, user, python : str
        The host's own name, the account, and the version of the Python that runs the agent.
    pid : int
        The agent's process id.
    cpus : int
        The number of CPUs that the account may use.
    memory : int
        Bytes of memory.
    gpus : tuple of str
        The NVIDIA GPUs, as ``CUDA_VISIBLE_DEVICES`` would name them.
    folder : str
        The folder of this run on the host, of mode 0700, which is removed with the agent; ``data`` in it is the store,
        ``shared`` what workers compute for each other.
    time : float
        The host's clock: seconds since 1970.
    """

    hostname: str
    user: str
    python: str
    pid: int
    cpus: int
    memory: int
    gpus: tuple[str, ...]
    folder: str
    time: float

    @property
    def store(self) -> str:
        """The folder of the data that has been sent to the host."""
        return f"{self.folder}/data"

    @property
    def shared(self) -> str:
        """The folder of what the workers of the host share."""
        return f"{self.folder}/shared"


@dataclass(frozen=True)
class Command:
    """A command line for an agent to run, with its environment.

    Attributes
    ----------
    argv : sequence of str
        The program and its arguments; a leading ``~`` of the program is the account's home.
    environment : mapping of str to str
        Variables added to the agent's environment; sent over the agent's standard input, never on a command line.
    inherit : bool
        Whether the command inherits the agent's environment; if not, `environment` is the whole environment.
    after : sequence of str
        A command that is always run when the first one has ended, for instance to remove a container; may be empty.
    """

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    inherit: bool = True
    after: Sequence[str] = ()
