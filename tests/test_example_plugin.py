"""A stranger's distribution with a plugin of each kind: installed beside ffnn, used, and uninstalled again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "plugins" / "ffnn-example"

USE = """
import json, sys, warnings
warnings.simplefilter("ignore")
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import cross_val_score
import ffnn
from ffnn import MLPRegressor

X, y = load_diabetes(return_X_y=True)
plain = MLPRegressor((32,), n_epochs=3, random_state=0)
found = {}
for parameter in ("builder", "input_layer", "output_layer", "solver", "learning_rate"):
    found[parameter] = plain.set_params(**{parameter: "example"}).fit(X * 100, y).loss_curve_
    plain = MLPRegressor((32,), n_epochs=3, random_state=0)
found["plain"] = plain.fit(X * 100, y).loss_curve_
found["tf"] = plain.set_params(builder="tf").fit(X * 100, y).loss_curve_
plain = MLPRegressor((32,), n_epochs=3, random_state=0)
timed = MLPRegressor((32,), n_epochs=3, builder="example").fit(X, y)
found["seconds"] = timed.model_.seconds
scaled = MLPRegressor((32,), n_epochs=3, block=("affine", "example", "activation"), random_state=0).fit(X * 100, y)
found["block"] = scaled.loss_curve_
found["weights"] = list(scaled.network_.weights)
moved = scaled.predict(X[:9] * 100)
found["moved"] = float(np.abs(scaled.set_params(builder="keras").predict(X[:9] * 100) - moved).max())
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
from ffnn.plugins import registry

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
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    # site.addsitedir and not a plain path: ffnn itself may be installed through a .pth file of its own
    Path(site, "beside.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return python


def run(*command: object) -> str:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=environment, timeout=300)
    assert result.returncode == 0, result.stderr[-4000:]
    return result.stdout


def pip(python: Path, *arguments: object) -> None:
    run(python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)


@pytest.mark.slow
def test_a_strangers_plugins_are_used_by_name_and_go_when_they_are_uninstalled(python: Path) -> None:
    listing = [python, "-c", "import sys; from ffnn.cli import main; sys.exit(main(['plugins']))"]
    assert "ffnn-example" not in run(*listing)

    # installed as a stranger's is, but offline: with the build tools that are here
    pip(python, "install", "--no-deps", "--no-build-isolation", "--no-index", EXAMPLE)
    lines = [line for line in run(*listing).splitlines() if "ffnn-example" in line]
    assert [line.split()[0] for line in lines] == [
        "builder",
        "input",
        "layer",
        "output",
        "solver",
        "schedule",
        "executor",
    ]
    assert all("0.1.0" in line for line in lines)

    found = json.loads(run(python, "-c", USE).splitlines()[-1])
    assert found["builder"] == found["tf"]  # it wraps the built-in one
    assert len(found["seconds"]) == 3
    assert all(seconds > 0 for seconds in found["seconds"])
    for changed in ("input_layer", "output_layer", "block", "solver", "learning_rate"):
        assert found[changed] != found["plain"]
        assert found[changed][-1] < found[changed][0]  # and it learns
    assert "hidden1.scale.factor" in found["weights"]
    assert found["moved"] < 1e-3  # of targets around 150: its layer runs on Keras too
    assert found["pool"] == "ThreadExecutor"
    assert found["scores"][0] == found["scores"][1]

    pip(python, "uninstall", "--yes", "ffnn-example")
    assert "ffnn-example" not in run(*listing)
    messages = json.loads(run(python, "-c", GONE))
    assert set(messages) == {"builder", "input_layer", "output_layer", "block", "solver", "learning_rate", "executor"}
    for message in messages.values():
        assert "'example'" in message
        assert "ffnn plugins" in message
