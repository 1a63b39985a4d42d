"""throng-load: started beside the faults, asked how it is while it runs, and read when it has ended."""

import json
import pathlib
import signal
import subprocess
import time

from .hdr import percentile
from .metrics import ask

# What the ledger holds against a run (docs/ledger.md).
OFFENCES = ("lost", "doubled", "reordered", "astray", "archive-differences")
RESUMED_WITHIN_S = 10.0


class Load:
    """People who write to each other through the cluster."""

    def __init__(self, program: pathlib.Path, scenario: pathlib.Path, folder: pathlib.Path, port: int):
        self.program, self.scenario, self.folder, self.port = program, scenario, folder, port
        self.child: subprocess.Popen | None = None
        self.record: dict = {}

    def start(self, clients: list[str], settings: dict[str, float], seed: int) -> None:
        command = [str(self.program), "run", str(self.scenario), "--insecure", "--seed", str(seed)]
        command += ["--connect", ",".join(clients), "--prometheus", f"127.0.0.1:{self.port}"]
        command += ["--report", str(self.folder / "load.html")]
        for name, value in settings.items():
            command += ["--set", f"{name}={value}"]
        with (self.folder / "load.log").open("wb") as log:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def is_over(self) -> bool:
        return self.child is not None and self.child.poll() is not None

    def wait(self, patience_s: float) -> int:
        """Its exit code; the record is read."""
        code = self.child.wait(patience_s)
        record = self.folder / "load.json"
        self.record = json.loads(record.read_text()) if record.exists() else {}
        return code

    def stop(self) -> None:
        if self.child and self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)
            try:
                self.child.wait(60)
            except subprocess.TimeoutExpired:
                self.child.kill()

    def figures(self) -> "Figures":
        """As they are now; before the run has begun, none."""
        return Figures(ask(f"http://127.0.0.1:{self.port}/metrics"))

    def wait_for_sessions(self, count: int, patience_s: float) -> bool:
        """Until so many are logged in."""
        deadline = time.monotonic() + patience_s
        while self.figures().sessions < count:
            if time.monotonic() > deadline or self.is_over():
                return False
            time.sleep(0.5)
        return True


class Figures:
    """What throng-load tells Prometheus."""

    def __init__(self, values: dict[str, float]):
        self.values = values

    @property
    def sessions(self) -> int:
        return int(self.values.get("throng_load_sessions", 0))

    @property
    def seconds(self) -> float:
        return self.values.get("throng_load_run_seconds", 0.0)

    def event(self, name: str) -> int:
        return int(self.values.get(f'throng_load_events_total{{name="{name}"}}', 0))

    def lost(self) -> int:
        """Connections, for whatever reason."""
        return sum(self.event(name) for name in ("connections-lost", "connections-given-up"))

    def delivered(self) -> int:
        return int(self.values.get('throng_load_latency_seconds_count{measure="chat"}', 0))

    def resumed(self) -> int:
        return int(self.values.get('throng_load_latency_seconds_count{measure="away"}', 0))

    def resumed_soon(self) -> int:
        bound = f"{RESUMED_WITHIN_S:g}"
        return int(self.values.get(f'throng_load_latency_seconds_bucket{{measure="away",le="{bound}"}}', 0))


def offences(record: dict) -> dict[str, int]:
    """How many of each kind; all are zero in a run as it should be."""
    ledger = record.get("ledger", {})
    return {kind: ledger.get(kind, 0) for kind in OFFENCES}


def p99_ms(record: dict, measure: str, from_s: float, to_s: float) -> float:
    """Of what ended in this stretch of the run."""
    chosen = [
        second["latencies"][measure]["histogram"]
        for second in record.get("seconds", [])
        if from_s * 1000 < second["at_ms"] <= to_s * 1000 and measure in second["latencies"]
    ]
    return percentile(chosen, 0.99) / 1000
