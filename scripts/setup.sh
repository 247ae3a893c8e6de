#!/usr/bin/env bash
# Creates or updates the virtual environment in $1 (default .venv): ffnn, editable, with its development tools.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv}

supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
if ! "$venv/bin/python" -c "$supported" 2>/dev/null; then
    python=
    for candidate in ${FFNN_PYTHON:-} python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c "$supported" 2>/dev/null; then
            python=$candidate
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "The tests of ffnn need Python 3.11, 3.12 or 3.13; python3 here is $(python3 --version 2>&1 || true)." >&2
        echo "(ffnn works on 3.14, but without TensorFlow, which has no release for it.)" >&2
        echo "Install one of them, or name it: FFNN_PYTHON=/path/to/python make setup" >&2
        exit 1
    fi
    if ! "$python" -m venv --clear "$venv"; then
        echo "$python cannot create a virtual environment (Debian and Ubuntu: apt-get install python3-venv)." >&2
        exit 1
    fi
fi

echo "Installing ffnn and its development tools into $venv (a minute or so; TensorFlow is large)."
# uv is many times as fast as pip here; pip is the way where its own configuration names the package index.
"$venv/bin/python" -m pip install --quiet --upgrade uv
if ! "$venv/bin/uv" pip install --quiet --compile-bytecode --python "$venv/bin/python" --editable ".[dev]"; then
    echo "uv could not install the dependencies; trying pip." >&2
    "$venv/bin/python" -m pip install --editable ".[dev]"
fi
# an editable package has no bytecode otherwise where Python is told to write none, and each process compiles anew
"$venv/bin/python" -m compileall -q ffnn ffnn_plugins
"$venv/bin/ffnn" --version
