"""What makes an agent of any Python, and what happens where there is none."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from ffnn.parallel import agent
from ffnn.parallel.agent import supervisor
from ffnn.parallel.agent.frames import MAGIC
from ffnn.parallel.hosts.bootstrap import agent_program
from ffnn.parallel.hosts.connection import ConnectionLostError
from ffnn.parallel.hosts.provisioner import AGENT, Command
from tests.support.agents import Connect, MakeRaw, Plain, wait_until_gone
from tests.support.needs import lacks

pytestmark = pytest.mark.timeout(60)

OLDEST = (3, 9)
SENT = [*sorted(Path(agent.__file__).parent.glob("*.py")), Path(supervisor.__file__)]


@pytest.mark.parametrize("path", SENT, ids=lambda path: path.name)
def test_what_is_sent_needs_nothing_installed(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=OLDEST)
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module))
    own = {name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name for name in own if not (name + ".").startswith("ffnn.parallel.agent.")} == set()


def old_pythons() -> list[str]:
    """Find the oldest Python of this machine that an agent promises to run on, and the newest."""
    found = {}
    places = [*Path.home().glob(".pyenv/versions/*/bin/python3"), Path("/usr/bin/python3")]
    for place in places:
        ask = [str(place), "-c", "import sys; print(*sys.version_info[:2])"]
        done = subprocess.run(ask, capture_output=True, text=True, check=False)
        if done.returncode == 0 and (version := tuple(map(int, done.stdout.split()))) >= OLDEST:
            found[version] = str(place)
    return [found[version] for version in sorted({min(found), max(found)})] if found else []


def test_every_python_since_3_9_is_an_agent(raw_agent: MakeRaw) -> None:
    pythons = [python for python in old_pythons() if python != sys.executable]
    if not pythons:
        lacks("no other Python than that of the tests")
    for python in pythons:
        made = raw_agent(python=python)
        assert Path(made.facts["folder"]).exists()
        pids = made.family(1)  # under the supervisor, which runs there too
        made.close()
        assert made.process.returncode == 0
        wait_until_gone(*pids)


def test_an_agent_loads_nothing_that_is_installed(connect: Connect) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *AGENT], input=agent_program(), capture_output=True, check=True
    )
    assert done.stdout.startswith(MAGIC)
    assert b"site-packages" not in done.stderr
    assert b"numpy" not in done.stderr


def test_an_agent_that_never_gets_its_program_ends() -> None:
    for half in (b"", b"0000", b"00001000import"):
        done = subprocess.run([sys.executable, *AGENT], input=half, capture_output=True, timeout=20, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def shell(script: str) -> Plain:
    return Plain(wrapper=["sh", "-c", f'{script}; exec "$@"', "sh"])


@pytest.mark.parametrize(
    "script",
    ["echo Welcome", "printf 'no end'", "head -c 60000 /dev/urandom", "printf '\\0ffnn agent\\0'", "echo no >&2"],
)
def test_a_login_shell_may_talk_before_the_agent(script: str, connect: Connect) -> None:
    connection = connect(shell(script))
    process = connection.launch(Command(["echo", "hello"]), supervised=False)
    assert process.read() == b"hello\n"


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["yes", "no agent"], "what answered is not an agent; it says b'no agent"),
        (["sleep", "300"], "it was not ready after 2 seconds"),
        (["cat"], "it was not ready after 2 seconds|what answered is not an agent"),  # says what it is told
        (["true"], "the connection ended"),
        (["sh", "-c", "echo the reason >&2; exit 3"], "the connection ended"),
        # closes its output and goes on
        (["sh", "-c", "exec >&-; sleep 300"], "the connection ended"),
    ],
)
def test_what_is_no_agent_is_given_up(argv: list[str], reason: str, connect: Connect) -> None:
    where = Plain(wrapper=argv, replace=True)
    connection = connect(where, wait=False)
    with pytest.raises(ConnectionLostError, match=reason):
        connection.wait_for_facts(2)
    connection.close(where.stop)
    assert where.agents[0].poll() is not None
    assert ("the reason" in connection.stderr) == ("the reason" in argv[-1])
