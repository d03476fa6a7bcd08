#!/usr/bin/env bash
# Installs what building and testing need: Debian packages, and a virtual environment for the Python tests.
# Safe to run at any time; does nothing, quickly, when nothing is missing. Never removes a package unasked.
#
#   BETTONG_ALLOW_REMOVALS=1   agree beforehand to the removals that installing entails
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PYTHON=/usr/bin/python3.11
PACKAGES=(
  # build
  g++ cmake ninja-build ccache clang-format
  # libraries
  libboost1.81-dev libabsl-dev libsimdjson-dev libgtest-dev libgmock-dev libcli11-dev
  libtomlplusplus-dev libxxhash-dev librdkafka-dev
  # Python: the host library's headers, and the interpreter the tests run in
  python3.11 python3.11-dev python3.11-venv
  # redis-cli, redis-benchmark, and (see below) a Redis to compare with
  redis-tools
)

# Tests against Kafka need Java, Maven for its jars, and openssl for certificates; where nobody asks for them they are skipped instead.
if [ -n "${CI:-}${BETTONG_REQUIRE_KAFKA:-}" ] && ! { command -v java && command -v mvn && command -v openssl; } >/dev/null; then
  PACKAGES+=(openjdk-17-jre-headless maven openssl)
fi

say() { echo "setup: $*" >&2; }
die() { say "$*"; exit 1; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# -- Debian packages ------------------------------------------------------------------------------------------

missing_packages() {
  # Architecture qualifiers are not printed by ${Package}; what dpkg does not know goes to stderr.
  local installed
  installed=" $(dpkg-query -W -f '${db:Status-Status}=${Package} ' "${PACKAGES[@]}" 2>/dev/null || true)"
  local package
  for package in "${PACKAGES[@]}"; do
    [[ "$installed" == *" installed=$package "* ]] || echo "$package"
  done
}

simulate() { LC_ALL=C apt-get -s install --no-install-recommends "$@" 2>&1; }

install_packages() {
  local missing=("$@")
  say "installing Debian packages: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    die "needs root, and there is no sudo. Run as root: apt-get install --no-install-recommends ${missing[*]}"
  fi

  local plan
  if ! plan=$(simulate "${missing[@]}"); then
    say "fetching the package lists (apt-get update)"
    as_root apt-get -qq update >&2 || die "apt-get update failed"
    plan=$(simulate "${missing[@]}") || { echo "$plan" >&2; die "apt-get cannot install these packages"; }
  fi

  # --no-remove: should apt change its mind after the simulation, it fails instead.
  local removal_flags=(--no-remove) removals
  removals=$(sed -n 's/^Remv \([^ ]*\).*/\1/p' <<<"$plan" | sort -u | tr '\n' ' ')
  if [ -n "$removals" ]; then
    say "installing these would REMOVE: $removals"
    [[ "$removals" != *libboost* ]] || say "(libboost1.81-dev cannot stand beside libboost-dev, which is Boost 1.74)"
    if [ "${BETTONG_ALLOW_REMOVALS:-}" = 1 ]; then
      say "BETTONG_ALLOW_REMOVALS=1: going on"
    elif [ -t 0 ] && [ -t 2 ]; then
      local answer
      read -r -p "setup: remove them? [y/N] " answer
      [[ "$answer" == [yY]* ]] || die "nothing was changed"
    else
      die "nothing was changed. To agree: BETTONG_ALLOW_REMOVALS=1 make"
    fi
    removal_flags=()
  fi

  local install=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0
    --no-install-recommends "${removal_flags[@]}" install "${missing[@]}")
  if ! as_root "${install[@]}" </dev/null >&2; then
    say "trying again with fresh package lists (apt-get update)"
    as_root apt-get -qq update >&2 || die "apt-get update failed"
    as_root "${install[@]}" </dev/null >&2 || die "apt-get failed"
  fi
}

command -v apt-get >/dev/null || die "this is not a Debian system; needed here: ${PACKAGES[*]}"
mapfile -t missing < <(missing_packages)
[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"

# -- the Python environment of the tests ----------------------------------------------------------------------

stamp=.venv/.setup-stamp
want=$("$PYTHON" --version; cat tests/requirements.txt tests/requirements-redis5.txt; pwd)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$want" ]; then
  # pyvenv.cfg tells a leftover of another interpreter, or of a moved checkout.
  if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c 'import pip' 2>/dev/null \
     || ! grep -q "^command = $PYTHON .*$(pwd)/.venv\$" .venv/pyvenv.cfg 2>/dev/null; then
    say "making the virtual environment .venv with $PYTHON"
    rm -rf .venv
    "$PYTHON" -m venv .venv
  fi
  say "installing Python packages into .venv: $(grep -hv '^#' tests/requirements*.txt | tr '\n' ' ')"
  pip=(.venv/bin/python -m pip --disable-pip-version-check -q install)
  "${pip[@]}" -r tests/requirements.txt >&2
  rm -rf .venv/redis5
  "${pip[@]}" --target .venv/redis5 -r tests/requirements-redis5.txt >&2
  echo "$want" >"$stamp"
fi

# Debian's redis-server package would start and enable a service. Its program is the same file as
# redis-check-rdb of redis-tools, told apart by its name: a link is all that the tests need.
if [ ! -e .venv/bin/redis-server ]; then
  ln -sfn "$(command -v redis-server || echo /usr/bin/redis-check-rdb)" .venv/bin/redis-server
fi
