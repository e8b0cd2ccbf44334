#!/usr/bin/env bash
# Builds and tests tern in every way that has to work.   tools/check.sh [STEP]...
# Steps: dev, scalar, asan-ubsan, tsan (see CMakePresets.json), all of them by default; and clang.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/setup.sh --for-check

build() { # build PRESET [TARGET]...
  local preset=$1
  shift
  local targets=()
  [ $# -gt 0 ] && targets=(--target "$@")
  cmake --preset "$preset" >/dev/null && cmake --build --preset "$preset" "${targets[@]}"
}

# set -e does not reach into a condition, so a step is a chain of commands.
step_dev() { build dev && ctest --preset dev; }
# The same tests where only plain C++ may run. Kernels are the only code that knows the difference.
step_scalar() { build dev && TERN_ISA=scalar ctest --preset dev -LE slow; }
# Clang here, GCC elsewhere: both compilers see everything, and no build is made twice.
step_asan-ubsan() { build asan-ubsan && ctest --preset asan-ubsan; }
# Only what runs threads: everything else is slow under this sanitizer and has nothing to find.
step_tsan() { build tsan test_base engine_test && ctest --preset tsan; }
step_clang() { build clang && ctest --preset clang -LE slow; }

steps=("$@")
if [ ${#steps[@]} -eq 0 ]; then
  steps=(dev scalar asan-ubsan tsan)
fi

summary=()
failed=0
for step in "${steps[@]}"; do
  if ! declare -F "step_$step" >/dev/null; then
    echo "check: unknown step $step; known: dev scalar asan-ubsan tsan clang" >&2
    exit 2
  fi
  printf '\n=== %s ===\n' "$step"
  begin=$SECONDS
  if "step_$step"; then verdict=passed; else verdict=FAILED failed=1; fi
  summary+=("$(printf '%-12s %-7s %4d s' "$step" "$verdict" $((SECONDS - begin)))")
done

printf '\n=== summary ===\n'
printf '%s\n' "${summary[@]}"
exit $failed
