"""tools/setup.sh never removes a package unasked. apt-get and dpkg-query are stand-ins."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Everything is installed but libboost1.81-dev.
DPKG_QUERY = """#!/bin/sh
for p in "$@"; do
  case $p in -*|*'$'*|libboost1.81-dev) ;; *) printf 'installed=%s ' "$p" ;; esac
done
"""
# Simulates with $REMOVED removed; fetches lists; fails to install.
APT_GET = """#!/bin/sh
echo "$@" >>"$LOG"
case "$*" in
  "-s "*) for p in $REMOVED; do echo "Remv $p [1.74.0.3]"; done
          echo "Inst libboost1.81-dev (1.81.0)" ;;
  *update) ;;
  *) exit 9 ;;
esac
"""
SUDO = """#!/bin/sh
exec "$@"
"""


def run_setup(
    tmp_path: Path, *, removed: str, **environment: str
) -> tuple[str, list[str]]:
    """Runs a copy of the script with the stand-ins; what it said, how it called apt-get."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "tools/setup.sh", tmp_path / "tools")
    stand_ins = {
        "dpkg-query": DPKG_QUERY,
        "apt-get": APT_GET,
        "sudo": SUDO,
    }
    for name, text in stand_ins.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    log = tmp_path / "log"
    log.touch()
    result = subprocess.run(
        [tmp_path / "tools/setup.sh"],
        env={
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "LOG": str(log),
            "REMOVED": removed,
            **environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    # In no case does it get past the stand-in's refusal to install.
    assert result.returncode == 1
    return result.stderr, log.read_text().splitlines()


def test_a_removal_is_refused_off_a_terminal(tmp_path: Path) -> None:
    said, calls = run_setup(tmp_path, removed="libboost-dev libboost1.74-dev")
    assert "would REMOVE: libboost-dev libboost1.74-dev" in said
    assert "BETTONG_ALLOW_REMOVALS=1" in said
    assert [call for call in calls if not call.startswith("-s ")] == []


def test_a_removal_agreed_to_beforehand_goes_on(tmp_path: Path) -> None:
    said, calls = run_setup(
        tmp_path, removed="libboost-dev", BETTONG_ALLOW_REMOVALS="1"
    )
    assert "installing Debian packages: libboost1.81-dev" in said
    installs = [call for call in calls if call.startswith("-qq -y")]
    assert installs
    assert not any("--no-remove" in call for call in installs)


def test_without_removals_apt_is_told_never_to_remove(tmp_path: Path) -> None:
    _, calls = run_setup(tmp_path, removed="")
    installs = [call for call in calls if call.startswith("-qq -y")]
    assert installs
    assert all("--no-remove" in call for call in installs)
