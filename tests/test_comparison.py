"""The page that compares ffnn with its peers is what its script makes, and the tests that it names exist."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path

import pytest

from scripts import compare

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def facts():
    return tomllib.loads(compare.FACTS.read_text())


def test_every_cell_has_its_test_or_its_grounds(facts):
    assert compare.mistakes(facts) == []
    assert len(facts["row"]) >= 30
    assert len({row["what"] for row in facts["row"]}) == len(facts["row"])


def test_the_page_is_what_the_script_makes(facts):
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
def test_what_rests_on_nothing_is_found(facts, change, said):
    wrong = copy.deepcopy(facts)
    wrong["row"][0].update(change)
    (mistake,) = compare.mistakes(wrong)
    assert mistake == f"{wrong['row'][0]['what']}: {said}"
