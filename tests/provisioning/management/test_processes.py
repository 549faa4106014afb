"""Processes that run together. Here, they are small programs that record their signals in one file."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.management.processes import run_together

SUBJECT = """
import os, signal, sys, time
signal.alarm(60)  # A failing test leaves nothing running.
journal, name = sys.argv[1:3]
def tell(event):
    with open(journal, "a") as file:
        file.write(name + " " + event + "\\n")
def wait_for(event):
    while event not in open(journal).read():
        time.sleep(0.01)
tell("started")
"""
PATIENT = 'signal.signal(signal.SIGTERM, lambda *_: (tell("ended"), sys.exit()))\ntell("ready")\nsignal.pause()'
STUBBORN = """
def refuse(*_):
    signal.signal(signal.SIGTERM, lambda *_: (tell("gave in"), sys.exit()))
    tell("refused")
signal.signal(signal.SIGTERM, refuse)
tell("ready")
while True:
    signal.pause()
"""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    (tmp_path / "journal").touch()
    return tmp_path / "journal"


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def child(journal: Path, name: str, does: str) -> list[str]:
    return [sys.executable, "-c", SUBJECT + does, str(journal), name]


def told(number: int) -> str:
    """Signal the parent to end once the other process is ready."""
    return f'wait_for("ready")\nos.kill(os.getppid(), {number})\n'


@pytest.mark.parametrize("status", [0, 1])
def test_when_one_process_ends_the_others_are_ended(journal: Path, status: int) -> None:
    brief = child(journal, "brief", f'wait_for("ready")\nsys.exit({status})')

    assert run_together(child(journal, "patient", PATIENT), brief) is False

    assert journal.read_text().splitlines()[-1] == "patient ended"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_on_a_signal_all_processes_are_ended_last_one_first(journal: Path, number: int) -> None:
    first = child(journal, "first", PATIENT)
    ready, pause = PATIENT.rsplit("\n", 1)
    second = child(journal, "second", f'wait_for("first ready")\n{ready}\n{told(number)}{pause}')

    assert run_together(first, second) is True

    assert journal.read_text().splitlines()[-2:] == ["second ended", "first ended"]


def test_processes_can_all_be_told_to_end_at_once(journal: Path) -> None:
    """One after another, they could take longer than a service manager waits."""
    first = child(journal, "first", PATIENT)
    last_out = PATIENT.replace('tell("ended")', 'tell("told"), wait_for("first ended"), tell("ended")')
    ready, pause = last_out.rsplit("\n", 1)
    second = child(journal, "second", f'wait_for("first ready")\n{ready}\n{told(signal.SIGTERM)}{pause}')

    assert run_together(first, second, at_once=True) is True

    told_of = [line for line in journal.read_text().splitlines() if "ended" in line or "told" in line]
    assert sorted(told_of) == [
        "first ended",
        "second ended",
        "second told",
    ]  # A second signal would leave calls unsettled.
    assert told_of[-1] == "second ended"


def test_a_second_signal_is_passed_on_to_processes_still_ending(journal: Path) -> None:
    impatient = child(
        journal, "impatient", told(signal.SIGTERM) + 'wait_for("refused")\n' + told(signal.SIGTERM) + PATIENT
    )

    assert run_together(impatient, child(journal, "stubborn", STUBBORN)) is True

    assert "stubborn gave in" in journal.read_text()


def test_a_command_that_cannot_start_leaves_no_process_running(journal: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_together(child(journal, "patient", PATIENT), ["/nonexistent"])


def test_processes_get_the_given_environment(journal: Path) -> None:
    run_together(child(journal, "one", 'tell(os.environ["COLOUR"])'), environment={"COLOUR": "blue"})

    assert "one blue" in journal.read_text()
