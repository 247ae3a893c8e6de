from __future__ import annotations

import subprocess
import sys

import pytest

from ffnn.parallel.hosts.limits import remedy

pytestmark = pytest.mark.timeout(120)

PROGRAM = """
import concurrent.futures, operator, os, resource, sys, warnings
warnings.simplefilter("ignore")
from ffnn.exceptions import ExecutorError
from ffnn.parallel.hosts.local import LocalHost
from ffnn.parallel.slots.executor import SlotExecutor

executor = SlotExecutor([LocalHost({n_workers})])
{limit}
try:
    if {prepare}:
        executor.prepare()
    futures = [executor.submit(operator.neg, 1) for _ in range(3)]
    for future in concurrent.futures.wait(futures, 60).done:
        print(type(future.exception()).__name__, future.exception())
except ExecutorError as error:
    print(type(error).__name__, error)
executor.shutdown(cancel_futures=True)
"""
FEW_FILES = "resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')) + 2,) * 2)"
FEW_THREADS = (
    "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
    "resource.setrlimit(resource.RLIMIT_AS, (size + (64 << 20),) * 2)"
)


@pytest.mark.parametrize("prepare", [False, True])
@pytest.mark.parametrize(
    ("limit", "n_workers", "words"),
    [
        (FEW_FILES, 2, ["HostError", "Too many open files", "Raise the limit of open files (ulimit -n"]),
        (FEW_THREADS, 200, ["WorkerStartError", "for 200 workers could be started", "ulimit -u", "fewer workers"]),
    ],
)
def test_a_limit_of_the_system_is_named(limit: str, n_workers: int, words: list[str], prepare: bool) -> None:
    program = PROGRAM.format(limit=limit, n_workers=n_workers, prepare=prepare)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    lines = done.stdout.splitlines()
    assert len(lines) == (1 if prepare else 3), done.stderr
    for line in lines:
        for word in words:
            assert word in line


def test_other_errors_have_no_remedy() -> None:
    assert remedy(RuntimeError("a mistake")) == ""
    assert remedy(FileNotFoundError("ssh")) == ""
