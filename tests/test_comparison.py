"""The page that compares ffnn with its peers is what its script makes, and the tests that it names exist."""

from __future__ import annotations

import copy
import importlib.util
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def compare() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare", ROOT / "scripts" / "compare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def facts(compare):
    return tomllib.loads(compare.FACTS.read_text())


def test_every_cell_has_its_test_or_its_grounds(compare, facts):
    assert compare.mistakes(facts) == []
    assert len(facts["row"]) >= 30
    assert len({row["what"] for row in facts["row"]}) == len(facts["row"])


def test_the_page_is_what_the_script_makes(compare, facts):
    assert compare.PAGE.read_text() == compare.page(facts), "run `make comparison`"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"tests": ["tests/test_base.py::test_that_never_was"]},
            "there is no test tests/test_base.py::test_that_never_was",
        ),
        ({"tests": ["tests/test_nothing.py::test_a"]}, "there is no test tests/test_nothing.py::test_a"),
        ({"tests": []}, "no tests are named"),
        ({"keras": ["perhaps", "hearsay"]}, "keras = ['perhaps', 'hearsay'] says nothing"),
        ({"keras": ["yes", ""]}, "keras = ['yes', ''] says nothing"),
    ],
)
def test_what_rests_on_nothing_is_found(compare, facts, change, said):
    wrong = copy.deepcopy(facts)
    wrong["row"][0].update(change)
    (mistake,) = compare.mistakes(wrong)
    assert mistake == f"{wrong['row'][0]['what']}: {said}"
