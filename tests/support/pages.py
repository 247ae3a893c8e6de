"""Runs the code of a page of the documentation, in order, as a reader would.

- A block of Python runs in the page's namespace; one with a title is saved as that file.
- A block of commands (``console``, ``sh``) runs in a shell, in the page's folder.
- A ``text`` block right after a block of Python, and the lines below a ``$`` command, are what is printed.

A comment before a block says otherwise: ``<!-- not run: why -->``, or ``<!-- output varies -->``.
"""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["Block", "blocks", "run"]

_BLOCK = re.compile(
    r"(?:^<!-- (?P<marker>not run: .+|output varies) -->\n)?"
    r'^```(?P<language>\w+)(?: title="(?P<title>[^"]*)")?\n(?P<code>.*?)^```$',
    re.MULTILINE | re.DOTALL,
)
_NUMBER = re.compile(r"\d+\.\d+(?:e[+-]?\d+)?")
#: How far decimal numbers may differ from those on the page: they depend on the processor.
_TOLERANCE = 0.02
_SHELLS = ("console", "sh")


@dataclass(frozen=True)
class Block:
    """A block of code.

    Parameters
    ----------
    language, title, code : str
        As on the page; the title may be empty.
    marker : str
        What the comment before it says; may be empty.
    line : int
        The page's line on which its code begins.
    follows : bool
        Whether nothing but empty lines is between it and the block before it.
    """

    language: str
    title: str
    code: str
    marker: str
    line: int
    follows: bool

    @property
    def runs(self) -> bool:
        """Whether it is to be run."""
        return self.language in ("python", *_SHELLS) and not self.marker.startswith("not run")


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page that have a language."""
    text = page.read_text()
    found = []
    end = 0
    for match in _BLOCK.finditer(text):
        follows = not text[end : match.start()].strip()
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(
            Block(match["language"], match["title"] or "", match["code"], match["marker"] or "", line, follows)
        )
        end = match.end()
    return found


def check(printed: str, block: Block, shown: str, page: Path) -> None:
    """Compare what was printed with what the page shows, but for the digits of decimal numbers."""
    if block.marker == "output varies":
        return
    where = f"{page.name}, line {block.line}"
    assert _NUMBER.sub("#", printed.strip()) == _NUMBER.sub("#", shown.strip()), where
    numbers = [list(map(float, _NUMBER.findall(text))) for text in (printed, shown)]
    assert numbers[0] == pytest.approx(numbers[1], abs=_TOLERANCE), where


def run_commands(block: Block, page: Path, folder: Path) -> None:
    """Run a block of commands."""
    if block.language == "sh":
        commands = [(block.code, "")]
    else:
        commands = re.findall(r"^\$ (.*\n)((?:(?!\$ ).*\n)*)", block.code, re.MULTILINE)
    assert commands, f"{page.name}, line {block.line}: a console block without a command"
    for command, shown in commands:
        done = subprocess.run(
            ["bash", "-c", f"PATH={Path(sys.executable).parent}:$PATH; {command}"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{page.name}, line {block.line}: {command}{done.stdout}"
        if shown.strip():
            check(done.stdout, block, shown, page)


def run(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Run a page in a folder, and return its namespace."""
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    output = io.StringIO()
    before = None
    loaded = set(sys.modules)
    for block in blocks(page):
        if block.title:
            path = folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.code)
        elif block.language == "text" and block.follows and before is not None:
            check(output.getvalue(), block, block.code, page)
        elif block.runs and block.language == "python":
            output = io.StringIO()
            # the page's own lines, for tracebacks and `inspect.getsource`
            code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")
            with contextlib.redirect_stdout(output):
                exec(code, vars(main))
        elif block.runs:
            run_commands(block, page, folder)
        before = block if block.runs and block.language == "python" and not block.title else None
    for name in set(sys.modules) - loaded:  # the page's own modules
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    return main
