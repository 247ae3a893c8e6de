"""The format of a journal's files: records with checksums, each readable whatever happened to the others.

A file is a sequence of records, and a record is::

    magic      8 bytes
    head      28 bytes: the lengths of meta (4) and payload (8), the BLAKE2b of the payload (16)
    check     16 bytes: the BLAKE2b of head and meta
    meta      JSON, an object whose "kind" says what the record is
    payload   a pickle, or nothing

A record that is damaged costs that record alone: the next one is found by its magic. What has no check that fits is no
record, so bytes of a payload that look like the magic do no harm. Readers skip the kinds that they do not know.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Record", "encode", "read_payload", "scan"]

_MAGIC = b"\x9dFFNNJ1\n"
_HEAD = struct.Struct("<IQ16s")
_CHECK = 16
_START = len(_MAGIC) + _HEAD.size + _CHECK
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Record:
    """A record of a file.

    Attributes
    ----------
    meta : dict
        What the record says, without its payload.
    offset, size : int
        Where the payload is in the file, and its number of bytes.
    check : bytes
        The payload's BLAKE2b.
    end : int
        Where the record ends.
    """

    meta: dict[str, Any]
    offset: int
    size: int
    check: bytes
    end: int


def encode(meta: dict[str, Any], payload: bytes, offset: int) -> tuple[bytes, Record]:
    """Return the bytes of a record that begins at an offset of its file, and the record."""
    text = json.dumps(meta, separators=(",", ":"), allow_nan=False).encode()
    check = _check(payload)
    head = _HEAD.pack(len(text), len(payload), check)
    data = b"".join((_MAGIC, head, _check(head + text), text, payload))
    end = offset + len(data)
    return data, Record(meta, end - len(payload), len(payload), check, end)


def scan(file: int, start: int) -> Iterator[Record | int]:
    """Yield the records of a file from an offset on, and for each damaged stretch its number of bytes.

    The last record may still be being written: without a whole one after it, it counts as missing, not as damaged.

    Parameters
    ----------
    file : int
        The file's descriptor.
    start : int
        The offset, at which a record begins.
    """
    while True:
        record = _record_at(file, start)
        if record is not None:
            yield record
            start = record.end
            continue
        found = _next_record(file, start + 1)
        if found is None:
            return
        yield found - start
        start = found


def read_payload(file: int, record: Record) -> bytes | None:
    """Return a record's payload, or None if it is damaged."""
    payload = _read(file, record.size, record.offset)
    return payload if len(payload) == record.size and _check(payload) == record.check else None


def _record_at(file: int, offset: int) -> Record | None:
    start = _read(file, _START, offset)
    if len(start) < _START or not start.startswith(_MAGIC):
        return None
    head, check = start[len(_MAGIC) : -_CHECK], start[-_CHECK:]
    n_meta, n_payload, payload_check = _HEAD.unpack(head)
    end = offset + _START + n_meta + n_payload
    if end > os.fstat(file).st_size:
        return None
    meta = _read(file, n_meta, offset + _START)
    if _check(head + meta) != check:
        return None
    return Record(json.loads(meta), offset + _START + n_meta, n_payload, payload_check, end)


def _next_record(file: int, offset: int) -> int | None:
    while piece := _read(file, _CHUNK, offset):
        at = piece.find(_MAGIC)
        if at < 0:
            if len(piece) < _CHUNK:
                return None
            offset += len(piece) - len(_MAGIC) + 1
        elif _record_at(file, offset + at) is not None:
            return offset + at
        else:
            offset += at + 1
    return None


def _read(file: int, size: int, offset: int) -> bytes:
    """Read that many bytes, fewer at the end of the file."""
    pieces = []
    while size > 0 and (piece := os.pread(file, size, offset)):
        pieces.append(piece)
        size -= len(piece)
        offset += len(piece)
    return b"".join(pieces)


def _check(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECK).digest()
