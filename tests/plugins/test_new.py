"""``ffnn new-plugin``: the folder that it writes is installed beside ffnn, tested, used, and uninstalled again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from ffnn import cli
from ffnn.plugins.hookspecs import HOOKS

USE = """
import json, warnings
warnings.simplefilter("ignore")
from sklearn.datasets import load_diabetes
from sklearn.model_selection import cross_val_score
import ffnn
from ffnn import MLPRegressor

X, y = load_diabetes(return_X_y=True)
found = {}
for parameter, value in {
    "plain": None, "builder": "example", "learning_rate": "example", "block": ("affine", "example", "activation"),
}.items():
    mlp = MLPRegressor((32,), n_epochs=3, builder="native", random_state=0)
    found[parameter] = mlp.set_params(**({} if value is None else {parameter: value})).fit(X * 100, y).loss_curve_
    if parameter == "builder":
        found["seconds"] = mlp.model_.seconds
    if parameter == "block":
        found["weights"] = list(mlp.network_.weights)
plain = MLPRegressor((32,), n_epochs=3, random_state=0)
scores = cross_val_score(plain, X, y, cv=3)
with ffnn.pool("example", n_workers=2) as pool:
    found["pool"] = type(pool.executor).__name__
    found["scores"] = [list(scores), list(cross_val_score(plain, X, y, cv=3))]
print(json.dumps(found))
"""

GONE = """
import json
import ffnn
from ffnn import MLPRegressor

messages = {}
names = ("builder", "input_layer", "output_layer", "solver", "learning_rate")
parameters = {**dict.fromkeys(names, "example"), "block": ("example",)}
for parameter, value in parameters.items():
    try:
        MLPRegressor(**{parameter: value}).fit([[0.0], [1.0]], [0.0, 1.0])
    except ValueError as error:
        messages[parameter] = str(error)
try:
    ffnn.pool("example")
except ValueError as error:
    messages["executor"] = str(error)
print(json.dumps(messages))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of its own in which everything that is installed here is found too."""
    home = tmp_path_factory.mktemp("stranger") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / "bin" / "python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    # site.addsitedir and not a plain path: ffnn itself may be installed through a .pth file of its own
    Path(site, "beside.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return python


def run(*command: object, **options: object) -> str:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, env=environment, timeout=300, check=False, **options
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    return result.stdout


@pytest.mark.slow
def test_a_new_plugin_of_each_kind_is_installed_passes_its_tests_and_is_used(python: Path, tmp_path: Path) -> None:
    def ffnn(*arguments: str) -> str:
        command = "import sys; from ffnn.cli import main; sys.exit(main(sys.argv[1:]))"
        return run(python, "-c", command, *arguments, cwd=tmp_path)

    def pip(*arguments: object) -> None:
        run(python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)

    assert "ffnn-example" not in ffnn("plugins")
    kinds = [argument for kind in HOOKS for argument in ("--kind", kind)]
    folder = tmp_path / "ffnn-example"
    assert ffnn("new-plugin", "example", *kinds).startswith("Written: ffnn-example. ")

    # installed as a stranger's is, but offline: with the build tools that are here
    pip("install", "--no-deps", "--no-build-isolation", "--no-index", folder)
    lines = [line for line in ffnn("plugins", "--check").splitlines() if "ffnn-example" in line]
    assert [line.split()[0] for line in lines] == list(HOOKS)
    assert all("0.1.0" in line for line in lines)

    # what takes longest is left out: the builders' own tests have it
    pytest = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not keras and not kills"]
    passed = run(*pytest, cwd=folder)
    assert " passed" in passed
    assert "failed" not in passed

    found = json.loads(run(python, "-c", USE).splitlines()[-1])
    assert found["builder"] == found["plain"]  # it wraps the built-in one
    assert len(found["seconds"]) == 3
    assert all(seconds > 0 for seconds in found["seconds"])
    for changed in ("block", "learning_rate"):  # the suites fit networks with the others, on engines
        assert found[changed] != found["plain"]
        assert found[changed][-1] < found[changed][0]  # and it learns
    assert "hidden1.example.factor" in found["weights"]
    assert found["pool"] == "ExampleExecutor"
    assert found["scores"][0] == found["scores"][1]

    pip("uninstall", "--yes", "ffnn-example")
    assert "ffnn-example" not in ffnn("plugins")
    messages = json.loads(run(python, "-c", GONE))
    assert set(messages) == {"builder", "input_layer", "output_layer", "block", "solver", "learning_rate", "executor"}
    for message in messages.values():
        assert "'example'" in message
        assert "ffnn plugins" in message


@pytest.mark.parametrize("kind", HOOKS)
def test_what_is_written_is_clean_and_packed_whole(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["new-plugin", "two-words", "--kind", kind]) == 0
    folder = tmp_path / "ffnn-two-words"
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    package, tests = {"ffnn_two_words/__init__.py", f"ffnn_two_words/{kind}.py"}, {f"tests/test_{kind}.py"}
    assert written == {"pyproject.toml", "README.md", *package, *tests}
    ruff = [Path(sys.executable).with_name("ruff")]
    run(*ruff, "check", "--isolated", "--no-cache", "--line-length=120", "--select=E,F,I,UP,B,C4,SIM", ".", cwd=folder)
    run(*ruff, "format", "--isolated", "--no-cache", "--line-length=120", "--check", ".", cwd=folder)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["Scale", "--kind", "layer"], "NAME: expected a lower-case name of letters, digits and underscores"),
        (["auto", "--kind", "input"], "NAME: expected a lower-case name"),
        (["../up", "--kind", "input"], "NAME: expected a lower-case name"),
        (["affine", "--kind", "layer"], "NAME: the layer 'affine' exists, in ffnn 0.1.0. Choose another name."),
        (["scale", "--kind", "colour"], "argument --kind: invalid choice: 'colour'"),
        (["there", "--kind", "layer"], "NAME: ffnn-there exists. Choose another name, or remove that folder"),
        (["scale"], "--kind"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(arguments, reason, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ffnn-there").mkdir()
    with pytest.raises(SystemExit) as caught:
        cli.main(["new-plugin", *arguments])
    assert caught.value.code == 2
    assert reason in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["ffnn-there"]
