"""Hosts with a cable that can be pulled: SSH servers in network namespaces of their own, joined to us by a veth pair.

Needs the right to make a namespace (root in a container, as CI is); skips elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.needs import lacks, needs
from tests.support.sshd import Network, network

__all__ = ["Cable", "own_cable_network"]


class Cable:
    """What joins a namespace to this one.

    Attributes
    ----------
    ours, address : str
        The addresses of its two ends; `address` is the host's.
    inside : list of str
        The command by which a program is run in the namespace.
    """

    def __init__(self) -> None:
        for _ in range(20):
            number = random.randrange(1 << 14)  # of 10.213.0.0/16, in blocks of 4 addresses
            self._name = f"ffnn{number}"
            if _try("ip", "netns", "add", self._name) is None:
                break
        else:
            raise RuntimeError("no free name for a network namespace")
        base = 4 * number
        prefix = f"10.213.{base >> 8}"
        self.ours, self.address = f"{prefix}.{(base & 255) + 1}", f"{prefix}.{(base & 255) + 2}"
        # not `ip netns exec`: that mounts another /sys
        self.inside = ["nsenter", f"--net=/run/netns/{self._name}"]
        try:
            _run("ip", "link", "add", self._name, "type", "veth", "peer", "name", "eth0", "netns", self._name)
            _run("ip", "address", "add", f"{self.ours}/30", "dev", self._name)
            _run("ip", "link", "set", self._name, "up")
            for command in (
                f"ip address add {self.address}/30 dev eth0",
                "ip link set lo up",
                "ip link set eth0 up",
            ):
                _run(*self.inside, *command.split())
        except BaseException:
            self.remove()
            raise

    def pull(self) -> None:
        """Lose every packet from now on, in both directions; neither end is told."""
        # the host's own end: ours keeps its carrier's state to itself, its address and its routes
        for chain in ("INPUT", "OUTPUT"):
            _run(*self.inside, "iptables", "-w", "-A", chain, "-j", "DROP")

    def plug_in(self) -> None:
        """Lose none any more."""
        for chain in ("INPUT", "OUTPUT"):
            _run(*self.inside, "iptables", "-w", "-F", chain)

    def remove(self) -> None:
        """Take the cable and the namespace away."""
        _try("ip", "link", "del", self._name)
        _try("ip", "netns", "del", self._name)


class CableNetwork(Network):
    """Hosts, each at the end of a cable.

    Attributes
    ----------
    cables : dict of str to Cable
        By the host's name.
    """

    cables: dict[str, Cable]


@pytest.fixture
def own_cable_network() -> Iterator[CableNetwork]:
    """Two hosts, ``alpha`` and ``beta``, at ``cables["alpha"]`` and ``cables["beta"]``, for one test alone."""
    needs("ip", "nsenter", package="iproute2 util-linux")
    needs("iptables")
    reason = None if os.getuid() == 0 else "only root makes a network namespace"
    if reason is None:
        probe = f"ffnnprobe{os.getpid()}"
        reason = _try("ip", "netns", "add", probe)
        _try("ip", "netns", "del", probe)
    if reason is not None:
        lacks(f"network namespaces: {reason}")
    with contextlib.ExitStack() as stack:
        cables = {}
        for name in ("alpha", "beta"):
            cables[name] = Cable()
            stack.callback(cables[name].remove)
        made = stack.enter_context(
            network(
                CableNetwork,
                {name: cable.address for name, cable in cables.items()},
                {name: cable.inside for name, cable in cables.items()},
            )
        )
        made.cables = cables
        yield made


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _try(*command: str) -> str | None:
    """Run a command and return its complaint, None if it has none."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stderr.strip() or f"{command[0]} failed"
