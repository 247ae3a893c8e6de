"""What agents keep on their hosts, and what they leave."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ffnn.parallel.agent import frames
from ffnn.parallel.agent.folder import CHANGED, STALE
from tests.support.agents import MakeRaw, RawAgent
from tests.support.disks import small_disk_at

pytestmark = pytest.mark.timeout(60)


def put(agent: RawAgent, name: str, data: bytes, size: int | None = None) -> str | None:
    """Put data into the store and return why it could not be stored."""
    size = len(data) if size is None else size
    agent.say(frames.PUT, 9, json.dumps({"name": name, "size": size}).encode())
    for start in range(0, size, frames.CHUNK):
        agent.say(frames.DATA, 9, data[start : start + frames.CHUNK])
    kind, channel, answer = agent.hear()
    assert (kind, channel) == (frames.STORED, 9)
    reason: str | None = json.loads(answer)
    return reason


def store(agent: RawAgent) -> Path:
    return Path(agent.facts["folder"]) / "data"


def test_data_is_stored_whole_and_dropped(raw_agent: MakeRaw) -> None:
    agent = raw_agent()
    data = os.urandom(1_000_000)
    assert put(agent, "abc", data) is None
    assert put(agent, "empty", b"") is None
    assert sorted(path.name for path in store(agent).iterdir()) == ["abc", "empty"]
    assert (store(agent) / "abc").read_bytes() == data
    assert (store(agent) / "abc").stat().st_mode & 0o777 == 0o444
    agent.say(frames.DROP, 0, b"abc")
    agent.say(frames.PING, 0)
    agent.hear()
    assert [path.name for path in store(agent).iterdir()] == ["empty"]


def test_half_of_it_is_not_there(raw_agent: MakeRaw) -> None:
    agent = raw_agent()
    agent.say(frames.PUT, 9, json.dumps({"name": "abc", "size": 10}).encode())
    agent.say(frames.DATA, 9, b"12345")
    agent.say(frames.PING, 0)
    agent.hear()
    assert not (store(agent) / "abc").exists()


def test_data_that_does_not_match_its_digest_is_refused(raw_agent: MakeRaw) -> None:
    agent = raw_agent()
    data = os.urandom(300_000)
    name = hashlib.sha256(data).hexdigest()
    assert put(agent, name, bytes(300_000)) == CHANGED
    assert list(store(agent).iterdir()) == []
    assert put(agent, name, data) is None
    assert (store(agent) / name).read_bytes() == data


def test_nothing_is_written_outside(raw_agent: MakeRaw, tmp_path: Path) -> None:
    agent = raw_agent()
    assert put(agent, "../../outside", b"1") is None
    assert not (tmp_path / "outside").exists()
    (tmp_path / "other").touch()
    agent.say(frames.DROP, 0, b"../../other")
    agent.say(frames.PING, 0)
    agent.hear()
    assert (tmp_path / "other").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk_at(tmp_path / "disk", "1m") as folder:
        yield folder


def test_a_full_disk_is_said(raw_agent: MakeRaw, small_disk: Path) -> None:
    agent = raw_agent(folder=small_disk)
    reason = put(agent, "large", bytes(5_000_000))
    assert reason is not None
    assert "No space left on device" in reason
    assert str(small_disk) in reason
    assert list(store(agent).iterdir()) == []  # nor is half of it left
    assert put(agent, "small", bytes(500_000)) is None


def test_what_a_killed_agent_left_is_swept_up(raw_agent: MakeRaw, tmp_path: Path) -> None:
    killed, living, fresh = raw_agent(), raw_agent(), raw_agent()
    for agent in (killed, fresh):
        put(agent, "data", b"1")
        agent.process.kill()
        agent.process.wait()
    for agent in (killed, living):  # as if they had started long ago
        lock = Path(agent.facts["folder"]) / "lock"
        os.utime(lock, (lock.stat().st_mtime - 2 * STALE,) * 2)
    raw_agent()
    assert not Path(killed.facts["folder"]).exists()
    assert Path(living.facts["folder"]).exists()
    assert Path(fresh.facts["folder"]).exists()  # another may just be about to lock it


def test_what_others_left_is_none_of_its_business(raw_agent: MakeRaw, tmp_path: Path) -> None:
    mine = f"ffnn-{os.getuid()}-"
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    (tmp_path / f"{mine}link").symlink_to(tmp_path / "precious")
    (tmp_path / f"{mine}file").touch()
    (tmp_path / f"{mine}empty").mkdir()
    (tmp_path / f"ffnn-{os.getuid() + 1}-other").mkdir()
    (tmp_path / f"ffnn-{os.getuid() + 1}-other" / "lock").touch()
    os.utime(tmp_path / f"ffnn-{os.getuid() + 1}-other" / "lock", (0, 0))
    (tmp_path / "precious" / "lock").touch()
    os.utime(tmp_path / "precious" / "lock", (0, 0))
    raw_agent()
    assert (tmp_path / "precious" / "file").exists()
    assert (tmp_path / f"ffnn-{os.getuid() + 1}-other").exists()
