"""Reads a server from outside, whatever loads it: before, between and after the work, when nothing happens."""

import subprocess
import time
from dataclasses import dataclass

from servers import Server

POLL_S = 0.5
# In so many seconds less than this share of one core: nothing happens.
QUIET_S = 3
QUIET_SHARE = 0.02


@dataclass
class Work:
    """What a server used."""

    cpu_us_a_message: float
    bytes_a_session: float


def sessions(server: Server) -> int:
    """Connections to it that are established."""
    query = ["ss", "-Htn", "state", "established", f"src {server.ip}:5222"]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout.count("\n")


def watch(server: Server, users: int, messages: int, patience_s: float, alive) -> Work:
    """Waits for the logins, for silence, for the work, and for silence again. `alive` says whether the generator runs."""
    empty_bytes = server.memory_bytes()
    end = time.monotonic() + patience_s
    until(lambda: sessions(server) >= users, end, alive, f"{users} sessions")
    quiet(server, end, alive)
    before_s, full_bytes = server.cpu_s(), server.memory_bytes()
    until(lambda: server.cpu_s() > before_s + 0.2, end, alive, "work")
    quiet(server, end, alive)
    if sessions(server) < users:
        raise RuntimeError("sessions left before the end was seen")
    return Work((server.cpu_s() - before_s) / messages * 1e6, (full_bytes - empty_bytes) / users)


def until(reached, end: float, alive, what: str):
    while not reached():
        if time.monotonic() > end or not alive():
            raise RuntimeError(f"waited in vain for {what}")
        time.sleep(POLL_S)


def quiet(server: Server, end: float, alive):
    seen = []

    def still() -> bool:
        seen.append((time.monotonic(), server.cpu_s()))
        old = [sample for sample in seen if sample[0] <= seen[-1][0] - QUIET_S]
        return bool(old) and seen[-1][1] - old[-1][1] < QUIET_SHARE * QUIET_S

    until(still, end, alive, "silence")
