#!/usr/bin/env bash
# tools/build.sh PRESET [TARGET...]: configures if needed, and builds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=$1
shift
# Ninja itself notices changed CMake files, but not changed presets.
if [ ! -e "build/$preset/build.ninja" ] || [ CMakePresets.json -nt "build/$preset/build.ninja" ]; then
  cmake --preset "$preset" >"/tmp/bettong-configure.$$" 2>&1 \
    || { cat "/tmp/bettong-configure.$$" >&2; rm -f "/tmp/bettong-configure.$$"; exit 1; }
  rm -f "/tmp/bettong-configure.$$"
  touch "build/$preset/build.ninja"
fi
exec cmake --build --preset "$preset" ${1:+--target "$@"}
