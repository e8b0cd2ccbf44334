#!/usr/bin/env bash
# Builds and tests tern in every way that has to work.   tools/check.sh [STEP]...
# Steps: dev, asan-ubsan, tsan, aarch64 (see CMakePresets.json), all of them by default; and scalar, asan-tools,
# aarch64-logits, clang, which would take the default beyond half an hour on two cores.
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
# The same tests where only plain C++ may run; the dev step compares whole texts of every instruction set.
step_scalar() { build dev && TERN_ISA=scalar ctest --preset dev -LE slow; }
# Clang here, GCC elsewhere: both compilers see the library, and no build is made twice.
step_asan-ubsan() { build asan-ubsan && ctest --preset asan-ubsan; }
# The command's files take as long to build as all others together.
step_asan-tools() { build asan-tools test_tools && ctest --preset asan-tools; }
# Only what runs threads: everything else is slow under this sanitizer and has nothing to find.
step_tsan() { build tsan test_base engine_threads_test && ctest --preset tsan; }
step_clang() { build clang && ctest --preset clang -LE slow; }

skipped=77 # the exit status of a step that cannot run here
prepare_aarch64() {
  if [ "$(uname -m)" = aarch64 ] || ! tools/setup.sh --for-aarch64 ||
    ! tools/aarch64_sysroot.sh build/aarch64-sysroot; then
    echo "check: skipped: this machine cannot cross-build for AArch64"
    return "$skipped"
  fi
}
# A cross-build under emulation: every kernel against the reference.
step_aarch64() { prepare_aarch64 && build aarch64 kernel_tests && ctest --preset aarch64 -j "$(nproc)"; }
# The whole engine: the logits of the bundled model have to equal this machine's.
step_aarch64-logits() {
  prepare_aarch64 && build dev print_logits_hash && build aarch64 print_logits_hash && compare_logits
}

compare_logits() {
  local program=tests/support/print_logits_hash model=models/tern-stories.gguf expected found kernel
  expected=$(build/dev/$program "$model" auto) || return
  for kernel in addsub-neon dot-neon-dotprod dot-neon-i8mm; do
    found=$(qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu build/aarch64/$program "$model" "$kernel") || return
    echo "$kernel: logits $found, expected $expected"
    [ "$found" = "$expected" ] || return
  done
}

steps=("$@")
if [ ${#steps[@]} -eq 0 ]; then
  steps=(dev asan-ubsan tsan aarch64)
fi

summary=()
failed=0
for step in "${steps[@]}"; do
  if ! declare -F "step_$step" >/dev/null; then
    echo "check: unknown step $step; known: dev scalar asan-ubsan asan-tools tsan aarch64 aarch64-logits clang" >&2
    exit 2
  fi
  printf '\n=== %s ===\n' "$step"
  begin=$SECONDS
  status=0
  "step_$step" || status=$?
  case $status in
    0) verdict=passed ;;
    "$skipped") verdict=skipped ;;
    *) verdict=FAILED failed=1 ;;
  esac
  summary+=("$(printf '%-12s %-7s %4d s' "$step" "$verdict" $((SECONDS - begin)))")
done

printf '\n=== summary ===\n'
printf '%s\n' "${summary[@]}"
exit $failed
