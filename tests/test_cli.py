"""The console command, run as the user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("ffnn")


def ffnn(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ) | ({"PYTHONPATH": str(path)} if path else {})
    return subprocess.run(
        [str(COMMAND), *arguments], capture_output=True, text=True, env=environment, check=False, timeout=60
    )


def test_version():
    done = ffnn("--version")
    assert (done.returncode, done.stdout) == (0, f"ffnn {version('ffnn')}\n")


def test_plugins_are_listed_with_where_they_come_from():
    done = ffnn("plugins")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert done.stderr == ""
    assert lines[0] == ["kind", "name", "class", "distribution"]
    expected = ["builder", "keras", "ffnn.builders.keras:KerasBuilder", "ffnn", version("ffnn")]
    assert expected in lines
    assert len(lines) >= 15
    assert lines[-1][:2] == ["kernels:", "sparse_adam"]


def test_a_broken_plugin_is_shown_on_standard_error_and_the_command_succeeds(install):
    hooks = "from ffnn.plugins import hookimpl\n@hookimpl\ndef ffnn_layers(): return {'scale': 'sound:Scale'}\n"
    install("broken", "bad = broken_one", broken_one="import no_such_package_at_all")
    site = install("sound", "any = sound", version="0.3", sound=hooks)
    done = ffnn("plugins", path=site)
    assert done.returncode == 0
    assert ["layer", "scale", "sound:Scale", "sound", "0.3"] in [line.split() for line in done.stdout.splitlines()]
    assert done.stderr == (
        "plugin 'bad' (broken_one) of broken 1.2: "
        "could not be loaded: ModuleNotFoundError: No module named 'no_such_package_at_all'\n"
    )


PLUGINS = """
from ffnn.plugins import hookimpl
@hookimpl
def ffnn_layers(): return {'scale': 'sound:Scale', 'lost': 'sound:Lost'}
class Scale: pass
"""


@pytest.mark.slow
def test_check_imports_every_class_and_fails_where_one_is_broken(install):
    sound = ffnn("plugins", "--check")
    assert (sound.returncode, sound.stderr) == (0, "")
    site = install("sound", "any = sound", version="0.3", sound=PLUGINS)
    assert ffnn("plugins", path=site).returncode == 0  # whose classes are not imported
    done = ffnn("plugins", "--check", path=site)
    assert done.returncode == 1
    assert ["layer", "scale", "sound:Scale", "sound", "0.3"] in [line.split() for line in done.stdout.splitlines()]
    assert "sound:Lost" not in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("layer 'lost' (sound:Lost) of sound 0.3: ")
    assert "could not be imported: AttributeError" in line


@pytest.mark.slow
def test_check_fails_where_an_entry_point_is_broken(install):
    site = install("broken", "bad = broken_one", broken_one="import no_such_package_at_all")
    assert ffnn("plugins", "--check", path=site).returncode == 1


def test_json_has_the_usable_plugins_and_the_broken(install):
    site = install("sound", "any = sound", version="0.3", sound=PLUGINS)
    done = ffnn("plugins", "--json", "--check", path=site)
    data = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    found = {(plugin["kind"], plugin["name"]): plugin for plugin in data["plugins"]}
    assert found["layer", "scale"] == {
        "class": "sound:Scale",
        "kind": "layer",
        "name": "scale",
        "distribution": "sound",
        "version": "0.3",
        "error": None,
        "usable": True,
    }
    assert not found["layer", "lost"]["usable"]
    assert "AttributeError" in found["layer", "lost"]["error"]
    assert {name for kind, name in found if kind == "builder"} == {"tf", "keras", "native"}
    assert "sparse_adam" in data["kernels"]


def test_help_imports_nothing_heavy_and_tells_the_exit_statuses():
    heavy = ["sklearn", "scipy", "pandas", "matplotlib", "tensorflow", "keras", "pluggy"]
    code = (
        "import sys, contextlib\nfrom ffnn.cli import main\nwith contextlib.suppress(SystemExit): main(['--help'])\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"
    for status in ("0", "1", "2", "74", "130"):
        assert f"\n  {status} " in done.stdout
    assert "exit status:" in ffnn("plugins", "--help").stdout


@pytest.mark.parametrize("arguments", [(), ("no-such-command",)])
def test_a_wrong_command_line_shows_the_usage(arguments):
    done = ffnn(*arguments)
    assert done.returncode == 2
    assert "usage: ffnn" in done.stderr


def test_help_names_the_commands():
    done = ffnn("--help")
    assert done.returncode == 0
    assert "list the installed plugins" in done.stdout


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command.replace("ffnn ", f"{COMMAND} ", 1)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("command", ["ffnn plugins", "ffnn doctor --help"])
def test_an_output_that_cannot_be_written_to_gives_no_traceback(command):
    cut = shell(f"{command} | true; echo ${{PIPESTATUS[0]}}")
    assert (cut.stdout in ("141\n", "0\n"), cut.stderr) == (True, "")  # 0 where it was written before the reader ended
    full = shell(f"{command} > /dev/full")
    assert (full.returncode, full.stderr) == (
        74,
        "ffnn: error: standard output cannot be written to: No space left on device\n",
    )
    closed = shell(f"{command} >&-")
    assert (closed.returncode, closed.stderr) == (0, "")


def test_a_closed_standard_error_puts_nothing_into_the_output(install):
    site = install("broken", "bad = broken_one", broken_one="import no_such_package_at_all")
    done = shell(f"PYTHONPATH={site} ffnn plugins 2>&-")
    assert done.returncode == 0
    assert "no_such_package" not in done.stdout
    wrong = shell("ffnn doctor --no-such-option 1 2>&-")
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_names_that_the_terminal_does_not_have_are_escaped(install):
    hooks = "from ffnn.plugins import hookimpl\n@hookimpl\ndef ffnn_layers(): return {'größe': 'sound:Scale'}\n"
    site = install("sound", "any = sound", sound=hooks)
    done = shell(f"PYTHONPATH={site} PYTHONIOENCODING=ascii HOME=/nonexistent LC_ALL=xx_YY ffnn plugins")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"gr\xf6\xdfe" in done.stdout
