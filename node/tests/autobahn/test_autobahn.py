"""Autobahn's cases (kosoku drives them) against an echo made of the node's own framing: node/examples/echo.rs.

A result other than OK must stand in the table of docs/testing.md, with its reason, and what stands there must be so."""

import asyncio
import fnmatch
import os
import re
import subprocess
import unittest
import warnings

import kosoku

HERE = os.path.dirname(os.path.abspath(__file__))
DOCUMENT = os.path.join(HERE, "..", "..", "..", "docs", "testing.md")
# `| 6.4.1 | NON-STRICT | OK | why |`
ROW = re.compile(r"^\| ([\d.*]+) \| ([A-Z -]+) \| ([A-Z -]+) \| \S", re.MULTILINE)

# A connection of a node carries either kind of frame. These are the cases with binary frames.
BINARY = ["1.2.*"]
# Speed, with messages of up to 16 MiB, which is far above the largest frame that a node takes.
EXCLUDED = ["9.*"]
AT_ONCE = 16


def explained():
    with open(DOCUMENT, encoding="utf-8") as document:
        return {case: (behavior, close) for case, behavior, close in ROW.findall(document.read())}


async def run(url, **selection):
    try:
        return await kosoku.run_fuzzingclient(url, concurrency=AT_ONCE, **selection)
    except kosoku.FailureError as failure:
        return failure.results


class Autobahn(unittest.TestCase):
    def setUp(self):
        program = os.environ.get("HUBBUB_TEST_ECHO")
        if not program:
            self.fail("HUBBUB_TEST_ECHO is not set; run this through scripts/test, which sets it")
        self.echo = subprocess.Popen([program], text=True, stdout=subprocess.PIPE)
        self.addCleanup(self.end)
        self.text, self.binary = (f"ws://{self.echo.stdout.readline().split()[-1]}" for _ in range(2))

    def end(self):
        self.echo.kill()
        self.echo.wait()
        self.echo.stdout.close()

    async def run_all(self):
        return [
            *await run(self.text, exclude_cases=BINARY + EXCLUDED),
            *await run(self.binary, cases=BINARY),
        ]

    def test_every_deviation_is_explained(self):
        # The cases leave their files open.
        warnings.simplefilter("ignore", ResourceWarning)
        results = asyncio.run(self.run_all())
        self.assertGreater(len(results), 460, "cases are missing")
        rows, explanations = explained(), set()
        for result in results:
            verdict = (result.behavior.value, result.behavior_close.value)
            row = next((row for row in rows if fnmatch.fnmatchcase(result.case_id, row)), None)
            with self.subTest(case=result.case_id, result=result.result, close=result.result_close):
                self.assertEqual(verdict, rows.get(row, ("OK", "OK")))
            explanations.add(row)
        self.assertEqual(set(rows) - explanations, set(), "docs/testing.md explains cases that there are not")
