#!/usr/bin/env bash
# Checks that every public symbol of ffnn has a known type, as pyright sees an installed package; $1 is the virtual
# environment. The libraries that ship no types are described in scripts/typings as far as our classes derive from them.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/$1/bin:$PATH" PYTHONPATH="$PWD/scripts/typings"
if ! found=$(pyright --verifytypes ffnn --ignoreexternal); then
    sed -n '/^Symbols used in public interface/,$p' <<<"$found"
    exit 1
fi
