"""What loads the servers: `throng-load`, and beside it Tsung."""

import json
import os
import subprocess
from pathlib import Path

from processes import Service
from servers import DOMAIN, PASSWORD, Server

ROOT = Path(__file__).resolve().parent.parent
# Tsung's nodes find each other through a port mapper of their own, which ends with them.
EPMD_PORT = "43691"


class Throng:
    """`throng-load` with a scenario; `record()` is what it has measured."""

    binary = "throng-load"

    def __init__(self, folder: Path, server: Server, port: int, scenario: Path, parameters: dict[str, float]):
        folder.mkdir(parents=True, exist_ok=True)
        self.report = folder / "report.html"
        self.scenario = scenario
        self.folder = folder
        pids = ",".join(map(str, server.pids()))
        command = [self.binary, "run", str(scenario), "--connect", f"{server.ip}:{port}", "--domain", DOMAIN, "--insecure",
                   "--as", server.name, "--watch", f"server={pids}", "--report", str(self.report), "--quiet"]
        for name, value in parameters.items():
            command += ["--set", f"{name}={value}"]
        self.service = Service(folder, command)

    def runs(self) -> bool:
        return self.service.process.poll() is None

    def record(self, patience_s: float) -> dict:
        """Waits for the end. A run that misses its goals, or loses messages, is a record too."""
        try:
            self.service.process.wait(patience_s)
        finally:
            self.service.stop()
        path = self.report.with_suffix(".json")
        if not path.exists():
            log = (self.folder / "out.log").read_text(errors="replace")
            raise RuntimeError(f"no record of {self.scenario.stem}:\n{log[-2000:]}")
        return json.loads(path.read_text())

    def stop(self):
        self.service.stop()


class Tsung:
    """Debian's Tsung with `config/tsung.xml`."""

    def __init__(self, folder: Path, server: Server, words: dict[str, object]):
        folder.mkdir(parents=True, exist_ok=True)
        accounts = "".join(f"user{number};{PASSWORD}\n" for number in range(server.setup.accounts))
        (folder / "accounts.csv").write_text(accounts)
        text = (ROOT / "config" / "tsung.xml").read_text()
        for word, value in ({"IP": server.ip, "DIR": folder} | words).items():
            text = text.replace(f"@{word}@", str(value))
        (folder / "tsung.xml").write_text(text)
        environment = {"ERL_EPMD_PORT": EPMD_PORT, "HOME": str(folder)}
        self.mapper = Service(folder, ["epmd", "-address", "127.0.0.1"], environment)
        command = ["tsung", "-n", "-f", str(folder / "tsung.xml"), "-l", str(folder / "log"), "-m", "-",
                   "-I", "127.0.0.1", "start"]
        self.service = Service(folder, command, environment)

    def runs(self) -> bool:
        return self.service.process.poll() is None

    def stop(self):
        self.service.stop()
        self.mapper.stop()


def version(command: list[str]) -> str:
    """The first line in which a program speaks of its version."""
    output = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"HOME": "/nonexistent"})
    return next((line for line in (output.stdout + output.stderr).splitlines() if any(map(str.isdigit, line))), "")
