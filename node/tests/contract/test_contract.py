"""The server keeps what its document says: schemathesis asks for it, as somebody signed up and as an administrator."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

import openapi_spec_validator

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "clients"))

from node import Node  # noqa: E402

# How many examples of each operation are made up, beside those that cover its document.
EXAMPLES = 8
PASSWORD = "correct horse"


class Contract(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        # What it remembers of a run lies beside its configuration.
        self.config = shutil.copy(os.path.join(HERE, "schemathesis.toml"), self.folder)
        # Haste is tested elsewhere.
        self.node = Node(self.folder, "limits.sends_per_second_per_user=0")
        self.addCleanup(self.node.kill)
        self.api = f"http://{self.node.address}/api/v1"

    def ask(self, path, token=None, **body):
        request = urllib.request.Request(self.api + path, json.dumps(body).encode() if body else None)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def sign_up(self, name):
        token = self.ask("/users", name=name, password=PASSWORD)["token"]
        self.ask("/rooms", token, room=f"room-of-{name.lower()}", visibility="private")
        return token

    def schemathesis(self, name, token, *arguments):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SCHEMATHESIS")}
        environment.update(SCHEMATHESIS_HOOKS="hooks", CONTRACT_ROOM=f"room-of-{name.lower()}", PYTHONPATH=HERE)
        program = os.path.join(os.path.dirname(sys.executable), "st")
        run = subprocess.run(
            [program, "--config-file", self.config, "run", f"{self.api}/openapi.json",
             "-H", f"Authorization: Bearer {token}", "--max-examples", str(EXAMPLES), "--generation-database", "none",
             "--continue-on-failure", "--no-color", "--warnings", "off", *arguments],
            cwd=self.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
        )
        self.assertEqual(run.returncode, 0, run.stdout)
        return run.stdout

    def whoever(self, name, token):
        # Signing out would end all else.
        output = self.schemathesis(name, token, "--exclude-operation-id", "signOut")
        self.assertIn("No issues found", output)
        self.schemathesis(name, token, "--include-operation-id", "signOut")

    def test_the_document_is_valid(self):
        openapi_spec_validator.validate(self.ask("/openapi.json"))

    def test_somebody_signed_up(self):
        self.whoever("Ada", self.sign_up("Ada"))

    def test_an_administrator(self):
        token = self.sign_up("Root")
        command = [os.environ["HUBBUB_TEST_NODE"], "make-administrator", "Root", "--data-dir", self.folder]
        subprocess.run(command, check=True, cwd=self.folder, stdout=subprocess.DEVNULL)
        self.whoever("Root", token)


if __name__ == "__main__":
    unittest.main()
