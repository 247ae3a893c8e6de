from __future__ import annotations

from typing import Any

import pytest

from ffnn_plugins.executors.container import ContainerExecutor


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("image", "", ValueError),
        ("image", "--privileged", ValueError),
        ("image", "a b", ValueError),
        ("image", 3, TypeError),
        ("cpus", 0, ValueError),
        ("cpus", float("nan"), ValueError),
        ("cpus", "2", TypeError),
        ("memory", "4 gallons", ValueError),
        ("memory", "1m", ValueError),
        ("memory", 4.5, TypeError),
        ("pids", 0, ValueError),
        ("python", "-c", ValueError),
        ("engine", "", ValueError),
        ("engine", "./podman", ValueError),
        ("engine", "podman 'x", ValueError),
        ("engine", 7, TypeError),
        ("fresh", "yes", TypeError),
        ("arguments", "--gpus all", TypeError),
        ("arguments", [1], TypeError),
        ("hosts", "alpha", TypeError),
        ("hosts", [], ValueError),
        ("hosts", ["alpha", "alpha"], ValueError),
        ("workers_per_host", 0, ValueError),
        ("min_workers", 0, ValueError),
        ("required_resources", {"gpu": 1}, ValueError),
        ("required_resources", 2048, TypeError),
        ("ignore_versions", "numpy", TypeError),
    ],
)
def test_bad_options_are_named(option: str, value: object, error: type[Exception]) -> None:
    hosts = {"hosts": ["alpha"]} if option == "workers_per_host" else {}
    with pytest.raises(error, match=rf"^{option} ") as raised:
        ContainerExecutor(**hosts | {option: value})  # type: ignore[arg-type]
    if not isinstance(value, list | dict):
        assert repr(value) in str(raised.value)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("mounts", {"relative": "/data"}),
        ("mounts", {"/data": "data"}),
        ("mounts", {"/data": "/data:rwx"}),
        ("mounts", {"/a,readonly=false": "/data"}),
        ("mounts", {"/data": "/"}),
        ("mounts", {"/data": "/ffnn/data"}),
        ("mounts", {"/data": "/x/../ffnn"}),
        ("mounts", {3: "/data"}),
        ("mounts", ["/data"]),
        ("environment", {"A=B": "c"}),
        ("environment", {"FFNN_STORE": "/data"}),
        ("environment", {"A": 1}),
        ("environment", {"A": "x" * 200_000}),
        ("environment", ["A=B"]),
    ],
)
def test_bad_mappings_are_named(option: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"^{option} .*[Pp]ass"):
        ContainerExecutor(**{option: value})


def test_contradictions_are_named() -> None:
    for options, named in (
        ({"cpus": 1, "required_resources": {"cpu": 1024}}, "cpus"),
        ({"memory": "1g", "required_resources": {"memory": 1024}}, "memory"),
        ({"fresh": True, "max_tasks_per_child": 5}, "max_tasks_per_child"),
        ({"n_workers": 2, "hosts": ["alpha"]}, "n_workers"),
    ):
        with pytest.raises(ValueError, match=f"^{named} .*(Leave|Pass)"):
            ContainerExecutor(**options)  # type: ignore[arg-type]


def test_an_error_shows_no_secret() -> None:
    with pytest.raises(ValueError, match="^environment") as raised:
        ContainerExecutor(environment={"FFNN_X": "hush-4711"})
    assert "hush-4711" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "size"), [("4g", 2**32), ("512m", 2**29), ("1.5GiB", 3 * 2**29), ("65536k", 2**26), (2**27, 2**27)]
)
def test_memory_is_read(text: str | int, size: int) -> None:
    executor = ContainerExecutor(memory=text)
    assert executor.hosts[0].provisioner.container.memory == size
