"""What a message costs: CPU time of each process and store over a calm stretch, for each message that was delivered in it."""

import os
import pathlib

from .load import Load
from .members import Cluster

TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")


class Costs:
    """Begun when the stretch begins, and asked when it ends."""

    def __init__(self, cluster: Cluster, load: Load):
        self.cluster, self.load = cluster, load
        self.began_us = self._cpu_us()
        self.began_messages = load.figures().delivered()

    def per_message_us(self) -> dict[str, float]:
        """By role, and by store."""
        messages = self.load.figures().delivered() - self.began_messages
        now_us = self._cpu_us()
        sums: dict[str, float] = {}
        for name, value in now_us.items():
            kind = name.rstrip("-0123456789")
            sums[kind] = sums.get(kind, 0) + value - self.began_us.get(name, 0)
        return {kind: value / messages for kind, value in sums.items()} if messages > 0 else {}

    def _cpu_us(self) -> dict[str, float]:
        pids = {name: member.process.pid for name, member in self.cluster.members.items()}
        if self.cluster.infra:
            pids |= self.cluster.infra.pids()
        return {name: cpu_us(pid) for name, pid in pids.items() if pid}


def cpu_us(pid: int) -> float:
    """User and system time; none of a process that has ended."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    # Behind the name, which may contain anything, these are the 12th and 13th field (proc(5)).
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_US
