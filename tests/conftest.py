"""Fixtures that several test files use."""

from __future__ import annotations

import importlib.util
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
    """Return whether a test needs a slow fixture, or runs once more on Keras."""
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    on_keras = "keras" in (parameters.get("builder"), parameters.get("builder_name"))
    return on_keras or bool(SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())))


def is_quick(item: pytest.Item) -> bool:
    """Return whether a test is not marked as slow."""
    return item.get_closest_marker("slow") is None


def does_wait(item: pytest.Item) -> bool:
    """Return whether a test is one of those that mostly wait."""
    return any(folder in item.path.parents for folder in WAITING)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow, and order the tests for the processes that share them.

    With ``--dist worksteal`` each process begins with an equal part of the list, and later takes over from the end of
    another's. So the first process waits while the others compute, the second begins with the slow tests, and no slow
    test is left for the end.
    """
    for item in items:
        if is_slow(item):
            item.add_marker("slow")
    items.sort(key=is_quick)
    waiting = [item for item in items if does_wait(item)]
    slow = [item for item in items if not does_wait(item) and not is_quick(item)]
    rest = [item for item in items if not does_wait(item) and is_quick(item)]
    part = len(items) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    n_before = max(part - len(waiting), 0)
    items[:] = [*waiting, *rest[:n_before], *slow, *rest[n_before:]]


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
