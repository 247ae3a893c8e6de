"""Digests of trees: each node is hashed with a tag and its parts, whose lengths keep them apart."""

from __future__ import annotations

import hashlib

from ffnn.exceptions import FfnnError

__all__ = ["UnhashableError", "node"]


class UnhashableError(FfnnError):
    """A call contains something that has no content to hash, such as a lock or an open file."""


def node(tag: str, *parts: bytes | memoryview) -> bytes:
    """Return the SHA-256 of a tag and parts."""
    found = hashlib.sha256(f"{tag}:{len(parts)}".encode())
    for part in parts:
        found.update(memoryview(part).nbytes.to_bytes(8, "little"))
        found.update(part)
    return found.digest()
