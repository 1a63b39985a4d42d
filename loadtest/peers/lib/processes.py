"""Processes that are started for a measurement, with all that they start, and what they use."""

import os
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

READY_S = 60
STOP_S = 20


class Service:
    """A process in a group of its own, and in a folder of its own, with its output in `out.log`."""

    def __init__(self, folder: Path, command: list[str], environment: dict[str, str] | None = None):
        self.folder = folder
        log = open(folder / "out.log", "ab")
        self.process = subprocess.Popen(
            command, cwd=folder, env=os.environ | (environment or {}), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, preexec_fn=more_files,
        )

    def wait_until(self, ready):
        begun = time.monotonic()
        while not ready():
            if self.process.poll() is not None or time.monotonic() - begun > READY_S:
                log = (self.folder / "out.log").read_text(errors="replace")
                raise RuntimeError(f"{self.process.args[0]} is not ready:\n{log[-2000:]}")
            time.sleep(0.05)

    def pids(self) -> list[int]:
        """Of its group and of its descendants, its own first."""
        found = [self.process.pid]
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.process.pid:
                try:
                    # pid (comm) state ppid pgrp session: proc(5)
                    session = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[3])
                except (OSError, IndexError):
                    continue
                if session == self.process.pid or parent(entry) in found:
                    found.append(int(entry.name))
        return found

    def stop(self, ask: int = signal.SIGTERM):
        """Ends the process, and whatever of its group does not end with it."""
        for ask in (ask, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, ask)
                self.process.wait(STOP_S)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass
        self.process.wait()


def parent(entry: Path) -> int:
    return int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])


def cpu_s(pids: list[int]) -> float:
    """User and system time so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_bytes(pids: list[int]) -> int:
    """The proportional set size."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def listens(ip: str, port: int) -> bool:
    try:
        socket.create_connection((ip, port), 1).close()
        return True
    except OSError:
        return False


def more_files():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
