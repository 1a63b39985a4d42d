"""A PostgreSQL of its own: where ejabberd's manual wants archives."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from processes import Service, listens

BINARIES = Path("/usr/lib/postgresql/15/bin")
SCHEMA = Path("/usr/share/ejabberd/sql/pg.sql")
PORT = 5432


class Database(Service):
    """Debian's defaults, but no commit waits for the disk, as none of Prosody's does."""

    def __init__(self, folder: Path, ip: str):
        folder.mkdir(parents=True)
        # PostgreSQL will not run as root.
        self.user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
        if self.user:
            shutil.chown(folder, "postgres", "postgres")
        data = folder / "data"
        self.run(folder, "initdb", "--pgdata", data, "--username=ejabberd", "--auth=trust", "--encoding=UTF8", "--locale=C")
        arguments = ["-D", str(data), "-h", ip, "-p", str(PORT), "-k", str(folder), "-c", "synchronous_commit=off"]
        super().__init__(folder, [*self.user, str(BINARIES / "postgres"), *arguments])
        try:
            self.wait_until(lambda: listens(ip, PORT) and self.answers(folder, ip))
            self.run(folder, "createdb", "--host", ip, "--username=ejabberd", "ejabberd")
            self.run(folder, "psql", "--quiet", "--host", ip, "--username=ejabberd", "--file", SCHEMA, "ejabberd")
        except BaseException:
            self.stop()
            raise

    def answers(self, folder: Path, ip: str) -> bool:
        return subprocess.run([BINARIES / "pg_isready", "-q", "-h", ip], cwd=folder).returncode == 0

    def run(self, folder: Path, program: str, *arguments: object):
        command = [*self.user, str(BINARIES / program), *map(str, arguments)]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    def stop(self, ask: int = signal.SIGINT):
        """`SIGINT` is its fast shutdown: it waits for no client."""
        super().stop(ask)
