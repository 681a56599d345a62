"""A node in a container, as the stack runs it: 1 GiB and one CPU, read-only, without capabilities, on the host's network."""

import json
import os
import re
import resource
import socket
import subprocess
import time
import urllib.error
import urllib.request

from bases import STORAGE

PATIENCE_SECONDS = 30
MEMORY_BYTES = 1 << 30


def podman(*arguments, check=True, timeout=120):
    ran = subprocess.run(
        # Without systemd to ask, as in a container of CI.
        ["podman", *STORAGE, "--runtime", "runc", "--cgroup-manager", "cgroupfs", *arguments],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
    )
    if check and ran.returncode != 0:
        raise RuntimeError(f"podman {' '.join(arguments)} ended with {ran.returncode}:\n{ran.stderr}")
    return ran


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Container:
    def __init__(self, image, *arguments, **settings):
        self.public, self.private = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        settings = {"HTTP__LISTEN": self.public, "HTTP__PRIVATE_LISTEN": self.private, **settings}
        # Ours may be lower than what podman takes for granted.
        files = min(20_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        self.name = podman(
            "run", "--detach", "--network", "host", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
            "--memory", str(MEMORY_BYTES), "--cpus", "1", "--ulimit", f"nofile={files}:{files}", "--ulimit", "nproc=4096:4096",
            *(part for key, value in settings.items() for part in ("--env", f"HUBBUB__{key}={value}")), image, *arguments,
        ).stdout.strip()

    def remove(self):
        podman("rm", "--force", "--volumes", "--time", "0", self.name)

    def state(self):
        return json.loads(podman("inspect", self.name).stdout)[0]["State"]

    def log(self):
        ran = podman("logs", self.name)
        return ran.stdout + ran.stderr

    def proc(self, name):
        """A file of /proc about the node's process, as the host sees it."""
        with open(f"/proc/{self.state()['Pid']}/{name}", encoding="utf-8") as file:
            return file.read()

    def cgroup(self, controller, old, new):
        """A file of its control group, by its name in version 1 and in version 2."""
        for line in self.proc("cgroup").splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                where = os.path.join("/sys/fs/cgroup", controllers, path.lstrip("/"), old)
            elif controllers == "":
                where = os.path.join("/sys/fs/cgroup", path.lstrip("/"), new)
            else:
                continue
            if os.path.exists(where):
                with open(where, encoding="utf-8") as file:
                    return file.read().strip()
        raise RuntimeError(f"no {old} or {new} for:\n{self.proc('cgroup')}")

    def resident_bytes(self):
        return int(re.search(r"VmRSS:\s+(\d+) kB", self.proc("status"))[1]) * 1024

    def get(self, path, private=False):
        """Status and body."""
        try:
            with urllib.request.urlopen(f"http://{self.private if private else self.public}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def healthy(self):
        return podman("healthcheck", "run", self.name, check=False).returncode == 0

    def until_ready(self):
        def ready():
            try:
                return self.get("/readyz")[0] == 200
            except OSError:
                return False
        self.until(ready)

    def until_ended(self):
        """Its exit code."""
        self.until(lambda: self.state()["Status"] == "exited")
        return self.state()["ExitCode"]

    def until(self, condition):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"did not come so far in {PATIENCE_SECONDS} s: {self.state()}\n{self.log()}")
            time.sleep(0.05)
