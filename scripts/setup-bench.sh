#!/usr/bin/env bash
# Creates or updates the environment of the benchmarks in $2 (default .venv-bench): ffnn, editable, with the versions that
# the environment $1 (default .venv) has, and the peers. Without torch, skorch's rows say so.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv}
bench=${2:-.venv-bench}
peers=benchmarks/requirements-peers.txt

if [ ! -x "$bench/bin/python" ]; then
    "$venv/bin/python" -m venv --clear "$bench"
fi
constraints=$(mktemp)
trap 'rm -f "$constraints" "$constraints.peers"' EXIT
"$venv/bin/python" -m pip freeze --exclude-editable | grep -E '^[A-Za-z0-9._-]+==' |
    grep -vE '^(pip|setuptools|uv)==' >"$constraints"

echo "Installing ffnn and its peers into $bench."
grep -v '^torch==' "$peers" >"$constraints.peers"
if ! "$venv/bin/uv" pip install --quiet --compile-bytecode --python "$bench/bin/python" --constraint "$constraints" \
    --editable . --requirement "$constraints.peers"; then
    echo "uv could not install them; trying pip." >&2
    "$bench/bin/python" -m pip install --quiet --constraint "$constraints" --editable . --requirement "$constraints.peers"
fi

"$bench/bin/python" -m compileall -q ffnn ffnn_plugins  # as an installed package is, whatever Python is told to write

# The registry's torch brings gigabytes of CUDA; a build for the CPU is taken where pip is configured to find one.
torch=$(grep '^torch==' "$peers")
if ! "$bench/bin/python" -m pip show --quiet torch 2>/dev/null; then
    pip() { "$bench/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$constraints" "$@"; }
    free=$(df --output=avail -BG . | tail -1 | tr -dc 0-9)
    if ! pip "$torch+cpu" 2>/dev/null && { [ "$free" -lt 15 ] || ! pip "$torch"; }; then
        echo "torch could not be installed ($free GB are free): the rows of skorch will say so." >&2
    fi
fi
"$bench/bin/python" -m pip list 2>/dev/null | grep -iE '^(ffnn|keras|scikeras|scikit-learn|skorch|tensorflow|torch) '
