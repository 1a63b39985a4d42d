"""Reads a server from outside, whatever loads it: before, between and after the work, when nothing happens."""

import subprocess
import time
from dataclasses import dataclass

from servers import Server

POLL_S = 0.5
# In so many seconds less than this share of one core: nothing happens.
QUIET_S = 3
QUIET_SHARE = 0.02
# So much more CPU time is work.
WORK_S = 0.1
# Memory that stays within this share for so long has settled; it is not waited for longer than that.
SETTLE_S, SETTLE_SHARE, SETTLE_MAX_S = 5, 0.005, 40


@dataclass
class Work:
    """What a server used."""

    cpu_us_a_message: float
    bytes_a_session: float


def sessions(server: Server) -> int:
    """Connections to it that are established."""
    query = ["ss", "-Htn", "state", "established", f"src {server.ip}:5222"]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout.count("\n")


def settle(server: Server) -> int:
    """Its memory once what its start has left is collected."""
    end = time.monotonic() + SETTLE_MAX_S
    seen = [server.memory_bytes()]
    while time.monotonic() < end:
        time.sleep(POLL_S)
        seen.append(server.memory_bytes())
        last = seen[-round(SETTLE_S / POLL_S):]
        if len(seen) > len(last) and max(last) - min(last) < SETTLE_SHARE * min(last):
            break
    return seen[-1]


def watch(server: Server, empty_bytes: int, users: int, messages: int, patience_s: float, alive) -> Work:
    """Waits for the logins, for silence, for the work, and for silence again. `alive` says whether the generator runs."""
    end = time.monotonic() + patience_s
    until(lambda: sessions(server) >= users, end, alive, f"{users} sessions")
    quiet(server, end, alive)
    before_s = server.cpu_s()
    full_bytes = []

    def works() -> bool:
        if server.cpu_s() > before_s + WORK_S:
            return True
        full_bytes.append(server.memory_bytes())
        return False

    until(works, end, alive, "work")
    quiet(server, end, alive)
    if sessions(server) < users:
        raise RuntimeError("sessions left before the end was seen")
    # The last but one: in the last, work may have begun.
    return Work((server.cpu_s() - before_s) / messages * 1e6, (full_bytes[-2] - empty_bytes) / users)


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
