"""Remedies for limits of the system that many workers or hosts can reach."""

from __future__ import annotations

import errno
import resource

__all__ = ["remedy"]


def remedy(error: BaseException) -> str:
    """Return the remedy for a limit of open files, or of processes and threads; empty for any other error.

    Parameters
    ----------
    error : BaseException
        The error raised by starting a thread, a process or a connection.
    """
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        most = _in_words(resource.RLIMIT_NOFILE)
        return f". Raise the limit of open files (ulimit -n, now {most}; a host takes about four), or use fewer hosts"
    if (isinstance(error, OSError) and error.errno in (errno.EAGAIN, errno.ENOMEM)) or _is_about_threads(error):
        most = _in_words(resource.RLIMIT_NPROC)
        return (
            f". Raise the limit of processes and threads (ulimit -u, now {most}; there may be one of memory, or the "
            f"container's), or use fewer workers: each takes a thread here, and each host three"
        )
    return ""


def _is_about_threads(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and "start new thread" in str(error)


def _in_words(limit: int) -> str:
    most = resource.getrlimit(limit)[0]
    return "unlimited" if most == resource.RLIM_INFINITY else str(most)
