"""The Dockerfile: a linter has nothing to say, and finds planted faults. That it works is infra/checks/image's to show."""

import os
import subprocess
import sys
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))
HADOLINT = os.path.join(os.path.dirname(sys.executable), "hadolint")

FAULTS = [
    ("the last user is root", "USER 10001:10001", "USER root", "DL3002"),
    ("a base by whatever is latest", 'FROM scratch AS symbols', "FROM debian:latest AS symbols", "DL3007"),
    ("a relative folder to work in", "WORKDIR /var/lib/hubbub", "WORKDIR hubbub", "DL3000"),
    ("a command that a shell takes apart", 'ENTRYPOINT ["/usr/local/bin/node"]', "ENTRYPOINT /usr/local/bin/node", "DL3025"),
    ("a port that there is not", "EXPOSE 8080 9090", "EXPOSE 80800", "DL3011"),
    ("a word that the shell takes apart", 'mkdir -p "$crate/src"', "mkdir -p $crate/src", "SC2086"),
]


def hadolint(text):
    return subprocess.run([HADOLINT, "-"], input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)


class Dockerfile(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(ROOT, "Dockerfile"), encoding="utf-8") as file:
            self.text = file.read()

    def test_a_linter_has_nothing_to_say(self):
        linted = hadolint(self.text)
        self.assertEqual((linted.returncode, linted.stdout), (0, ""))
        print("hadolint: nothing to say")

    def test_planted_faults_are_found(self):
        for fault, old, new, code in FAULTS:
            with self.subTest(fault=fault):
                self.assertIn(old, self.text, "the fault cannot be planted")
                linted = hadolint(self.text.replace(old, new))
                self.assertNotEqual(linted.returncode, 0)
                self.assertIn(code, linted.stdout)
                print(f"planted: {fault} -> hadolint: {code}")


if __name__ == "__main__":
    unittest.main()
