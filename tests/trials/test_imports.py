"""Tasks that are submitted while a module is being imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(120)

SEARCHES = """
import joblib, ffnn
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV
from ffnn.exceptions import TaskPicklingError

class Mine(DummyClassifier): ...

def search():
    return GridSearchCV(Mine(), {"random_state": [0, 1]}, cv=2).fit([[0.0]] * 8, [0, 1] * 4).best_score_

with ffnn.pool(n_workers=1) as pool:
    assert pool.submit(abs, -1).result() == 1  # needs no module
    for use in (search, lambda: pool.submit(search).result()):
        try:
            use()
        except TaskPicklingError as error:
            print(error)
"""

MAIN = """
import shop.searches
import ffnn
with ffnn.pool(n_workers=1):
    assert shop.searches.search() == 0.5
print("works after the import")
"""


def test_a_search_while_its_module_is_imported_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    (tmp_path / "shop" / "searches.py").write_text(SEARCHES)
    done = subprocess.run(
        [sys.executable, "-c", "import shop.searches"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    for name in ("Mine", "search"):
        assert f"{name} is of the module shop.searches, and shop.searches is still being imported" in done.stdout


@pytest.mark.slow
def test_a_search_works_once_its_module_is_imported(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    (tmp_path / "shop" / "searches.py").write_text(SEARCHES.split("with ffnn.pool")[0])
    done = subprocess.run([sys.executable, "-c", MAIN], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "works after the import" in done.stdout, done.stderr
