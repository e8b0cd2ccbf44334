#!/usr/bin/env bash
# Installs what tern needs to be built, where it is missing.   tools/setup.sh [--for-check | --for-aarch64]
# --for-check: what the tests need as well. --for-aarch64: what a cross-build and its tests need.
# Debian and Ubuntu; elsewhere it says what is needed.
set -euo pipefail

packages=(cmake ninja-build g++ pkg-config libfmt-dev libxsimd-dev libpcre2-dev libcli11-dev nlohmann-json3-dev
  libedit-dev)
if [ "${1:-}" = --for-check ]; then
  packages+=(libgtest-dev binutils python3 clang libclang-rt-dev clang-format)
elif [ "${1:-}" = --for-aarch64 ]; then
  packages=(g++-aarch64-linux-gnu qemu-user)
elif [ $# -gt 0 ]; then
  echo "usage: tools/setup.sh [--for-check | --for-aarch64]" >&2
  exit 2
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  if [ "${1:-}" = --for-aarch64 ]; then
    echo "setup: the cross-build for AArch64 takes its libraries from Debian's packages" >&2
    exit 1
  fi
  missing=()
  for tool in cmake ninja c++ pkg-config; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [ ${#missing[@]} -eq 0 ] && exit 0 # CMake will name a library that is missing
  echo "setup: please install ${missing[*]}, and the development files of fmt 9, xsimd 8, PCRE2 10," \
    "CLI11 2.1, nlohmann-json 3.11 and, if lines are to be edited, libedit (for the tests also GoogleTest 1.12)" >&2
  exit 1
fi

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
missing=()
for package in "${packages[@]}"; do
  is_installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "setup: please install as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends)

echo "setup: installing ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Package lists may be absent or too old; both show as a failed install.
if ! "${install[@]}" "${missing[@]}" >"$log" 2>&1; then
  if ! { "${as_root[@]}" apt-get update -qq && "${install[@]}" "${missing[@]}"; } >"$log" 2>&1; then
    cat "$log" >&2
    echo "setup: could not install ${missing[*]}" >&2
    exit 1
  fi
fi
