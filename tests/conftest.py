"""Fixtures that several test files use."""

from __future__ import annotations

import importlib.util
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ffnn.plugins import registry
from tests.support.agents import connect, raw_agent  # noqa: F401 - fixtures
from tests.support.containers import podman  # noqa: F401 - fixtures
from tests.support.dask_cluster import dask_authority, dask_cluster, two_slots  # noqa: F401
from tests.support.netns import own_cable_network  # noqa: F401
from tests.support.sshd import own_ssh_network, ssh_network  # noqa: F401

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # in the background of a shell without job control; what the tests start would ignore Ctrl-C as well
    signal.signal(signal.SIGINT, signal.default_int_handler)

Install = Callable[..., Path]

#: What takes seconds: containers, clusters of Dask, and hosts that the test stops, changes and breaks.
SLOW_FIXTURES = {"podman", "dask_cluster", "two_slots", "own_ssh_network", "own_cable_network"}


#: Where tests wait for processes, connections and time-outs most of the time, and compute little.
WAITING = tuple(Path(__file__).parent / folder for folder in ("faults", "parallel", "plugins/executors"))


def is_slow(item: pytest.Item) -> bool:
    """Return whether a test needs a slow fixture, or runs once more on an engine."""
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    on_an_engine = parameters.get("builder", parameters.get("builder_name")) in ("tf", "keras")
    return on_an_engine or bool(SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())))


def does_wait(item: pytest.Item) -> bool:
    """Return whether a test is one of those that mostly wait."""
    return any(folder in item.path.parents for folder in WAITING)


def dealt(items: list[pytest.Item], n: int) -> list[list[pytest.Item]]:
    """Divide tests into ``n`` parts, a file at a time."""
    parts: list[list[pytest.Item]] = [[] for _ in range(n)]
    for i, (_, of_a_file) in enumerate(itertools.groupby(items, lambda item: item.path)):
        parts[i % n] += of_a_file
    return parts


def in_parts(items: list[pytest.Item], n: int) -> list[pytest.Item]:
    """Order tests for ``n`` processes, of which each begins with an equal part of the list.

    Half of the processes begin with tests that wait, so that the others can compute meanwhile, and those with slow
    ones. All parts end with quick tests, which a process that is done with its own takes over.
    """
    n_waiting = max(n // 2, 1)
    waiting = [item for item in items if does_wait(item)]
    slow = [item for item in items if not does_wait(item) and item.get_closest_marker("slow")]
    quick = [item for item in items if not does_wait(item) and not item.get_closest_marker("slow")]
    ordered: list[pytest.Item] = []
    for i, first in enumerate([*dealt(waiting, n_waiting), *dealt(slow, max(n - n_waiting, 1))]):
        n_more = max((i + 1) * len(items) // n - len(ordered) - len(first), 0)
        ordered += [*first, *quick[:n_more]]
        del quick[:n_more]
    return ordered + quick


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark what is slow, let pytest deselect tests, and order the others for ``--dist worksteal``."""
    for item in items:
        if is_slow(item):
            item.add_marker("slow")
    yield
    items[:] = in_parts(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


#: The engines that the estimators are tested on, with all that an engine takes.
BUILDERS = ("tf", "keras") if importlib.util.find_spec("ffnn.builders.keras") else ("tf",)


@pytest.fixture(params=(*BUILDERS, "native"))
def builder(request: pytest.FixtureRequest) -> str:
    """Run the test once a builder."""
    return str(request.param)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install small distributions for one test: ``install("name", "entry = module", module="source")``.

    They are what pip leaves in ``site-packages``: modules, and a ``.dist-info`` with metadata and entry
    points.
    """
    site = tmp_path / "site-packages"
    site.mkdir()
    before = set(sys.modules)

    def install(name: str, *entry_points: str, version: str = "1.2", **modules: str) -> Path:
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text("\n".join(["[ffnn]", *entry_points, ""]))
        for module, source in modules.items():
            (site / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(site)
        registry.reload()
        return site

    yield install
    for module in set(sys.modules) - before:
        if getattr(sys.modules[module], "__file__", None) and str(site) in str(sys.modules[module].__file__):
            del sys.modules[module]
    registry.reload()
