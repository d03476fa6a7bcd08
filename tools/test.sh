#!/usr/bin/env bash
# Everything that must pass: checks, unit tests under three builds, integration tests, and a summary.
# A step whose files do not exist is left out. All steps run, also after a failure.
#
#   tools/test.sh [STEP...]     only steps whose name starts with one of these
#                               (format layers lint tools sdk examples build unit simulator integration
#                               crash kafka)
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# Steps must not read the terminal, and must not see a virtual environment of the caller.
exec </dev/null
unset VIRTUAL_ENV PYTHONPATH PYTHONHOME
root=$PWD
logs=build/test-logs
mkdir -p "$logs"
export PATH="$root/.venv/bin:$PATH"
source tools/sanitizers/env.sh

only=("$@")
lines=()
steps=0
failures=0
started=$SECONDS

selected() {
  [ ${#only[@]} -eq 0 ] && return 0
  local prefix
  for prefix in "${only[@]}"; do [[ "$1" == "$prefix"* ]] && return 0; done
  return 1
}

# What ctest, pytest and the crash test say last, for the summary.
closing_line() {
  grep -E '^([0-9]+% tests passed|=+ .* in [0-9.]+s|[0-9]+ (passed|failed|deselected|skipped).* in [0-9.]+s|kills=[0-9]+ )' "$1" \
    | tail -1 | sed 's/^=* *//; s/ *=*$//'
}

step() {
  local name=$1 log result begun=$SECONDS
  shift
  selected "$name" || return 0
  log="$logs/${name// /-}.log"
  echo "== $name"
  if "$@" 2>&1 | tee "$log"; then
    result=ok
  else
    result=FAILED
    failures=$((failures + 1))
  fi
  steps=$((steps + 1))
  lines+=("$(printf '%-20s %-6s %4ss  %s' "$name" "$result" $((SECONDS - begun)) "$(closing_line "$log")")")
  [ "$result" = ok ]
}

# A step that has nothing to run has lost its tests: it fails.
unit() { ctest --preset "$1" -j "$(nproc)" --no-tests=error; }

# $1 preset, then arguments of pytest. The tests find the program through BETTONG_BINARY.
integration() {
  local preset=$1 slowdown=1
  shift
  # Deadlines of the tests stretch with what the sanitizers cost.
  case $preset in dev) slowdown=4 ;; tsan) slowdown=8 ;; esac
  BETTONG_PRESET=$preset BETTONG_BINARY=$root/build/$preset/bettong BETTONG_TEST_SLOWDOWN=$slowdown \
    python -m pytest -q tests/integration "$@"  # 5: nothing was selected
}

step format tools/check_format.sh
step layers python tools/check_layers.py
[ ! -d clients/python ] || step lint python -m mypy
[ ! -d tests/tools ] || step tools python -m pytest -q tests/tools
[ ! -d clients/python/tests ] || step sdk python -m pytest -q clients/python/tests
[ ! -d examples ] || step examples python -m pytest -q examples

for preset in release dev tsan; do
  # Unit tests of a build that failed would be yesterday's.
  if step "build $preset" tools/build.sh "$preset" || ! selected "build $preset"; then
    step "unit $preset" unit "$preset"
    if [ -d tests/integration ] && [ -x "build/$preset/bettong" ]; then
      if [ "$preset" = release ]; then
        step "simulator" python -m pytest -q tests/sim
        step "integration $preset" integration "$preset"
        step "crash oracle" python -m pytest -q tests/crash
        step "crash" python tests/crash/driver.py --kills 10 --folder build/crash/test --fresh
        # Skipped, with the reason, where there is no Java; with CI in the environment that is a failure.
        step "kafka" python -m pytest -q -rs tests/kafka
      else
        step "integration $preset" integration "$preset" -m sanitized
      fi
    fi
  fi
done

echo
echo "== summary"
printf '%s\n' "${lines[@]}"
elapsed=$((SECONDS - started))
if [ $steps -eq 0 ]; then
  echo "make test: FAILED: no such step: ${only[*]}"
  exit 1
elif [ $failures -gt 0 ]; then
  echo "make test: FAILED: $failures of $steps steps, in ${elapsed}s; logs in $logs/"
  exit 1
fi
echo "make test: PASSED: $steps steps in ${elapsed}s"
