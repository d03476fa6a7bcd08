"""Tests of the tester: the simulator finds the bugs that are planted in it, and nothing else.

Run by `make test` against build/release/test/sim, which has the planted bugs compiled in.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SIM = Path(
    os.environ.get("BETTONG_SIM", REPOSITORY / "build" / "release" / "test" / "sim")
)
FOLDERS = ["base", "wal", "grid", "ingest", "compute", "tests/sim"]
# A bug that takes more schedules than this to be found is not found.
SEEDS = 3000
SCHEDULES_IN_TEST = 1200


def names(macro: str) -> list[str]:
    """What the sources give to a macro of base/simulation.h."""
    found: set[str] = set()
    for folder in FOLDERS:
        for path in (REPOSITORY / folder).rglob("*"):
            if path.suffix in {".h", ".cc"} and path.name != "simulation.h":
                found.update(re.findall(rf"{macro}\((\w+)\)", path.read_text()))
    return sorted(found)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SIM), *arguments], capture_output=True, text=True, check=False
    )


# Half a minute of work at most, but machines are busy.
pytestmark = pytest.mark.timeout(600)

BUGS = names("BETTONG_PLANTED")
# What the tester is for: bugs that it must find, and places that it must reach, by name.
BUGS_WANTED = {
    "ack_before_durable",
    "cut_tail_revived",
    "events_go_with_a_failed_shared_turn",
    "expiry_by_clock_on_replay",
    "failed_turn_feeds_windows",
    "failed_turn_keeps_its_timers",
    "failed_turn_sends_its_messages",
    "functions_leave_no_marks",
    "high_water_instead_of_applied_set",
    "late_handlers_have_targets_of_their_own",
    "later_events_pass_a_retry",
    "mark_in_another_section",
    "messages_leave_no_mark",
    "no_chain_check",
    "outbox_trimmed_early",
    "output_before_durable",  # the messages between partitions are outputs
    "recovered_timers_are_not_set",
    "retry_after_failed_sync",
    "retry_counts_as_applied",
    "shared_turn_across_the_end_of_a_life",
    "windows_end_unseen_with_their_entity",
}
POINTS_WANTED = {
    "alarm_rings_behind_a_retry",
    "bit_flip_harmless",
    "bit_flip_refused",
    "checkpoint_trimmed",
    "connection_cut_inside_of_what_was_sent",
    "disk_full_and_resumed",
    "event_is_late",
    "failed_sync",
    "late_event_may_have_been_in_time",
    "lost_tail_comes_back",
    "message_comes_again",
    "no_space_for_a_call",
    "out_of_order_lane_return_across_a_crash",
    "read_error",
    "receiver_resumes",
    "resend_deduplicated",
    "resharded_restart",
    "shared_turn_failed",
    "slow_disk",
    "timer_of_an_earlier_process_rings",
    "torn_tail_cut",
    "unsynced_write_lost",
    "unsynced_write_torn",
    "unsynced_writes_reordered",
    "window_closes_with_its_entity",
    "window_closes_without_an_event",
    "write_error",
}


def test_the_bugs_and_places_that_matter_are_there() -> None:
    assert BUGS_WANTED - set(BUGS) == set()
    assert POINTS_WANTED - set(names("BETTONG_SOMETIMES")) == set()


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str) -> None:
    done = run(f"--bug={bug}", f"--schedules={SEEDS}", "--seed=1")
    # Some end the process: a check of the engine's own sees them first.
    assert done.returncode != 0, f"{bug} was not found in {SEEDS} schedules"


def test_without_a_bug_the_same_schedules_pass_and_reach_every_point() -> None:
    done = run(f"--schedules={SCHEDULES_IN_TEST}", "--seed=1")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert lines[-1] == f"schedules={SCHEDULES_IN_TEST} violations=0 seed=1"
    reached = {
        line.split()[1].rstrip(":") for line in lines if line.startswith("sometimes ")
    }
    assert set(names("BETTONG_SOMETIMES")) - reached == set()


def test_any_call_of_the_file_system_may_fail() -> None:
    # Every 150th call of each place, in four ways; docs/reliability.md has the command for all.
    done = run("--calls", "--schedules=6", "--seed=1", "--stride=150")
    assert done.returncode == 0, done.stdout
    sites = {
        line.split(",")[0] for line in done.stdout.splitlines() if "failed " in line
    }
    operations = {site.split()[1] for site in sites}
    assert operations >= {"open", "read", "write", "sync", "sync-dir", "rename"}
    runs = re.search(r"^calls=(\d+) runs=(\d+) violations=0", done.stdout, re.MULTILINE)
    assert runs is not None
    assert int(runs[2]) >= int(runs[1]) // 150 * 4


def test_one_seed_is_one_trace() -> None:
    first = run("--schedules=20", "--seed=500", "--verbose")
    second = run("--schedules=20", "--seed=500", "--verbose")
    assert first.stdout == second.stdout
    assert len(set(re.findall(r"trace=(\w+)", first.stdout))) == 20


def test_a_violation_names_its_seed() -> None:
    done = run("--bug=ack_before_durable", "--schedules=1000", "--seed=1")
    assert done.returncode == 1
    seed = re.search(r"^seed (\d+): ", done.stdout, re.MULTILINE)
    assert seed is not None
    assert done.stdout.splitlines()[-1].endswith(f"violations=1 seed={seed[1]}")
    again = run("--bug=ack_before_durable", "--schedules=1", f"--seed={seed[1]}")
    assert again.returncode == 1
