"""What is uploaded to the package index: a dry run of ``make release``, for this machine and this Python."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from scripts.release import check_links

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_a_release_is_built_checked_and_tried(tmp_path):
    command = [sys.executable, "-m", "scripts.release", "--quick", "--out-dir", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^Python 3\.\d+: the README's examples run$", done.stdout, re.MULTILINE)
    (source,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(source) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    assert {"hatch_build.py", "ffnn/kernels/sparse_adam.c", "tests/test_release.py"} <= names
    assert not [name for name in names if name.endswith((".so", ".pyc"))]
    (wheel,) = tmp_path.glob("*.whl")
    machine = platform.machine()
    assert wheel.name.endswith(f"-py3-none-manylinux_2_17_{machine}.manylinux2014_{machine}.whl")
    with zipfile.ZipFile(wheel) as files:
        assert {"ffnn/kernels/sparse_adam-0.so", "ffnn_plugins/builders/_native/float32-0.so"} <= set(files.namelist())


def test_a_link_on_the_packages_page_that_leads_nowhere_there_is_refused(tmp_path):
    wheel = tmp_path / "ffnn-1-py3-none-any.whl"
    for page, leads in (("[a](https://ffnn.example/a)", True), ("[a](docs/a.md)", False)):
        with zipfile.ZipFile(wheel, "w") as files:
            files.writestr("ffnn-1.dist-info/METADATA", f"Name: ffnn\n\n{page}\n")
        if leads:
            check_links(wheel)
        else:
            with pytest.raises(SystemExit, match=r"links that lead nowhere there: docs/a\.md"):
                check_links(wheel)


def test_a_wheel_for_another_processor_is_refused(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    environment = os.environ | {"FFNN_WHEEL": "riscv64"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "FFNN_WHEEL='riscv64': expected x86_64 or aarch64. Unset it" in done.stderr
