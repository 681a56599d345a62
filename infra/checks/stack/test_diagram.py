"""The picture in the repository is the one that the templates make."""

import os
import unittest

import diagram


class Diagram(unittest.TestCase):
    maxDiff = None

    def test_it_is_current(self):
        if os.environ.get("UPDATE_DIAGRAM"):
            diagram.PLACE.write_text(diagram.page())
        self.assertEqual(diagram.PLACE.read_text(), diagram.page(), "UPDATE_DIAGRAM=1 infra/checks/stack/run test_diagram draws it anew")


if __name__ == "__main__":
    unittest.main()
