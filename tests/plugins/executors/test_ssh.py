"""The executor ``ssh``, on real SSH servers of this machine."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import ffnn
from ffnn.exceptions import HostError, HostKeyError, HostWarning
from ffnn.parallel.agent.frames import MAGIC
from ffnn.parallel.hosts.bootstrap import agent_program
from ffnn.testing.executors import ExecutorSuite
from ffnn_plugins.executors._ssh.address import Address, login_command, parse_address
from ffnn_plugins.executors._ssh.host import SSHHost
from ffnn_plugins.executors.ssh import SSHExecutor
from tests.support.needs import needs
from tests.support.netns import CableNetwork
from tests.support.sshd import Network

pytestmark = pytest.mark.timeout(120)

SOON = 10.0  # seconds within which an error must come, on a machine that is busy


def is_ssh(process: psutil.Process) -> bool:
    try:
        return bool(process.name() == "ssh")
    except psutil.NoSuchProcess:  # it ended just now
        return False


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test no client runs here, and neither a process nor a file is left on a host."""
    networks = [request.getfixturevalue(name) for name in request.fixturenames if name.endswith("_network")]
    yield
    for network in networks:
        for host in network.hosts.values():
            host.wait_until_idle()
    left = [process for process in psutil.Process().children(recursive=True) if is_ssh(process)]
    psutil.wait_procs(left, timeout=5)
    assert not [process for process in left if process.is_running()]


def pool(network: Network, *hosts: str, **options: Any) -> Any:
    options = {"python": sys.executable, "config": network.config, "progress": False, **options}
    return ffnn.pool("ssh", hosts=hosts, **options)


def enter(network: Network, *hosts: str, **options: Any) -> None:
    """Connect, and come back without an error if there is none."""
    with pool(network, *hosts, **options):
        pass


def where(pool: Any) -> str:
    """Ask a worker by which address it was reached; what travels is no function that it would have to import."""
    return str(pool.submit(os.getenv, "SSH_CONNECTION").result(60)).split()[2]


# --- what it does


class TestSSH(ExecutorSuite):
    n_tries = 2

    @pytest.fixture(autouse=True)
    def hosts(self, ssh_network: Network) -> None:
        self.network = ssh_network

    def make(self, n_workers: int) -> SSHExecutor:
        hosts = ["alpha", "beta"] if n_workers == 2 else ["alpha"]
        workers = 1 if n_workers == 2 else n_workers
        return SSHExecutor(hosts, workers, config=self.network.config, python=sys.executable, max_retries=1)

    def test_bad_counts_are_refused(self) -> None:
        for bad, error in ((0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError), (True, TypeError)):
            with pytest.raises(error, match=rf"workers_per_host must be .*got {bad!r}"):
                SSHExecutor(["alpha"], workers_per_host=bad)  # type: ignore[arg-type]


def test_all_workers_of_all_hosts_work(ssh_network: Network, tmp_path: Path) -> None:
    def meet(me: int) -> tuple[str, int, str]:
        (tmp_path / str(me)).touch()
        until = time.monotonic() + 60
        while len(list(tmp_path.iterdir())) < 3:
            assert time.monotonic() < until
            time.sleep(0.01)
        return os.environ["SSH_CONNECTION"].split()[2], os.getpid(), os.environ["OMP_NUM_THREADS"]

    workers = {"beta": 1, "alpha": 2}
    with pool(ssh_network, "alpha", "beta", workers_per_host=workers, threads_per_worker=3) as three:
        assert three.n_workers == 3
        found = list(three.map(meet, range(3)))
    assert sorted(address for address, _, _ in found) == ["127.0.0.2", "127.0.0.2", "127.0.0.3"]
    assert len({pid for _, pid, _ in found}) == 3
    assert {threads for _, _, threads in found} == {"3"}


def test_nothing_is_started_before_it_is_needed(ssh_network: Network) -> None:
    executor = SSHExecutor(["alpha", "beta"], config=ssh_network.config)
    assert not ssh_network["alpha"].processes()
    executor.shutdown()


def test_an_address_that_no_configuration_knows(own_ssh_network: Network) -> None:
    alpha = own_ssh_network["alpha"]
    own_ssh_network.config.write_text(
        f"Host *\n IdentityFile {own_ssh_network.key}\n UserKnownHostsFile {alpha.known_as}\n"
    )
    user = psutil.Process().username()
    with pool(own_ssh_network, f"{user}@127.0.0.2:{alpha.port}") as one:
        assert where(one) == "127.0.0.2"


def test_no_command_line_has_what_a_task_is_given(ssh_network: Network, tmp_path: Path) -> None:
    def wait(word: str, go: Path) -> str:
        until = time.monotonic() + 60
        while not go.exists() and time.monotonic() < until:
            time.sleep(0.01)
        return word

    with pool(ssh_network, "alpha") as one:
        future = one.submit(wait, "xyzzy", tmp_path / "go")
        until = time.monotonic() + 60
        while not future.running():
            assert time.monotonic() < until
            time.sleep(0.01)
        processes = [*ssh_network["alpha"].processes(), *psutil.Process().children(recursive=True)]
        lines = [" ".join(process.cmdline()) for process in processes if process.is_running()]
        (tmp_path / "go").touch()
        assert future.result(60) == "xyzzy"
    assert len(lines) >= 4  # the client, the agent, the supervisor, the worker
    assert not [line for line in lines if "xyzzy" in line or "FFNN_STORE" in line]


# --- the user's SSH configuration


def test_a_jump_host(own_ssh_network: Network) -> None:
    own_ssh_network.configure(beta="    ProxyJump alpha")
    before = own_ssh_network["alpha"].log.read_text().count("Accepted publickey")
    with pool(own_ssh_network, "beta", workers_per_host=2) as two:
        assert where(two) == "127.0.0.3"
    assert own_ssh_network["alpha"].log.read_text().count("Accepted publickey") == before + 1
    own_ssh_network["alpha"].forget()
    with pytest.raises(HostKeyError, match=r"127\.0\.0\.2.* not known here") as caught:
        enter(own_ssh_network, "beta")
    assert own_ssh_network["alpha"].fingerprint in str(caught.value)


def test_what_would_break_the_connection_is_overridden(own_ssh_network: Network) -> None:
    with socket.socket() as taken:  # by the user's own session, say
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        own_ssh_network.configure(
            "Host *\n RemoteCommand echo hello\n RequestTTY force\n SessionType none\n StdinNull yes\n Tunnel yes\n"
            " ForkAfterAuthentication yes\n PermitLocalCommand yes\n LocalCommand cat\n VisualHostKey yes\n"
            f" DynamicForward 127.0.0.1:{taken.getsockname()[1]}\n ExitOnForwardFailure yes\n LogLevel QUIET\n"
        )
        with pool(own_ssh_network, "alpha", start_timeout=20) as one:
            assert where(one) == "127.0.0.2"
        own_ssh_network["alpha"].keep_out()
        with pytest.raises(HostError, match="does not let .* in"):
            enter(own_ssh_network, "alpha")


def test_a_host_cannot_use_our_keys(own_ssh_network: Network, key_agent: str) -> None:
    own_ssh_network.configure("ForwardAgent yes\n")
    assert "agent" in own_ssh_network.ssh("alpha", "echo $SSH_AUTH_SOCK").stdout  # what the user has at other times
    with pool(own_ssh_network, "alpha") as one:
        assert one.submit(os.getenv, "SSH_AUTH_SOCK").result(60) is None


def test_a_connection_of_the_users_is_shared_and_outlives_us(own_ssh_network: Network) -> None:
    shared = own_ssh_network.folder / "shared"
    own_ssh_network.configure(f"Host *\n ControlMaster auto\n ControlPath {shared}\n ControlPersist yes\n")
    with pool(own_ssh_network, "alpha") as one:
        one.submit(abs, 1).result(60)
        assert not shared.exists()  # ours is not one to share: it must end with us
    assert own_ssh_network.ssh("alpha", "true").returncode == 0
    assert shared.exists()
    try:
        own_ssh_network["alpha"].keep_out()
        with pool(own_ssh_network, "alpha") as one:
            assert one.submit(abs, -2).result(60) == 2
        assert own_ssh_network.ssh("-O", "check", "alpha").returncode == 0
    finally:
        own_ssh_network.ssh("-O", "exit", "alpha")


@pytest.mark.parametrize("word", ["accept-new", "no"])
def test_a_user_who_accepts_new_keys_does_not_accept_changed_ones(word: str, own_ssh_network: Network) -> None:
    alpha = own_ssh_network["alpha"]
    own_ssh_network.configure(f"StrictHostKeyChecking {word}\n")
    alpha.forget()
    with pool(own_ssh_network, "alpha") as one:
        assert one.submit(abs, -1).result(60) == 1
    old = alpha.fingerprint
    new = alpha.change_key()
    alpha.restart()
    with pytest.raises(HostKeyError) as caught:
        enter(own_ssh_network, "alpha")
    assert new in str(caught.value)
    assert old in str(caught.value)


@pytest.fixture
def key_agent(own_ssh_network: Network, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An SSH agent that has the client's key."""
    needs("ssh-agent", "ssh-add", package="openssh-client")
    path = str(own_ssh_network.folder / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as agent:
        try:
            until = time.monotonic() + SOON
            while not os.path.exists(path):
                assert time.monotonic() < until
                time.sleep(0.01)
            monkeypatch.setenv("SSH_AUTH_SOCK", path)
            subprocess.run(["ssh-add", "-q", str(own_ssh_network.key)], check=True)
            yield path
        finally:
            agent.terminate()


def test_a_key_with_a_passphrase_needs_an_agent(
    own_ssh_network: Network, key_agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = str(own_ssh_network.key)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "a passphrase", "-f", key], check=True)
    with pool(own_ssh_network, "alpha") as one:
        assert where(one) == "127.0.0.2"
    monkeypatch.delenv("SSH_AUTH_SOCK")
    with pytest.raises(HostError, match=rf"would take the key {key}.*ssh-add"):
        enter(own_ssh_network, "alpha")


# --- what can be wrong


def unknown_key(network: Network) -> None:
    network["alpha"].forget()


def changed_key(network: Network) -> None:
    network["alpha"].change_key()
    network["alpha"].restart()


def no_login(network: Network) -> None:
    network["alpha"].keep_out()


def stopped(network: Network) -> None:
    network["alpha"].stop()


def restricted(network: Network) -> None:
    network["alpha"].options = "ForceCommand echo 'Go away' >&2"
    network["alpha"].restart()


def only_passwords(network: Network) -> None:
    network["alpha"].options = "PubkeyAuthentication no\nPasswordAuthentication yes"
    network["alpha"].restart()


def stopped_jump(network: Network) -> None:
    network["beta"].stop()
    network.configure(alpha="    ProxyJump beta")


def forbidden_jump(network: Network) -> None:
    network["beta"].options = "AllowTcpForwarding no"
    network["beta"].restart()
    network.configure(alpha="    ProxyJump beta")


def no_algorithm(network: Network) -> None:
    network["alpha"].options = "Ciphers aes256-ctr"
    network["alpha"].restart()
    network.configure("Ciphers aes128-ctr\n")


def bad_configuration(network: Network) -> None:
    network.configure(alpha="    Foo bar")


def fine(network: Network) -> None:
    """Let everything be as it should."""


FAULTS: dict[str, tuple[Callable[[Network], None], dict[str, Any], type[HostError], list[str]]] = {
    "unknown name": (
        fine,
        {"hosts": ["no-such-host.invalid"]},
        HostError,
        ["its name", "Could not resolve hostname", "Check the spelling"],
    ),
    "nobody listens": (stopped, {}, HostError, ["nothing listens", "Connection refused", "sshd"]),
    "unknown key": (
        unknown_key,
        {},
        HostKeyError,
        ["is not known here", "{fingerprint}", "ssh-keygen -l -f /etc/ssh/", "StrictHostKeyChecking=ask alpha"],
    ),
    "changed key": (
        changed_key,
        {},
        HostKeyError,
        ["is not the one that is known", "{fingerprint}", "{old}", "known_as, line 1", 'ssh-keygen -f "', "-R"],
    ),
    "no login": (
        no_login,
        {},
        HostError,
        ["does not let {user}@127.0.0.2 in", "(publickey)", "Offered was {key}", "ssh-copy-id", "ssh-add"],
    ),
    "only passwords": (
        only_passwords,
        {},
        HostError,
        ["takes no keys, only password", "nobody can be asked", "-M -N -f", "ControlPath"],
    ),
    "nobody listens at the jump host": (stopped_jump, {}, HostError, ["nothing listens", "127.0.0.3", "refused"]),
    "a jump host that lets nobody through": (
        forbidden_jump,
        {},
        HostError,
        ["does not let anyone through", "prohibited", "AllowTcpForwarding"],
    ),
    "no python": (
        fine,
        {"python": "~/no such/python"},
        HostError,
        ["there is no ~/no such/python", "python='~/ffnn/bin/python'", "command -v python3"],
    ),
    "no program": (fine, {"python": "/etc/passwd"}, HostError, ["/etc/passwd cannot be run there", "ls -lL"]),
    "python 3.6": (fine, {"python": "{old_python}"}, HostError, ["is Python 3.6.9, which is too old", "python="]),
    "python 2": (fine, {"python": "{python_2}"}, HostError, ["is Python 2, which is too old", "python="]),
    "another command": (
        restricted,
        {},
        HostError,
        ["login succeeded", "exit code 0", "ForceCommand", "Go away", "--version"],
    ),
    "no common cipher": (no_algorithm, {}, HostError, ["no algorithm in common", "Their offer: aes256-ctr"]),
    "bad configuration": (bad_configuration, {}, HostError, ["does not accept its configuration", "foo", "Correct"]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_an_error_with_its_remedy(name: str, own_ssh_network: Network, tmp_path: Path) -> None:
    break_it, options, kind, words = FAULTS[name]
    words = list(words)
    scripts = {
        # no Python as old as these can be installed any more
        "old_python": 'exec {python} -c \'import sys\nsys.version_info=(3, 6, 9)\nsys.version="3.6.9 (default)"\n'
        'exec(sys.argv[1])\' "$4"',
        "python_2": "echo 'Unknown option: -I' >&2; exit 2",
    }
    values = {
        "key": str(own_ssh_network.key),
        "old": own_ssh_network["alpha"].fingerprint,
        "user": psutil.Process().username(),
    }
    for script, text in scripts.items():
        values[script] = str(tmp_path / script)
        (tmp_path / script).write_text("#!/bin/sh\n" + text.replace("{python}", sys.executable) + "\n")
        (tmp_path / script).chmod(0o755)
    break_it(own_ssh_network)
    values["fingerprint"] = own_ssh_network["alpha"].fingerprint
    options = {key: value.format(**values) if isinstance(value, str) else value for key, value in options.items()}
    start = time.monotonic()
    with pytest.raises(kind) as caught:
        enter(own_ssh_network, *options.pop("hosts", ["alpha"]), **options)
    assert time.monotonic() - start < SOON
    assert type(caught.value) is kind
    for word in words:
        assert word.format(**values) in str(caught.value)


def test_a_port_that_is_not_sshds(own_ssh_network: Network) -> None:
    with socket.create_server(("127.0.0.2", 0)) as other:
        threading.Thread(target=lambda: other.accept()[0].close(), daemon=True).start()
        with pytest.raises(HostError, match="the other end hung up .*the port is sshd's"):
            enter(own_ssh_network, f"127.0.0.2:{other.getsockname()[1]}")


def test_a_host_whose_cable_is_pulled_does_not_answer(own_cable_network: CableNetwork) -> None:
    own_cable_network.configure(alpha="    ConnectTimeout 2")  # the user's own word counts
    own_cable_network.cables["alpha"].pull()
    start = time.monotonic()
    with pytest.raises(HostError, match="it does not answer .*timed out.*firewall"):
        enter(own_cable_network, "alpha")
    assert 2 <= time.monotonic() - start < SOON


def test_a_key_that_others_can_read_is_named(own_ssh_network: Network) -> None:
    own_ssh_network.key.chmod(0o644)
    with pytest.raises(HostError, match=f"chmod 600 {own_ssh_network.key}"):
        enter(own_ssh_network, "alpha")


def test_a_host_that_says_nothing_is_given_up(own_ssh_network: Network) -> None:
    own_ssh_network["alpha"].options = "ForceCommand exec cat >/dev/null"
    own_ssh_network["alpha"].restart()
    with pytest.raises(HostError, match="no agent answered|before an agent"):
        enter(own_ssh_network, "alpha", start_timeout=2)


@pytest.mark.parametrize(
    "greeting", ["echo Welcome", r"printf 'no line end \\0'", "head -c 30000 /dev/zero | tr '\\0' x"]
)
def test_a_login_script_that_prints_does_no_harm(greeting: str, own_ssh_network: Network) -> None:
    own_ssh_network["alpha"].options = f'ForceCommand {greeting}; eval "$SSH_ORIGINAL_COMMAND"'
    own_ssh_network["alpha"].restart()
    with pool(own_ssh_network, "alpha") as one:
        assert one.submit(abs, -1).result(60) == 1


def test_one_of_two_hosts_is_left_out(own_ssh_network: Network) -> None:
    own_ssh_network["beta"].keep_out()
    with pytest.warns(HostWarning, match="host beta: it does not let"), pool(own_ssh_network, "alpha", "beta") as two:
        found = list(two.map(lambda _: os.environ["SSH_CONNECTION"].split()[2], range(4)))
    assert set(found) == {"127.0.0.2"}


@pytest.mark.filterwarnings("ignore::ffnn.exceptions.HostWarning")
def test_too_few_hosts_are_an_error_that_says_why(own_ssh_network: Network) -> None:
    own_ssh_network["beta"].keep_out()
    with pytest.raises(HostError, match="(?s)min_workers.*host beta: it does not let"):
        enter(own_ssh_network, "alpha", "beta", min_workers=2)
    own_ssh_network["alpha"].stop()
    with pytest.raises(HostError, match="no host is left") as caught:
        enter(own_ssh_network, "alpha", "beta")
    assert "host alpha: nothing listens" in str(caught.value)
    assert "host beta: it does not let" in str(caught.value)


def test_without_a_client_the_error_says_what_to_install(
    ssh_network: Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="no program `ssh` on this machine.*openssh-client"):
        enter(ssh_network, "alpha")


# --- what is refused before anything starts


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"hosts": []}, ValueError, r"hosts must name at least one host; got \[\]"),
        ({"hosts": "alpha"}, TypeError, r"hosts must be a list of hosts; got 'alpha'.*hosts=\['alpha'"),
        ({"hosts": None}, TypeError, "hosts must be a list of hosts; got None"),
        ({"hosts": {"alpha"}}, TypeError, "hosts must be a list"),
        ({"hosts": ["alpha", 3]}, TypeError, "hosts must contain strings; got 3"),
        ({"hosts": ["alpha", "beta", "alpha"]}, ValueError, "name each host once.*workers_per_host"),
        ({"hosts": ["alpha", "ssh://alpha"]}, ValueError, "once; got 'alpha' and 'ssh://alpha'"),
        ({"hosts": ["alpha;rm -rf"]}, ValueError, "whose host name contains ';'"),
        ({"hosts": ["$(id)"]}, ValueError, r"contains '\$'"),
        ({"hosts": ["a\nb"]}, ValueError, "contains"),
        ({"hosts": ["-oProxyCommand=id"]}, ValueError, "begins with '-'"),
        ({"hosts": ["-l@alpha"]}, ValueError, "user name begins with '-'"),
        ({"hosts": ["root@-oProxyCommand"]}, ValueError, "host name begins with '-'"),
        ({"hosts": [""]}, ValueError, "host name is empty"),
        ({"hosts": ["@alpha"]}, ValueError, "user name is empty"),
        ({"hosts": ["alpha:"]}, ValueError, "port is ''"),
        ({"hosts": ["alpha:ssh"]}, ValueError, "port is 'ssh'"),
        ({"hosts": ["alpha:65536"]}, ValueError, "port is '65536'"),
        ({"hosts": ["alpha:٣"]}, ValueError, "port is"),
        ({"hosts": ["::1"]}, ValueError, "brackets"),
        ({"hosts": ["[::1]x"]}, ValueError, r"contains '\['|brackets"),
        ({"workers_per_host": 0}, ValueError, "workers_per_host must be at least 1; got 0"),
        ({"workers_per_host": {"alpha": 0}}, ValueError, r"workers_per_host\['alpha'\] must be at least 1"),
        ({"workers_per_host": {"beta": 1}}, ValueError, "workers_per_host must have a number for each"),
        ({"workers_per_host": [2]}, TypeError, "workers_per_host must be a whole number"),
        ({"python": 3}, TypeError, "python must be a string; got 3"),
        ({"python": ""}, ValueError, "python must be the name or the path"),
        ({"python": "-c"}, ValueError, "python must be the name or the path"),
        ({"python": "it's"}, ValueError, "python must not contain"),
        ({"python": "a\nb"}, ValueError, "python must not contain"),
        ({"config": 3}, TypeError, "config must be a path; got 3"),
        ({"config": "/no/such/file"}, ValueError, "config must be a file that can be read; got '/no/such/file'"),
        ({"threads_per_worker": 0}, ValueError, "threads_per_worker must be at least 1"),
        ({"min_workers": 2}, ValueError, "min_workers must be at most the number of workers"),
        ({"host_timeout": 0}, ValueError, "host_timeout must be a positive number"),
        ({"ignore_versions": "numpy"}, TypeError, "ignore_versions must be"),
        ({"tunnel": True}, TypeError, "no option 'tunnel'"),
    ],
)
def test_a_bad_option_is_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    before = psutil.Process().children(recursive=True)
    with pytest.raises(error, match=message):
        ffnn.pool("ssh", **{"hosts": ["alpha"], **options})
    assert psutil.Process().children(recursive=True) == before


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("alpha", Address("alpha")),
        ("user@beta:2222", Address("beta", "user", 2222)),
        ("ssh://user@beta:2222", Address("beta", "user", 2222)),
        ("ssh://beta/", Address("beta")),
        ("user@example.com@gateway", Address("gateway", "user@example.com")),
        ("[::1]:22", Address("::1", None, 22)),
        ("user@[fe80::1%eth0]", Address("fe80::1%eth0", "user")),
        ("my_host.lan", Address("my_host.lan")),
    ],
)
def test_an_address_is_understood(text: str, address: Address) -> None:
    assert parse_address(text) == address


# --- the login shell


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "fish", "tcsh"])
def test_every_login_shell_understands_the_command(shell: str, tmp_path: Path) -> None:
    needs(shell)
    python = tmp_path / "my $env & more" / "python"
    python.parent.mkdir()
    python.symlink_to(os.path.realpath(sys.executable))
    environment = {**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    command = login_command("~/my $env & more/python")
    done = subprocess.run([shell, "-c", command], input=agent_program(), capture_output=True, env=environment)
    assert done.stdout.startswith(MAGIC)
    assert done.stderr == b""
    assert done.returncode == 0
    for python, complaint in (("~/nothing/python", "there is no"), ("/etc/passwd", "cannot be run there")):
        done = subprocess.run([shell, "-c", login_command(python)], input=b"", capture_output=True, env=environment)
        error = SSHHost("alpha", python=python).explain(done.returncode, done.stderr.decode())
        assert complaint in str(error)
        assert "fromhex" not in str(error)


def test_what_a_person_is_told_to_type_can_be_typed(ssh_network: Network) -> None:
    host = SSHHost("alpha", config=ssh_network.config)
    done = subprocess.run(shlex.split(host.by_hand("echo", "$HOME")), capture_output=True, text=True)
    assert done.stdout.strip() == os.path.expanduser("~")
    assert re.fullmatch(r"ssh -p 22 user@::1 true", SSHHost("user@[::1]:22").by_hand("true"))
