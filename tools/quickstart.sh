#!/usr/bin/env bash
# From a fresh clone to a text: installs what is missing, builds, and lets the bundled model continue a prompt.
#   tools/quickstart.sh [PROMPT [OPTION OF tern run]...]
set -euo pipefail
cd "$(dirname "$0")/.."

tools/setup.sh

log=build/quickstart.log
mkdir -p build
# Shows one moving line on a terminal, nothing elsewhere, and everything when it fails.
quietly() {
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    echo "quickstart: failed: $*" >&2
    exit 1
  fi
}
build() {
  if ninja -C build/release -n | grep -q 'no work to do'; then
    return
  elif [ -t 2 ]; then
    NINJA_STATUS="building tern: %p " cmake --build --preset release >&2
  else
    quietly cmake --build --preset release
  fi
}
[ -f build/release/build.ninja ] || quietly cmake --preset release
build

prompt=${1:-"Once upon a time"}
[ $# -gt 0 ] && shift
exec build/release/tools/tern run --echo "$@" -p "$prompt"
