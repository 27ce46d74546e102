"""Checks that versions named in several files are the same in all of them."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def only_match(pattern, file):
    found = re.findall(pattern, (ROOT / file).read_text(), re.MULTILINE)
    assert len(set(found)) == 1, f"{file} has {found or 'nothing'} for {pattern}"
    return found[0]


class Versions(unittest.TestCase):
    def test_the_newest_version_of_the_changelog_is_cmakes(self):
        versions = re.findall(r"^## (\S+) - (\d{4}-\d{2}-\d{2})$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
        self.assertTrue(versions)
        self.assertEqual(versions[0][0], only_match(r"^project\(\w+ VERSION (\S+)", "CMakeLists.txt"))
        self.assertEqual(versions, sorted(versions, key=lambda version: version[1], reverse=True))

    def test_the_base_image_is_the_preferred_one_everywhere(self):
        image = "pytorch/pytorch:" + re.search(r"^build\t(\S+)", (ROOT / "scripts/images.tsv").read_text(), re.MULTILINE)[1]
        self.assertEqual(only_match(r"^FROM (pytorch/\S+-devel) AS ", "Dockerfile"), image + "-devel")
        self.assertEqual(only_match(r"^FROM (pytorch/\S+-runtime) AS ", "Dockerfile"), image + "-runtime")
        self.assertEqual(only_match(r"BASE_IMAGE:-(\S+)\}", "docker-compose.yml"), image + "-devel")
        self.assertEqual(only_match(r"^BASE_IMAGE=(\S+)", ".env.example"), image + "-devel")
        self.assertEqual(only_match(r"^RUNTIME_IMAGE=(\S+)", ".env.example"), image + "-runtime")
        self.assertIn(only_match(r"^readonly torch_default=(\S+)", "scripts/bootstrap"), image)


if __name__ == "__main__":
    unittest.main()
