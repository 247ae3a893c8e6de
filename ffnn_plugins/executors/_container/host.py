"""A host whose workers run in containers: a provisioner that wraps another one."""

from __future__ import annotations

import json
import math
import secrets
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ffnn
from ffnn.exceptions import HostError
from ffnn.parallel.agent import supervisor
from ffnn.parallel.hosts.command import Command, Facts
from ffnn.parallel.hosts.provisioner import Provisioner
from ffnn.parallel.hosts.remote import Completed, ConnectedHost
from ffnn.parallel.preflight.check import check_versions
from ffnn.parallel.preflight.compare import public, report
from ffnn.parallel.sharing.pipelines import FOLDER_VARIABLE
from ffnn.parallel.words import plural

__all__ = ["ENGINES", "VARIABLE", "Container", "ContainerHost", "Mount"]

ENGINES = ("podman", "docker")  # the first one that is there
VARIABLE = "FFNN_ENVIRONMENT"
_NOBODY = "65534:65534"
_DATA, _SHARED, _TMP = "/ffnn/data", "/ffnn/shared", "/ffnn/tmp"
_MIB = 2**20
_LOOK = 60.0  # seconds for the engine to answer
_BY_ENGINE, _BY_PROGRAM = 125, (126, 127)  # the exit codes of podman and docker: theirs, or "no such program"

# The program of PID 1. The workers' variables are sent as the value of one variable, since the engine's client would
# obey HOME or DOCKER_HOST, and every account on the host can read command lines. The supervisor is sent the same way:
# it starts in milliseconds, since it imports nothing of ffnn.
_ENTER = f"""\
import json, os, sys
order = json.loads(os.environ.pop({VARIABLE!r}))
os.environ.update(order["environment"])
exec(compile(order["program"], "ffnn-supervisor", "exec")) if order["program"] else os.execvp(sys.argv[1], sys.argv[1:])
"""
# It changes the folder, since the engine leaves a file "oom" in the current one. It ends as the process in the
# container did, by the same signal, which the engine's client turns into an exit code.
_RUN = 'cd "$1" && shift || exit; "$@"; code=$?; [ $code -le 128 ] || kill -$((code - 128)) $$; exit $code'


@dataclass(frozen=True)
class Mount:
    """A path of the host that the container sees."""

    source: str
    target: str
    writable: bool = False

    @property
    def argument(self) -> str:
        """The value of ``--mount`` for podman and docker, which, unlike ``-v``, creates no missing folder."""
        return f"type=bind,source={self.source},target={self.target}" + ("" if self.writable else ",readonly")


@dataclass(frozen=True)
class Container:
    """The checked options of each container; see :class:`ContainerExecutor`."""

    image: str
    cpus: float
    memory: int
    pids: int
    python: str = "python3"
    engine: tuple[str, ...] | None = None
    mounts: tuple[Mount, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    ignore_versions: tuple[str, ...] = ()

    def run(self, engine: Sequence[str], name: str, *more: str) -> list[str]:
        """Return the command that runs a program in a container; the program's arguments are appended."""
        mounts = [word for mount in self.mounts for word in ("--mount", mount.argument)]
        return [
            *(*engine, "run", "--rm", "-i", "--name", name, "--pull", "never"),
            *("--log-driver", "none"),  # otherwise the engine logs all of the worker's answers to disk
            *("--network", "none", "--read-only", "--tmpfs", f"{_TMP}:rw,exec,nosuid,nodev,mode=1777"),
            *("--cap-drop", "all", "--security-opt", "no-new-privileges", "--user", _NOBODY),
            *("--memory", str(self.memory), "--memory-swap", str(self.memory)),
            *("--cpus", f"{self.cpus:g}", "--pids-limit", str(self.pids)),
            *("--stop-timeout", "0"),  # it is removed at once
            *("--workdir", _TMP, "--env", VARIABLE, *mounts, *more, *self.arguments),
            *("--entrypoint", self.python, self.image, "-I", "-S", "-c", _ENTER),
        ]

    def order(self, environment: dict[str, str], program: str = "") -> dict[str, str]:
        """Return the variable that holds the environment and the supervisor of the program in the container."""
        return {VARIABLE: json.dumps({"environment": environment, "program": program})}


class ContainerHost(Provisioner):
    """A host whose workers run in containers, each in its own.

    Parameters
    ----------
    inner : Provisioner
        The host on which the engine is: this machine, or one that is reached over SSH.
    container : Container
        The options of each container.
    """

    def __init__(self, inner: Provisioner, container: Container) -> None:
        self.inner = inner
        self.container = container
        self.name = inner.name
        self.n_workers = inner.n_workers
        self.python = container.python
        self.lease = inner.lease
        self._engine = container.engine or ENGINES[:1]

    def start(self) -> subprocess.Popen[bytes]:
        return self.inner.start()

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        self.inner.stop(process)

    def logs(self, stderr: str) -> str:
        return self.inner.logs(stderr)

    def explain(self, exit_code: int | None, stderr: str) -> HostError:
        return self.inner.explain(exit_code, stderr)

    def command(self, slot: int, start: str, facts: Facts) -> Command:
        container = self.container
        name = f"ffnn-{start}"
        home = {"HOME": _TMP, "TMPDIR": _TMP, "XDG_CACHE_HOME": f"{_TMP}/.cache", "USER": "ffnn", "LOGNAME": "ffnn"}
        environment = home | self.worker_environment(slot, facts, math.ceil(container.cpus))
        environment |= {**container.environment, "FFNN_STORE": _DATA}
        # z: under SELinux, containers may read the store
        volumes = ["--volume", f"{facts.store}:{_DATA}:ro,z"]
        if self.shares:
            environment[FOLDER_VARIABLE] = _SHARED
            volumes += ["--volume", f"{facts.shared}:{_SHARED}:rw,z"]
        argv = container.run(self._engine, name, *volumes)
        return Command(
            ["sh", "-c", _RUN, "sh", facts.folder, *argv, container.python, "-m", "ffnn.parallel.tasks.child"],
            container.order(environment, Path(supervisor.__file__).read_text(encoding="utf-8")),
            after=[*self._engine, "rm", "-f", name],
        )

    # --- the preflight

    def check(self, host: ConnectedHost) -> None:
        """Check that a container can run: engine, resources, image, mounts, and the versions in the image."""
        self._engine = self._find_engine(host)
        self._check_resources(host.facts)
        self._check_image(host)
        self._check_mounts(host)
        container = self.container
        try:
            inside = _ContainerRunner(self, host)
            check_versions(inside, [container.python], ignore=container.ignore_versions, remedy=self._remedy)
        except HostError as error:
            error.host = self.name
            raise

    def error(self, message: str) -> HostError:
        """Make an error that names the host."""
        return HostError(f"host {self.name}: {message}", self.name)

    def _find_engine(self, host: ConnectedHost) -> tuple[str, ...]:
        wanted = self.container.engine
        names = ENGINES if wanted is None else wanted[:1]
        found = host.run(["sh", "-c", 'for name; do command -v "$name" && exit; done; exit 1', "sh", *names])
        if found.exit_code == 0:
            return wanted or (found.stdout.decode().strip(),)
        if wanted is None:
            raise self.error(
                "there is no container engine: neither podman nor docker was found on its PATH. Install one (Debian "
                "and Ubuntu: apt-get install podman; Fedora: dnf install podman), or name it: engine='/path/to/it'."
            )
        raise self.error(
            f"engine={shlex.join(wanted)!r} was not found there. Give its full path, or leave engine out to use "
            "podman or docker, whichever is there."
        )

    def _check_resources(self, facts: Facts) -> None:
        container = self.container
        if container.cpus > facts.cpus:
            there = plural(facts.cpus, "CPU")
            raise self.error(f"cpus={container.cpus:g} is more than there is: {there}. Pass cpus={facts.cpus} or less.")
        if container.memory > facts.memory:
            most = facts.memory // _MIB
            asked = f"memory='{container.memory // _MIB}m'"
            raise self.error(f"{asked} is more than there is: {most} MiB. Pass memory='{most}m' or less.")

    def _check_image(self, host: ConnectedHost) -> None:
        image = self.container.image
        engine = shlex.join(self._engine)
        looked = host.run([*self._engine, "image", "inspect", "--format", "{{.Id}}", image], timeout=_LOOK)
        if looked.exit_code == 0:
            return
        info = host.run([*self._engine, "info"], timeout=_LOOK)
        if info.exit_code:
            raise self.error(
                f"the container engine does not work there: `{engine} info` ended with {_how(info)}\n"
                "For docker, start its service (systemctl start docker) and let the account use it (usermod -aG docker "
                "ACCOUNT); for podman, see what that command says."
            )
        remedy = self._build() if _is_ours(image) else f"Fetch it there:\n  {engine} pull {image}"
        raise self.error(f"there is no image {image!r} ({looked.stderr.strip()}).\n{remedy}")

    def _check_mounts(self, host: ConnectedHost) -> None:
        sources = [mount.source for mount in self.container.mounts]
        look = 'for path; do [ -e "$path" ] || { printf %s "$path"; exit 1; }; done'
        looked = host.run(["sh", "-c", look, "sh", *sources])
        if looked.exit_code:
            missing = looked.stdout.decode("utf-8", "replace")
            raise self.error(
                f"mounts names {missing!r}, which does not exist there, or which the account must not see. "
                "Paths in mounts are the host's own; correct it, or make it."
            )

    def _build(self, *arguments: str) -> str:
        """Return the command that builds the image."""
        tag = self.container.image if _is_ours(self.container.image) else f"ffnn:{ffnn.__version__}"
        words = [*self._engine, "build", *arguments, "-t", tag, "-f", "Containerfile", "."]
        return f"On that host, in a checkout of ffnn {ffnn.__version__}, build it:\n  {shlex.join(words)}"

    def _remedy(self, requirements: Sequence[str]) -> str:
        """Return the command that gives the image this machine's versions."""
        here = report()
        versions = [f"{name}=={public(version)}" for name, version in here.packages.items() if version]
        arguments = ["--build-arg", f"VERSIONS={' '.join(word for word in versions if not word.startswith('ffnn=='))}"]
        if any(word.startswith("python==") for word in requirements):
            arguments += ["--build-arg", f"BASE=docker.io/library/python:{here.language}-slim"]
        if _is_ours(self.container.image):
            return self._build(*arguments)
        return f"Use an image that has them; ffnn's Containerfile makes one. {self._build(*arguments)}"


class _ContainerRunner:
    """Runs commands in a container on a host, for the comparison of versions."""

    def __init__(self, owner: ContainerHost, host: ConnectedHost) -> None:
        self._owner = owner
        self._host = host
        self.name = f"{host.name}, image {owner.container.image!r}"

    @property
    def report(self) -> Any:
        """The versions in the image; kept as the host's."""
        return getattr(self._host, "report", None)

    @report.setter
    def report(self, report: Any) -> None:
        self._host.report = report

    def run(self, argv: Sequence[str], *, timeout: float = _LOOK) -> Completed:
        """Run a command in a fresh container."""
        owner = self._owner
        name = f"ffnn-check-{secrets.token_hex(4)}"
        command = owner.container.run(owner._engine, name)
        order = owner.container.order(owner.container.environment)
        try:
            done = self._host.run([*command, *argv], environment=order, timeout=timeout)
        except HostError:  # too slow: the container may still run
            self._host.run([*owner._engine, "rm", "-f", name], timeout=_LOOK)
            raise
        shown = shlex.join([*command[:-4], "--version"])  # the command that a user would type
        if done.exit_code == _BY_ENGINE:
            raise owner.error(f"the engine could not start a container:\n{shown}\nended with {_how(done)}")
        if done.exit_code in _BY_PROGRAM:
            raise owner.error(
                f"the image {owner.container.image!r} has no {owner.python} that could be run:\n{shown}\n"
                f"ended with {_how(done)}\n"
                "Name its Python, python='/path/in/the/image', or use an image that has one, as ffnn's own has."
            )
        return done


def _is_ours(image: str) -> bool:
    return image.rpartition("/")[2].partition(":")[0] == "ffnn"


def _how(done: Completed) -> str:
    return f"exit code {done.exit_code}:\n{done.stderr.strip() or '(no message)'}"
