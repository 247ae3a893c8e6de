"""The kernels' tests hold under AddressSanitizer and UBSan, for valid and for odd input."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "ffnn" / "kernels"
OPTIONS = ["-std=gnu11", "-O1", "-g", "-fPIC", "-shared", "-fno-omit-frame-pointer"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
#: Every branch of the C code, at widths that the vectors divide and at others. The slow cases add no branch.
CHOSEN = (
    "(any_number_of_units or any_shape or threads_change_no_bit or steps_of_the_formula or depends_on_nothing or odd)"
    " and not (300000-3-64 or 300000-3-150 or 40000-20-150 or 40000-20-64 or 20000-0.1)"
)
OVERFLOW = "int broken(int n) { int a[4] = {0}; return a[n] + a[n - 1]; }"

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler, cc")


def compiled(source, target):
    done = subprocess.run(
        ["cc", *OPTIONS, *SANITIZERS, str(source), "-o", str(target), "-lm"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode and "sanitize" in done.stderr + str(done.args):
        pytest.skip(f"cc has no sanitizers here: {done.stderr.strip()[-200:]}")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Return the environment of a process that loads kernels built with the sanitizers."""
    folder = tmp_path_factory.mktemp("kernels")
    for source in SOURCES.glob("*.c"):
        compiled(source, folder / f"{source.stem}-0.so")
    found = subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    library = Path(found.stdout.strip())
    if not library.is_absolute():
        pytest.skip("cc's libasan.so is not there")
    return {
        **os.environ,
        "LD_PRELOAD": str(library.resolve()),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's own, at its end
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "FFNN_KERNELS": str(folder),
    }


def run(environment, *arguments):
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.slow
def test_the_sanitizers_are_at_work(environment):
    folder = Path(environment["FFNN_KERNELS"])
    (folder / "broken.c").write_text(OVERFLOW)
    compiled(folder / "broken.c", folder / "broken-0.so")
    done = run(environment, "-c", f"import ctypes; ctypes.CDLL({str(folder / 'broken-0.so')!r}).broken(4)")
    assert done.returncode != 0
    assert "broken.c:1" in done.stderr


@pytest.mark.slow
def test_the_kernels_keep_to_their_arrays(environment):
    files = [str(HERE / f"test_{name}.py") for name in ("sparse_adam", "sparse_products", "odd_input")]
    done = run(environment, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--noconftest", "-k", CHOSEN, *files)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
