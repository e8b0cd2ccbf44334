#!/usr/bin/env bash
# Unpacks the AArch64 libraries that a cross-build needs, leaving the system as it is.   tools/aarch64_sysroot.sh FOLDER
# Debian; needs the network the first time.
set -euo pipefail
if [ $# -ne 1 ]; then
  echo "usage: tools/aarch64_sysroot.sh FOLDER" >&2
  exit 2
fi
folder=$1

packages=(libfmt-dev libpcre2-dev libgtest-dev libxsimd-dev libcli11-dev nlohmann-json3-dev)
stamp=$folder/packages
[ "$(cat "$stamp" 2>/dev/null)" = "${packages[*]}" ] && exit 0

# A package manager of its own: another list of packages, another architecture, nothing installed.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists,archives}/partial "$work/packages"
settings=(-o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State::status=/dev/null
  -o Dir::State::lists="$work/lists" -o Dir::Cache="$work" -o APT::Sandbox::User="$(id -un)")
apt-get -qq "${settings[@]}" update
# With what they link to; a name in angle brackets is not a package's.
mapfile -t linked < <(apt-cache "${settings[@]}" depends libfmt-dev libpcre2-dev | sed -n 's/^ *Depends: \(lib[^<]*\)$/\1/p')
(cd "$work/packages" && apt-get -qq "${settings[@]}" download "${packages[@]}" "${linked[@]}")

rm -rf "$folder"
mkdir -p "$folder"
for package in "$work"/packages/*.deb; do
  dpkg -x "$package" "$folder"
done
echo "${packages[*]}" >"$stamp"
