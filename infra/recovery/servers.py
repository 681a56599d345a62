"""A private Postgres, Redis and nodes on free ports of this machine, to be broken and mended."""

import glob
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

PATIENCE_SECONDS = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what, condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} after {PATIENCE_SECONDS} s"
        time.sleep(0.02)


class Process:
    """A program that ends with this one."""

    def __init__(self, command, log, **options):
        with open(log, "ab") as file:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True, **options)

    def end(self, number=signal.SIGKILL):
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
        self.process.wait(PATIENCE_SECONDS)


class Postgres:
    """Loses its data with `lose`."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder) / "postgres"
        self.log = pathlib.Path(folder) / "postgres.log"
        self.port = free_port()
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        self.bin = found[-1] if found else os.path.dirname(shutil.which("initdb"))
        # It refuses to run as root.
        self.account = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] if os.getuid() == 0 else []
        self.server = None

    def command(self, program, *arguments):
        return [*self.account, f"{self.bin}/{program}", *arguments]

    def begin(self):
        """A new, empty database."""
        self.folder.mkdir()
        if self.account:
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        quiet = {"check": True, "capture_output": True, "cwd": "/"}
        subprocess.run(self.command("initdb", "--pgdata", self.folder, "--username", "hubbub", "--auth", "trust", "--encoding", "UTF8", "--no-sync"), **quiet)
        self.server = Process(self.command("postgres", "-D", self.folder, "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
                                           "-c", f"unix_socket_directories={self.folder}"), self.log, cwd="/")
        wait_for("Postgres does not answer", lambda: subprocess.run(
            [f"{self.bin}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False).returncode == 0)
        subprocess.run([f"{self.bin}/createdb", *self.at(), "hubbub"], **quiet)

    def at(self):
        return ["-h", "127.0.0.1", "-p", str(self.port), "-U", "hubbub"]

    def url(self):
        return f"postgres://hubbub@127.0.0.1:{self.port}/hubbub"

    def dump(self, path):
        subprocess.run([f"{self.bin}/pg_dump", *self.at(), "--format", "custom", "--file", path, "hubbub"], check=True)

    def restore(self, path):
        subprocess.run([f"{self.bin}/pg_restore", *self.at(), "--dbname", "hubbub", "--exit-on-error", path], check=True)

    def lose(self):
        """The server is killed and its data is gone."""
        self.server.end()
        shutil.rmtree(self.folder)

    def end(self):
        if self.server:
            self.server.end()


class Redis:
    """Forgets everything when it ends."""

    def __init__(self, folder):
        self.log = pathlib.Path(folder) / "redis.log"
        self.port = free_port()
        self.server = None

    def begin(self):
        self.server = Process(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(self.log.parent)], self.log)

        def answers():
            with socket.socket() as connection:
                return connection.connect_ex(("127.0.0.1", self.port)) == 0

        wait_for("Redis does not answer", answers)

    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def end(self):
        if self.server:
            self.server.end()


class Node:
    """One node, at the same ports each time that it begins."""

    def __init__(self, folder, program, store, bus):
        self.program, self.folder = program, folder
        self.ports = (free_port(), free_port())
        self.log = pathlib.Path(folder) / f"node-{self.ports[0]}.log"
        self.environment = {
            "HUBBUB__STORE__URL": store, "HUBBUB__BUS__URL": bus, "HUBBUB__AUTH__GUESTS": "true", "HUBBUB__ROOMS__CREATE_ON_JOIN": "true",
            "HUBBUB__HTTP__LISTEN": f"127.0.0.1:{self.ports[0]}", "HUBBUB__HTTP__PRIVATE_LISTEN": f"127.0.0.1:{self.ports[1]}",
            "HUBBUB__DATA_DIR": str(folder)}
        self.server = None

    def begin(self):
        self.server = Process([self.program], self.log, env=self.environment, cwd=self.folder)
        wait_for("the node is not ready", self.is_ready)

    def is_ready(self):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.ports[0]}/readyz", timeout=5).close()
            return True
        except (urllib.error.URLError, OSError):
            return False

    def url(self):
        return f"ws://127.0.0.1:{self.ports[0]}/ws"

    def new_epoch(self):
        subprocess.run([self.program, "new-epoch"], env=self.environment, cwd=self.folder, check=True, capture_output=True)

    def end(self, number=signal.SIGKILL):
        if self.server:
            self.server.end(number)


class Cluster:
    """Two nodes with their Postgres and Redis; everything is gone at the end of the `with`."""

    def __init__(self, program):
        self.program = program

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="hubbub-drill-")
        # Postgres' account must pass.
        os.chmod(self.folder.name, 0o755)
        self.postgres, self.redis = Postgres(self.folder.name), Redis(self.folder.name)
        self.nodes = []
        try:
            self.postgres.begin()
            self.redis.begin()
            self.nodes = [Node(self.folder.name, self.program, self.postgres.url(), self.redis.url()) for _ in range(2)]
            for node in self.nodes:
                node.begin()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for one in (*self.nodes, self.redis, self.postgres):
            one.end()
        self.folder.cleanup()
