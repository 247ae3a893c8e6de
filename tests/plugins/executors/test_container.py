from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

import ffnn
from ffnn.exceptions import HostError, TaskTimeoutError, VersionMismatchError, WorkerDiedError
from ffnn.testing import _tasks as tasks
from ffnn.testing.executors import ExecutorSuite
from ffnn_plugins.executors._container.host import ContainerHost
from ffnn_plugins.executors.container import ContainerExecutor
from tests.support.containers import ROOT, Podman

pytestmark = pytest.mark.timeout(180)
Make = Callable[..., ContainerExecutor]


@pytest.fixture
def nothing_left(podman: Podman) -> Iterator[None]:
    """Every container must be gone after the test."""
    yield
    podman.wait_for(n=0)


@pytest.fixture
def make(podman: Podman, tmp_path: Path, nothing_left: None) -> Iterator[Make]:
    """Make executors of one worker, unless said otherwise, which are shut down in the end."""
    made: list[ContainerExecutor] = []

    def make(**changes: Any) -> ContainerExecutor:
        options = {"n_workers": 1, "max_retries": 0} if "hosts" not in changes else {"max_retries": 0}
        made.append(ContainerExecutor(**podman.options([tmp_path]) | options | changes))
        return made[-1]

    yield make
    for executor in made:
        executor.shutdown(cancel_futures=True)


class TestContainer(ExecutorSuite):
    same_machine = False
    n_tries = 2

    @pytest.fixture(autouse=True)
    def folder(self, podman: Podman, tmp_path: Path, nothing_left: None) -> None:
        self.options = podman.options([tmp_path])

    def make(self, n_workers: int) -> ContainerExecutor:
        return ContainerExecutor(n_workers=n_workers, max_retries=1, **self.options)


# --- what a container may do


def test_a_worker_has_no_rights(make: Make) -> None:
    def look() -> dict[str, Any]:
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return {
            "ids": (os.getuid(), os.getgid(), os.getgroups()),
            "capabilities": [int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
            "no new privileges": int(status["NoNewPrivs"]),
            "read-only root": bool(os.statvfs("/").f_flag & os.ST_RDONLY),
            "parent": os.getppid(),
        }

    assert make().submit(look).result(60) == {
        "ids": (65534, 65534, [65534]),
        "capabilities": [0] * 5,
        "no new privileges": 1,
        "read-only root": True,
        "parent": 1,
    }


def test_a_worker_writes_nowhere_but_in_its_own_folder(make: Make, tmp_path: Path) -> None:
    def write() -> dict[str, str]:
        outcomes = {}
        for path in (
            "/",
            "/usr",
            os.environ["FFNN_STORE"],
            "/etc",
            os.environ["HOME"],
            os.environ["TMPDIR"],
            os.curdir,
        ):
            try:
                with open(os.path.join(path, "file"), "w") as file:
                    file.write("something")
                outcomes[path] = "written"
            except OSError as error:
                outcomes[path] = type(error).__name__
        return outcomes

    outcomes = make().submit(write).result(60)
    assert {path for path, outcome in outcomes.items() if outcome == "written"} == {"/ffnn/tmp", os.curdir}
    assert outcomes["/ffnn/data"] in ("OSError", "PermissionError")
    assert list(tmp_path.iterdir()) == []


def test_there_is_no_network(make: Make) -> None:
    def look() -> tuple[list[str], list[str]]:
        import socket

        errors = []
        for address in ("127.0.0.1", "10.0.0.1", "192.0.2.1"):
            with socket.socket() as connection:
                connection.settimeout(5)
                try:
                    connection.connect((address, port if address == "127.0.0.1" else 80))
                    errors.append("connected")
                except OSError as error:
                    errors.append(error.strerror or type(error).__name__)
        return [name for _, name in socket.if_nameindex()], errors

    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        interfaces, errors = make().submit(look).result(60)
    assert interfaces == ["lo"]
    assert errors == ["Connection refused", "Network is unreachable", "Network is unreachable"]


def test_memory_is_bounded_and_the_error_says_so(make: Make, tmp_path: Path) -> None:
    def eat() -> int:
        return sum(bytearray(2**30))

    def wait() -> str:
        (tmp_path / "waits").touch()
        while not (tmp_path / "go on").exists():
            time.sleep(0.02)
        return "fine"

    executor = make(n_workers=2, memory="256m", max_retries=1)
    other = executor.submit(wait)
    tasks.wait_for((tmp_path / "waits").exists)
    error = executor.submit(eat).exception(60)
    (tmp_path / "go on").touch()
    assert isinstance(error, WorkerDiedError)
    assert error.exit_code == -signal.SIGKILL
    assert "out of memory: the container reached its limit of 256 MiB" in str(error)
    assert executor.n_retries == 1
    assert other.result(60) == "fine"


def test_there_is_no_swap(make: Make) -> None:
    def look() -> int:
        groups = Path("/sys/fs/cgroup")
        if (groups / "memory.swap.max").exists():
            return int((groups / "memory.swap.max").read_text())
        memory = groups / "memory"
        both, alone = ((memory / f"memory.{name}limit_in_bytes").read_text() for name in ("memsw.", ""))
        return int(both) - int(alone)

    assert make().submit(look).result(60) == 0


def test_processes_are_bounded(make: Make) -> None:
    def spawn() -> int:
        children = []
        try:
            while len(children) < 200:
                children.append(subprocess.Popen(["sleep", "60"]))
        except OSError:
            pass
        return len(children)

    assert 10 < make(pids=40, cpus=1).submit(spawn).result(60) < 40


def test_cpus_are_bounded(make: Make) -> None:
    def look() -> tuple[float, str, int]:
        groups = Path("/sys/fs/cgroup")
        if (groups / "cpu.max").exists():
            quota, period = (groups / "cpu.max").read_text().split()
        else:
            quota, period = ((groups / f"cpu/cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period), os.environ["OMP_NUM_THREADS"], joblib.cpu_count()

    assert make(cpus=0.5).submit(look).result(60) == (0.5, "1", 1)
    assert make(required_resources={"cpu": 1536}).submit(look).result(60)[:2] == (1.5, "2")


def test_a_secret_stands_on_no_command_line_and_disturbs_no_engine(make: Make, tmp_path: Path) -> None:
    def show() -> dict[str, str]:
        (tmp_path / "shows").touch()
        while not (tmp_path / "seen").exists():
            time.sleep(0.02)
        return dict(os.environ)

    # names by which podman and docker would find another storage, or none at all
    given = {
        "TOKEN": "hush-4711",
        "HOME": "/nowhere",
        "XDG_RUNTIME_DIR": "/nowhere",
        "DOCKER_HOST": "nowhere",
        "A": "ä\n'\"",
    }
    future = make(environment=given).submit(show)
    tasks.wait_for((tmp_path / "shows").exists)
    lines = [path.read_text(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline")]
    (tmp_path / "seen").touch()
    environment = future.result(60)
    assert {name: environment[name] for name in given} == given
    assert "FFNN_ENVIRONMENT" not in environment
    assert any("ffnn.parallel.tasks.child" in line for line in lines)
    assert not any("hush-4711" in line for line in lines)


def test_arguments_override(make: Make, podman: Podman) -> None:
    def hostname() -> str:
        return os.uname().nodename

    arguments = [*podman.options()["arguments"], "--hostname", "chosen"]
    assert make(arguments=arguments).submit(hostname).result(60) == "chosen"


def test_a_worker_leaves_no_log_and_is_removed_at_once(make: Make, podman: Podman) -> None:
    executor = make()
    executor.submit(abs, -1).result(60)
    (name,) = podman.containers()
    shown = podman.run("inspect", "--format", "{{.HostConfig.LogConfig.Type}} {{.Config.StopTimeout}}", name)
    assert shown.split() == ["none", "0"]


# --- how containers come and go


@pytest.mark.parametrize("fresh", [True, False])
def test_fresh_is_one_container_a_task(fresh: bool, make: Make) -> None:
    executor = make(fresh=fresh)
    names = {executor.submit(lambda: os.uname().nodename).result(60) for _ in range(3)}
    assert len(names) == (3 if fresh else 1)


def waiting(folder: Path) -> Callable[[], str]:
    """Make a task that leaves a file named after its container, and waits for another file."""

    def wait() -> str:
        (folder / os.uname().nodename).touch()
        while not (folder / "go on").exists():
            time.sleep(0.02)
        return "done"

    return wait


def test_a_container_whose_client_is_killed_ends_and_its_task_is_done_again(
    make: Make, podman: Podman, tmp_path: Path
) -> None:
    executor = make(max_retries=1)
    future = executor.submit(waiting(tmp_path))
    tasks.wait_for(lambda: len(list(tmp_path.iterdir())) == 1)
    (name,) = podman.containers()
    for pid in podman.clients(name):
        os.kill(pid, signal.SIGKILL)
    start = time.monotonic()
    while name in podman.containers():
        assert time.monotonic() < start + 5
    tasks.wait_for(lambda: len(list(tmp_path.iterdir())) == 2)
    (tmp_path / "go on").touch()
    assert future.result(60) == "done"
    assert executor.n_retries == 1


def test_a_worker_that_stands_still_is_replaced(make: Make, podman: Podman, tmp_path: Path) -> None:
    executor = make(max_retries=1)
    future = executor.submit(waiting(tmp_path))
    tasks.wait_for(lambda: len(list(tmp_path.iterdir())) == 1)
    (name,) = podman.containers()
    first = podman.run("inspect", "--format", "{{.State.Pid}}", name).strip()
    (worker,) = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    os.kill(int(worker), signal.SIGSTOP)
    tasks.wait_for(lambda: len(list(tmp_path.iterdir())) == 2)
    (tmp_path / "go on").touch()
    assert future.result(60) == "done"
    assert executor.n_retries == 1


def test_a_task_that_takes_too_long_takes_its_container_with_it(make: Make, podman: Podman) -> None:
    executor = make(task_timeout=1)
    hostname = executor.submit(lambda: os.uname().nodename).result(60)
    assert isinstance(executor.submit(time.sleep, 300).exception(60), TaskTimeoutError)
    assert executor.submit(lambda: os.uname().nodename).result(60) != hostname
    assert len(podman.containers()) == 1


SCRIPT = """
import json, os, sys, time
import ffnn

def hold():
    open(os.path.join(folder, os.uname().nodename), "w").close()
    sum(range(10**12))  # holds the lock of Python

options, folder = json.loads(sys.argv[1]), sys.argv[2]
with ffnn.pool("container", n_workers=2, progress=False, **options) as pool:
    for future in [pool.submit(hold) for _ in range(4)]:
        future.result()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_the_program(
    number: signal.Signals, podman: Podman, tmp_path: Path, nothing_left: None
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    folder = tmp_path / "folder"
    folder.mkdir()
    arguments = [json.dumps(podman.options([folder])), str(folder)]
    with subprocess.Popen([sys.executable, str(tmp_path / "script.py"), *arguments]) as program:
        try:
            tasks.wait_for(lambda: len(list(folder.iterdir())) == 2)
            program.send_signal(number)
            start = time.monotonic()
            podman.wait_for(n=0, alive=True, timeout=10)
            assert program.wait(10) == -number
            podman.wait_for(n=0)
            assert time.monotonic() < start + 10
        finally:
            program.kill()


def test_an_agent_that_is_killed_leaves_nothing(make: Make, podman: Podman) -> None:
    executor = make()
    executor.submit(abs, -1).result(60)
    os.kill(executor.hosts[0].facts.pid, signal.SIGKILL)
    podman.wait_for(n=0)
    assert executor.submit(abs, -1).result(60) == 1


# --- what can be wrong


def refused(executor: ContainerExecutor, within: float = 30) -> HostError:
    """Return the error of a host that cannot run workers."""
    start = time.monotonic()
    with pytest.raises(HostError) as raised:
        executor.prepare()
    assert time.monotonic() < start + within
    assert raised.value.host == "localhost"
    return raised.value


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"engine": "no-such-engine --root /x"}, ["engine='no-such-engine --root /x' was not found", "full path"]),
        ({"image": "localhost/no-such:7"}, ["no image 'localhost/no-such:7'", "pull localhost/no-such:7"]),
        (
            {"image": None},
            [f"no image 'ffnn:{ffnn.__version__}'", f"build -t ffnn:{ffnn.__version__} -f Containerfile ."],
        ),
        ({"python": "/no/python"}, ["has no /no/python that could be run", "Name its Python"]),
        ({"arguments": ["--no-such-option"]}, ["could not start a container", "--no-such-option"]),
        ({"cpus": 1000}, ["cpus=1000 is more than there is", "Pass cpus="]),
        ({"memory": "100t"}, ["memory='104857600m' is more than there is", "Pass memory="]),
        ({"required_resources": {"cpu": 2**20}}, ["cpus=1024 is more than there is"]),
        ({"mounts": {"/no/such/folder": "/data"}}, ["mounts names '/no/such/folder', which does not exist"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_the_host_lacks_is_named(changes: dict[str, Any], messages: list[str], make: Make) -> None:
    error = str(refused(make(**changes)))
    assert error.startswith("host localhost")
    for message in messages:
        assert message in error


def test_no_engine_at_all(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sh").symlink_to(shutil.which("sh") or "")
    monkeypatch.setenv("PATH", str(tmp_path))
    error = str(refused(make(engine=None)))
    assert "neither podman nor docker was found" in error
    assert "apt-get install podman" in error


def test_an_engine_that_does_not_work(make: Make) -> None:
    error = str(refused(make(engine=["podman", "--root", "/dev/null/storage"])))
    assert "the container engine does not work there: `podman --root /dev/null/storage info` ended with" in error
    assert "not a directory" in error


def test_a_docker_without_its_service(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("docker") is None:
        pytest.skip("docker's client is not installed")
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/socket")
    error = str(refused(make(engine="docker")))
    assert "Cannot connect to the Docker daemon" in error
    assert "systemctl start docker" in error


def test_docker_understands_the_same_command_line(make: Make) -> None:
    if shutil.which("docker") is None:
        pytest.skip("docker's client is not installed")
    executor = make(mounts={"/usr": "/usr", "/tmp": "/tmp:rw"}, arguments=[])
    provisioner = executor.hosts[0].provisioner
    assert isinstance(provisioner, ContainerHost)
    command = provisioner.container.run(["docker"], "name", "--volume", "/usr:/ffnn/data:ro,z")
    environment = os.environ | {"DOCKER_HOST": "unix:///no/such/socket"}
    done = subprocess.run([*command, "python3"], env=environment, capture_output=True, text=True, check=False)
    assert "annot connect to the Docker daemon" in done.stderr  # an argument that it does not know is said before


def test_an_image_without_ffnn(make: Make, tmp_path: Path) -> None:
    # the same interpreter, without the environment that has ffnn
    error = refused(make(python=os.path.realpath(sys.executable)))
    assert "no worker can start with" in str(error)
    assert re.search(r"not installed there: .*\bffnn$", str(error), re.MULTILINE)
    assert re.search(rf"build --build-arg 'VERSIONS=.*numpy==.*' -t ffnn:{ffnn.__version__}", str(error))


def test_another_version_in_the_image(make: Make, tmp_path: Path) -> None:
    info = tmp_path / "numpy-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.1\n")
    environment = {"PYTHONPATH": str(tmp_path)}
    error = refused(make(environment=environment))
    assert isinstance(error, VersionMismatchError)
    for part in ("numpy", "0.1", np.__version__, "--build-arg", "ignore_versions=['numpy']"):
        assert part in str(error)
    executor = make(environment=environment, ignore_versions=["numpy"])
    assert executor.submit(abs, -1).result(60) == 1


# --- where it is used


def test_the_code_of_the_talk(podman: Podman, nothing_left: None) -> None:
    options = podman.options() | {"memory": None}
    factory = ffnn.make_backend_factory(
        "container", n_workers=2, required_resources={"cpu": 1024, "memory": 2048}, **options
    )
    joblib.register_parallel_backend("civis", factory)
    sequential = tasks.search().fit(*tasks.data())
    with joblib.parallel_backend("civis") as (backend, _):
        search = tasks.search().fit(*tasks.data())
    backend.executor.shutdown()
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], sequential.cv_results_["mean_test_score"])


def test_containers_on_a_host_over_ssh(make: Make, podman: Podman, ssh_network: Any) -> None:
    executor = make(
        hosts=["alpha"], workers_per_host=2, config=ssh_network.config, host_python=sys.executable, max_retries=1
    )
    assert executor.n_workers == 2
    assert executor.submit(os.getuid).result(60) == 65534
    assert len(podman.clients(podman.containers()[0])) >= 1
    large = np.arange(500_000.0)
    assert [executor.submit(np.sum, large).result(60) for _ in range(4)] == [large.sum()] * 4
    assert large.nbytes < executor.bytes_sent < 1.5 * large.nbytes
    executor.shutdown()
    podman.wait_for(n=0)


def test_a_host_over_ssh_without_the_image(make: Make, ssh_network: Any) -> None:
    executor = make(hosts=["beta"], image="no-such", config=ssh_network.config, host_python=sys.executable)
    with pytest.raises(HostError, match="host beta: there is no image 'no-such'"):
        executor.prepare()


def test_the_containerfile_copies_what_the_package_is_built_from() -> None:
    copied = re.findall(r"^COPY (.*) \S+$", (ROOT / "Containerfile").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert all((ROOT / name).exists() for name in names)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert names == {line[1:] for line in ignored if line.startswith("!")}
