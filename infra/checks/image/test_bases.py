"""What images and containers are kept in goes away with them."""

import os
import tempfile
import unittest
import unittest.mock

import bases


class Storage(unittest.TestCase):
    def test_what_is_mounted_again_while_it_is_removed_goes_too(self):
        folder = tempfile.mkdtemp(prefix="hubbub-image-", dir="/var/tmp")
        mounted = os.path.join(folder, "storage", "overlay")
        os.makedirs(mounted)
        unmount, again = bases.unmount, [True, True]

        def unmount_and_mount(folder):
            unmount(folder)
            if again and again.pop():
                bases.run("mount", "--bind", mounted, mounted)

        with unittest.mock.patch.object(bases, "unmount", unmount_and_mount):
            bases.remove(folder)
        self.assertEqual(again, [])
        self.assertFalse(os.path.exists(folder))


if __name__ == "__main__":
    unittest.main()
