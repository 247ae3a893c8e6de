"""The program that turns a Python with nothing installed into an agent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ffnn.parallel import agent

__all__ = ["AGENT", "agent_program"]

_BOOT = (
    "import os,sys\n"
    "def take(n):\n"
    " b=b''\n"
    " while len(b)<n:\n"
    "  d=os.read(0,n-len(b))\n"
    "  if not d: sys.exit(0)\n"
    "  b+=d\n"
    " return b\n"
    "exec(compile(take(int(take(8),16)),'ffnn-agent','exec'))"
)
AGENT: Sequence[str] = ("-I", "-S", "-c", _BOOT)
"""Arguments by which any Python (3.9 or later, with nothing installed) becomes an agent: its source follows on
standard input (:func:`agent_program`)."""

_MODULES = ("frames", "facts", "folder", "command", "main")  # each imports only those before it
_LOADER = """
import sys, types
for package in ("ffnn", "ffnn.parallel", "ffnn.parallel.agent"):
    sys.modules[package] = types.ModuleType(package)
    sys.modules[package].__path__ = []
for name, source in {modules!r}.items():
    module = sys.modules[name] = types.ModuleType(name)
    setattr(sys.modules["ffnn.parallel.agent"], name.rpartition(".")[2], module)
    exec(compile(source, name, "exec"), module.__dict__)
module.main()
"""


def agent_program() -> bytes:
    """Return the input that :data:`AGENT` reads: the size of a program as 8 hexadecimal digits, and the program."""
    folder = Path(agent.__file__).parent
    modules = {f"ffnn.parallel.agent.{name}": (folder / f"{name}.py").read_text() for name in _MODULES}
    program = _LOADER.format(modules=modules).encode()
    return b"%08x" % len(program) + program
