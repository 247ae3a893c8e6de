"""Builds what is uploaded to the package index, in dist/, and tries it as a user would: ``make release``.

The source distribution, and from it a wheel for each processor; their metadata and contents are checked, the wheel of
this machine is installed in a fresh environment of each Python and tested, and each extra is tried alone. Nothing is
uploaded. ``--quick`` builds for this machine, tries this Python, and leaves out the tests and the extras.
"""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import sys
import tempfile
import zipfile
from email.parser import Parser
from pathlib import Path

from scripts import extras
from scripts.environments import ROOT, UV, fresh, interpreter, run

PROCESSORS = ("x86_64", "aarch64")
PYTHONS = ("3.11", "3.12", "3.13")
#: Of the tests those that a Python or a compiler may break: scikit-learn's protocol, searches, files, the kernels.
TESTS = (
    "test_check_estimator.py",
    "test_search.py",
    "persistence/test_files.py",
    "kernels/test_sparse_products.py",
    "plugins/builders/test_native.py",
)
_TARGET = re.compile(r"\]\(([^)\s]+)\)")


def build(dist: Path, processors: tuple[str, ...]) -> list[Path]:
    """Build everything from a clean source distribution; return the wheels."""
    run(UV, "build", "--quiet", "--sdist", "--python", sys.executable, "--out-dir", dist)
    (source,) = dist.glob("*.tar.gz")
    for processor in processors:
        command = (UV, "build", "--quiet", "--wheel", "--python", sys.executable, "--out-dir", dist, source)
        run(*command, environment={"FFNN_WHEEL": processor})
    return sorted(dist.glob("*.whl"))


def check(dist: Path, wheels: list[Path]) -> None:
    """Check metadata, contents, platform tags, and the links of the package's page."""
    uvx = (UV, "tool", "run", "--quiet", "--python", sys.executable)
    run(*uvx, "twine", "check", "--strict", *sorted(dist.glob("ffnn-*")))
    run(*uvx, "check-wheel-contents", *wheels)
    for wheel in wheels:
        processor = wheel.stem.rpartition("manylinux2014_")[2]
        found = run(*uvx, "auditwheel", "show", wheel)
        if f'"manylinux_2_17_{processor}"' not in found:
            raise SystemExit(f"{wheel.name} runs on fewer machines than its name says:\n{found}")
        check_links(wheel)


def check_links(wheel: Path) -> None:
    """Refuse a package's page with links between files, which the index does not have."""
    relative = [link for link in _TARGET.findall(metadata(wheel)) if not link.startswith("https://")]
    if relative:
        raise SystemExit(f"the package's page has links that lead nowhere there: {', '.join(relative)}")


def metadata(wheel: Path) -> str:
    """Return the METADATA of a wheel: fields, and the package's page."""
    with zipfile.ZipFile(wheel) as files:
        (name,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        return files.read(name).decode()


def try_wheel(wheel: Path, python: str, scratch: Path, *, with_tests: bool) -> str:
    """Run the README's examples with the wheel alone, then tests with what they need; return what was seen."""
    made = fresh(scratch / "venv", python, str(wheel))
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    script = scratch / "readme.py"
    script.write_text("\n".join(blocks))
    run(made, script, cwd=scratch)
    listed = run(made, "-m", "ffnn", "plugins", cwd=scratch)
    if "kernels: none" in listed:
        raise SystemExit(f"the kernels of {wheel.name} do not load:\n{listed}")
    if not with_tests:
        return "the README's examples run"
    run(UV, "pip", "install", "--quiet", "--python", made, f"ffnn[test] @ {wheel.as_uri()}")
    away = scratch / "checkout"  # the tests without the code that they are about
    shutil.copytree(ROOT / "tests", away / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("scripts", "examples", "benchmarks"):
        shutil.copytree(ROOT / name, away / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", away)
    chosen = [f"tests/{name}" for name in TESTS]
    command = (made, "-m", "pytest", "-q", "-n", "2", "-m", "not slow", *chosen)
    return run(*command, cwd=away).strip().splitlines()[-1]


def main() -> None:
    """Build, check, try, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="for this machine and this Python; no tests, no extras")
    parser.add_argument("--out-dir", type=Path, default=ROOT / "dist", help="where to build (default: dist/)")
    options = parser.parse_args()
    here = platform.machine()
    this_python = f"{sys.version_info.major}.{sys.version_info.minor}"
    dist: Path = options.out_dir.resolve()
    for old in dist.glob("ffnn-*"):
        old.unlink()
    wheels = build(dist, (here,) if options.quick else PROCESSORS)
    check(dist, wheels)
    (wheel,) = (wheel for wheel in wheels if wheel.stem.endswith(here))
    for version in (this_python,) if options.quick else PYTHONS:
        python = interpreter(version)
        if python is None:
            print(f"Python {version}: not tried, since there is none on this machine")
            continue
        with tempfile.TemporaryDirectory(prefix="ffnn-release-") as scratch:
            seen = try_wheel(wheel, python, Path(scratch), with_tests=not options.quick)
        print(f"Python {version}: {seen}", flush=True)
    if not options.quick:
        extras.try_all(wheel)
    for file in sorted(dist.glob("ffnn-*")):
        print(f"{file.stat().st_size / 1e3:7.0f} kB  {file.name}")
    addresses = Parser().parsestr(metadata(wheel)).get_all("Project-URL", [])
    if any("ffnn.example" in address for address in addresses):
        print("Before the upload: write the project's own addresses for https://ffnn.example in pyproject.toml.")
    print("To upload: uvx twine upload dist/*")


if __name__ == "__main__":
    main()
