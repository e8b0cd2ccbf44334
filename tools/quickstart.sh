#!/usr/bin/env bash
# From a fresh clone to a text: installs what is missing, builds, and lets the bundled model continue a prompt.
#   tools/quickstart.sh [PROMPT [OPTION OF tern run]...]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

prompt="Once upon a time"
case ${1:-} in
  "") ;;
  -h | --help) exec sed -n '2,3s/^# *//p' "$0" ;;
  -*) ;; # options alone: the default prompt
  *) prompt=$1 && shift ;;
esac

"$root/tools/setup.sh"
cd "$root"

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
configure() {
  # Where the distribution's libraries are of other versions, pinned ones are downloaded.
  cmake --preset release || cmake --preset release -DTERN_FETCH_DEPENDENCIES=ON
}
[ -f build/release/build.ninja ] || quietly configure
build

cd "$OLDPWD" # file names among the options are the caller's
exec "$root/build/release/tools/tern" run -m "$root/models/tern-stories.gguf" --echo "$@" -p "$prompt"
