"""The real stores, by tests/infra."""

import os
import pathlib
import subprocess

INFRA = pathlib.Path(__file__).resolve().parents[2] / "infra"


class Infra:
    """Redis with a replica and Sentinels, Kafka and Cassandra, of this cluster alone."""

    def __init__(self, run: pathlib.Path, host: str, base: int):
        self.env = {
            **os.environ,
            "INFRA_RUN": str(run / "infra"),
            "INFRA_HOST": host,
            "INFRA_BASE": str(base),
            "INFRA_AOF": "yes",
        }
        self.addresses: dict[str, str] = {}

    def up(self, *services: str) -> None:
        """Waits until all serve."""
        told = self._run("up", *services)
        for line in told.splitlines():
            name, found, value = line.partition("=")
            if found:
                self.addresses[name] = value

    def down(self) -> None:
        self._run("down")

    def ctl(self, *arguments: str) -> str:
        """As `tests/infra/ctl` says; what it prints."""
        return self._run("ctl", *arguments).strip()

    def pids(self) -> dict[str, int]:
        """Of what runs, for who watches memory and CPU time."""
        folder = pathlib.Path(self.env["INFRA_RUN"])
        return {file.stem: int(file.read_text()) for file in folder.glob("*.pid")}

    def _run(self, script: str, *arguments: str) -> str:
        command = [str(INFRA / script), *arguments]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{script} {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout
