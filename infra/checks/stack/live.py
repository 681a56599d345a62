"""A node of this checkout, running alone."""

import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request


class Node:
    """Serves on free ports of this machine until the end of the `with`."""

    def __init__(self, program):
        self.program = program

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen([self.program, "--listen", "127.0.0.1:0", "--private-listen", "127.0.0.1:0", "--data-dir", self.folder.name],
                                        cwd=self.folder.name, env={}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.public, self.private = (re.search(r"http://\S+", self.process.stdout.readline()).group(0) for _ in range(2))
        self.wait_until_ready()
        return self

    def wait_until_ready(self):
        deadline = time.monotonic() + 30
        while True:
            try:
                return self.get("/readyz")
            except urllib.error.HTTPError:
                assert time.monotonic() < deadline, "the node does not become ready"
                time.sleep(0.05)

    def get(self, path):
        with urllib.request.urlopen(self.private + path, timeout=10) as answer:
            return answer.read().decode()

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()
        self.folder.cleanup()
