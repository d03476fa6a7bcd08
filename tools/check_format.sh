#!/usr/bin/env bash
# tools/check_format.sh [--fix]: clang-format for C++, ruff for Python. Without --fix only checks.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fix=false
[ "${1:-}" != --fix ] || fix=true
ruff=.venv/bin/ruff
[ -x $ruff ] || { echo "check_format: no $ruff: run tools/setup.sh" >&2; exit 1; }

# Sources in this tree, NUL-separated: what git knows or would add; without git, what lies there.
sources() {
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files -z --cached --others --exclude-standard --deduplicate -- "$@"
  else
    local name=()
    for pattern in "$@"; do name+=(-o -name "$pattern"); done
    find . \( -path ./build -o -path ./.venv \) -prune -o -type f \( "${name[@]:1}" \) -print0
  fi
}
existing() {
  local file
  while IFS= read -r -d '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done
}

status=0
if $fix; then
  sources '*.h' '*.cc' | existing | xargs -0 -r -n 8 -P "$(nproc)" clang-format -i || status=1
  sources '*.py' '*.pyi' | existing | xargs -0 -r $ruff format -q || status=1
  sources '*.py' '*.pyi' | existing | xargs -0 -r $ruff check -q --fix || status=1
else
  sources '*.h' '*.cc' | existing \
    | xargs -0 -r -n 8 -P "$(nproc)" clang-format --dry-run -Werror || status=1
  sources '*.py' '*.pyi' | existing | xargs -0 -r $ruff format -q --diff || status=1
  sources '*.py' '*.pyi' | existing | xargs -0 -r $ruff check -q || status=1
  [ $status -eq 0 ] || echo "check_format: run make format, then look at what is left" >&2
fi
exit $status
