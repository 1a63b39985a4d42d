"""The servers: each with an address, settings and data of its own, started for a measurement and gone after it."""

import hashlib
import hmac
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from database import Database
from processes import Service, cpu_s, listens, memory_bytes

CONFIG = Path(__file__).resolve().parent.parent / "config"
DOMAIN = "localhost"
PASSWORD = "secret"
ROUNDS = 4096  # of the passwords' hashes, the same for all: RFC 5802 §5.1


@dataclass
class Setup:
    """What a server is to have."""

    accounts: int = 200
    contacts: int = 0  # of each account, its neighbours in a ring
    archive: bool = False
    plain_passwords: bool = False  # stored as they are, for a generator that knows no SCRAM


class Server:
    """A server that runs, until the block that it is opened in ends. `name` is that of the tables."""

    name = ""
    ip = ""

    def __init__(self, folder: Path, setup: Setup):
        self.setup = setup
        self.folder = folder / self.name.lower()
        self.tls = folder / "tls"
        certificate(self.tls)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.services = []
        try:
            self.prepare()
            self.services.append(Service(self.folder, self.command(), self.environment()))
            self.services[-1].wait_until(self.ready)
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def prepare(self):
        """Writes settings and accounts."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def ready(self) -> bool:
        return all(listens(self.ip, port) for port in (5222, 5223))

    def pids(self) -> list[int]:
        """Of all that serves now, its database's too."""
        return [pid for service in self.services for pid in service.pids()]

    def cpu_s(self) -> float:
        return cpu_s(self.pids())

    def memory_bytes(self) -> int:
        return memory_bytes(self.pids())

    def stop(self):
        for service in reversed(self.services):
            service.stop()

    def fill(self, template: str, **words: object) -> str:
        text = (CONFIG / template).read_text()
        words |= {"IP": self.ip, "DIR": self.folder, "TLS": self.tls, "PASSWORD": PASSWORD,
                  "COUNT": self.setup.accounts, "CONTACTS": self.setup.contacts}
        for word, value in words.items():
            text = text.replace(f"@{word}@", str(value))
        return text


class Ejabberd(Server):
    name, ip = "ejabberd", "127.0.21.12"

    def prepare(self):
        archive = "mod_mam: {default: always, db_type: sql}" if self.setup.archive else "mod_time: {}"
        text = self.fill("ejabberd.yml", ARCHIVE=archive, PASSWORDS="plain" if self.setup.plain_passwords else "scram")
        if self.setup.archive:
            self.services.append(Database(self.folder / "database", self.ip))
            text += f'sql_type: pgsql\nsql_server: "{self.ip}"\nsql_username: ejabberd\nsql_database: ejabberd\n'
        (self.folder / "ejabberd.yml").write_text(text)
        (self.folder / "accounts.eval").write_text(self.fill("accounts.eval"))
        (self.folder / "log").mkdir()

    def command(self):
        # Without distribution: no port mapper is left behind. Busy waiting would count as work.
        return ["erl", "-noinput", "+K", "true", "+P", "250000", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none",
                "-mnesia", "dir", f'"{self.folder}/data"', "-s", "ejabberd",
                "-eval", f'ok = file:eval("{self.folder}/accounts.eval").']

    def environment(self):
        machine = os.uname().machine
        return {"EJABBERD_CONFIG_PATH": f"{self.folder}/ejabberd.yml", "EJABBERD_LOG_PATH": f"{self.folder}/log/ejabberd.log",
                "EJABBERD_PID_PATH": f"{self.folder}/ejabberd.pid", "ERL_CRASH_DUMP": f"{self.folder}/crash.dump",
                "ERL_LIBS": f"/usr/lib/{machine}-linux-gnu", "ERL_MAX_PORTS": "65536", "HOME": str(self.folder)}

    def ready(self):
        return (self.folder / "ready").exists() and super().ready()


class Prosody(Server):
    name, ip = "Prosody", "127.0.21.11"

    def prepare(self):
        archive = '"mam"' if self.setup.archive else ""
        (self.folder / "prosody.cfg.lua").write_text(self.fill("prosody.cfg.lua", ARCHIVE=archive, PASSWORDS="plain" if self.setup.plain_passwords else "hashed"))
        self.accounts()

    def accounts(self):
        """Files as its internal storage writes them."""
        salt = "c2FsdA-of-the-load"
        salted = hashlib.pbkdf2_hmac("sha1", PASSWORD.encode(), salt.encode(), ROUNDS)
        stored = hashlib.sha1(hmac.digest(salted, b"Client Key", "sha1")).hexdigest()
        server = hmac.digest(salted, b"Server Key", "sha1").hex()
        account = f'return {{ ["salt"] = "{salt}"; ["iteration_count"] = {ROUNDS}; ' \
            f'["stored_key"] = "{stored}"; ["server_key"] = "{server}"; }};\n'
        if self.setup.plain_passwords:
            account = f'return {{ ["password"] = "{PASSWORD}"; }};\n'
        data = self.folder / "data" / DOMAIN
        (data / "accounts").mkdir(parents=True)
        (data / "roster").mkdir()
        for number in range(self.setup.accounts):
            (data / "accounts" / f"user{number}.dat").write_text(account)
            contacts = "".join(f'["user{contact}@{DOMAIN}"] = {{ ["subscription"] = "both"; ["groups"] = {{}}; }}; '
                               for contact in neighbours(number, self.setup))
            if contacts:
                text = f'return {{ [false] = {{ ["version"] = 1; ["pending"] = {{}}; }}; {contacts}}};\n'
                (data / "roster" / f"user{number}.dat").write_text(text)

    def command(self):
        return ["prosody", "--config", str(self.folder / "prosody.cfg.lua")]


class Throng(Server):
    name, ip = "Throng", "127.0.21.13"
    binary = "throng"

    def prepare(self):
        (self.folder / "throng.toml").write_text(self.fill("throng.toml", ARCHIVE=str(self.setup.archive).lower()))
        # One account is added as an operator would; the others are copies of it.
        self.throng("user", "add", f"user0@{DOMAIN}", given=f"{PASSWORD}\n")
        lines = [json.loads(line) for line in self.throng("export", "-").splitlines()]
        account = next(line["account"] for line in lines if "account" in line)
        self.throng("user", "remove", f"user0@{DOMAIN}")
        records = [{"begin": {"throng": lines[0]["begin"]["throng"], "accounts": self.setup.accounts}}]
        for number in range(self.setup.accounts):
            jid = f"user{number}@{DOMAIN}"
            for contact in neighbours(number, self.setup):
                records.append({"contact": {"account": jid, "jid": f"user{contact}@{DOMAIN}", "name": f"user{contact}",
                                            "subscription": "both"}})
            records.append({"account": account | {"account": jid}})
        records.append({"end": {"records": len(records)}})
        (self.folder / "accounts.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        self.throng("import", "accounts.jsonl")

    def throng(self, *arguments: str, given: str = "") -> str:
        return subprocess.run([self.binary, *arguments, "--config", "throng.toml"], cwd=self.folder, input=given,
                              capture_output=True, text=True, check=True).stdout

    def command(self):
        return [self.binary, "run", "--config", "throng.toml"]


class Floor(Server):
    """The null server: canned logins, each message's bytes copied to the addressed connection."""

    name, ip = "floor", "127.0.21.14"
    binary = "throng-load"

    def command(self):
        return [self.binary, "null", "--listen", f"{self.ip}:5222", "--direct", f"{self.ip}:5223", "--domain", DOMAIN]


def neighbours(number: int, setup: Setup):
    for far in range(1, setup.contacts // 2 + 1):
        yield (number + far) % setup.accounts
        yield (number - far) % setup.accounts


def certificate(folder: Path):
    """A certificate on P-256, the same for all."""
    if (folder / "both.pem").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", "key.pem", "-out", "chain.pem", "-days", "30", "-subj", f"/CN={DOMAIN}",
                    "-addext", f"subjectAltName=DNS:{DOMAIN},DNS:*.{DOMAIN}"], cwd=folder, check=True, capture_output=True)
    (folder / "both.pem").write_text((folder / "chain.pem").read_text() + (folder / "key.pem").read_text())
