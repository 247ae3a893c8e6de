"""``python -m ffnn``: the command line, where the script ``ffnn`` is not on the path."""

from __future__ import annotations

from ffnn.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
