"""Processes that are started again when they end, as Kubernetes would."""

import os
import pathlib
import signal
import subprocess
import threading
import time

BACK_OFF_S = 0.5
POLL_S = 0.05


class Process:
    """One that is kept running until it is told otherwise."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], log: pathlib.Path):
        self.name, self.command, self.env, self.log = name, command, env, log
        self.wanted = True
        self.starts = 0
        self.child: subprocess.Popen | None = None
        self.ended_at = 0.0

    @property
    def pid(self) -> int:
        return self.child.pid if self.child and self.child.poll() is None else 0

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.starts += 1
        self.ended_at = 0.0

    def signal(self, number: int) -> None:
        if self.pid:
            os.kill(self.pid, number)


class Supervisor:
    """Keeps processes running, from a thread of its own."""

    def __init__(self):
        self.processes: dict[str, Process] = {}
        self.changed = lambda: None
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def add(self, process: Process) -> None:
        with self._lock:
            self.processes[process.name] = process
            process.start()
        self.changed()

    def end(self, name: str, grace_s: float) -> float:
        """SIGTERM, and SIGKILL after the grace; not started again. How long it took, in seconds."""
        process = self.processes[name]
        process.wanted = False
        took = self.stop(name, grace_s)
        with self._lock:
            self.processes.pop(name, None)
        self.changed()
        return took

    def stop(self, name: str, grace_s: float) -> float:
        """SIGTERM, and SIGKILL after the grace: how long it took, in seconds."""
        process, began = self.processes[name], time.monotonic()
        child = process.child
        if child is None:
            return 0.0
        process.signal(signal.SIGCONT)
        process.signal(signal.SIGTERM)
        try:
            child.wait(grace_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        return time.monotonic() - began

    def close(self) -> None:
        """Ends all, at once."""
        self._over.set()
        self._thread.join()
        for process in self.processes.values():
            process.wanted = False
            process.signal(signal.SIGKILL)
        for process in self.processes.values():
            if process.child:
                process.child.wait()

    def _watch(self) -> None:
        while not self._over.wait(POLL_S):
            with self._lock:
                again = [process for process in self.processes.values() if self._is_due(process)]
                for process in again:
                    process.start()
            if again:
                self.changed()

    def _is_due(self, process: Process) -> bool:
        if process.child is None or process.child.poll() is None or not process.wanted:
            return False
        if not process.ended_at:
            process.ended_at = time.monotonic()
        return time.monotonic() - process.ended_at >= BACK_OFF_S
