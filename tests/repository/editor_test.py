"""Checks .vscode and .devcontainer: everything they name exists, and clangd gets the active preset's compile
commands."""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CMAKE = next((path for path in (str(ROOT / "build/bin/cmake"), shutil.which("cmake")) if path and shutil.which(path)), None)


def read(name):
    return json.loads((ROOT / name).read_text())


def make_targets():
    text = (ROOT / "Makefile").read_text() + "".join(path.read_text() for path in ROOT.glob("*.mk"))
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


def presets(kind):
    return {preset["name"] for preset in read("CMakePresets.json")[kind] if not preset.get("hidden")}


def executables():
    text = "".join((ROOT / folder / "CMakeLists.txt").read_text() for folder in ("src", "tests"))
    return set(re.findall(r"^add_executable\((\w+)", text, re.MULTILINE))


class Editor(unittest.TestCase):
    def check_make(self, command):
        words = command.split()
        self.assertEqual(words[0], "make", command)
        for word in words[1:]:
            if word.startswith("PRESET="):
                self.assertIn(word.removeprefix("PRESET="), presets("buildPresets"))
            else:
                self.assertIn(word, make_targets())

    def test_tasks_call_targets_that_exist(self):
        tasks = read(".vscode/tasks.json")["tasks"]
        self.assertLessEqual({"build", "test", "train", "check"}, {task["label"] for task in tasks})
        for task in tasks:
            self.check_make(task["command"])

    def test_launch_configurations_name_what_is_built(self):
        launch = read(".vscode/launch.json")
        labels = {task["label"]: task["command"] for task in read(".vscode/tasks.json")["tasks"]}
        inputs = {entry["id"]: entry for entry in launch["inputs"]}
        settings = (ROOT / "docs/settings.md").read_text().split("\n## ")
        keys = {f"--{part.split()[0]}.{name}" for part in settings[1:] for name in re.findall(r"^\| `(\w+)`", part, re.MULTILINE)}
        for configuration in launch["configurations"]:
            with self.subTest(name=configuration["name"]):
                for name in re.findall(r"\$\{input:(\w+)\}", json.dumps(configuration)):
                    self.assertIn(name, inputs)
                path = re.fullmatch(r"\$\{workspaceFolder\}/build/(\w+)/(?:tests/)?(\S+)", configuration["program"])
                self.assertIn(path[1], presets("configurePresets"))
                name = re.fullmatch(r"\$\{input:(\w+)\}", path[2])
                self.assertLessEqual(set(inputs[name[1]]["options"]) if name else {path[2]}, executables())
                if configuration["request"] == "launch":
                    self.assertIn(f"PRESET={path[1]}", labels[configuration["preLaunchTask"]])
                for argument in configuration.get("args", []):
                    if argument.startswith("configs/"):
                        self.assertTrue((ROOT / argument).is_file(), argument)
                    elif re.match(r"--\w+\.", argument):
                        self.assertIn(argument, keys)

    def test_the_dev_container_uses_what_the_image_has(self):
        container = read(".devcontainer/devcontainer.json")
        dockerfile = (ROOT / "Dockerfile").read_text()
        self.assertRegex((ROOT / "docker-compose.yml").read_text(), rf"(?m)^  {container['service']}:$")
        self.assertRegex(dockerfile, rf"useradd .*\s{container['remoteUser']}\n")
        self.assertIn(f"/usr/local/bin/{container['onCreateCommand'].split()[0]}\n", dockerfile)
        self.assertIn(f"WORKDIR {container['workspaceFolder']}\n", dockerfile)
        self.check_make(container["postCreateCommand"])
        # With an empty list, the editor uses COMPOSE_FILE of .env, where preflight has selected GPU or CPU.
        self.assertEqual(container["dockerComposeFile"], [])
        self.assertEqual(container["initializeCommand"], ["scripts/preflight"])
        self.assertEqual(container["customizations"]["vscode"]["extensions"], read(".vscode/extensions.json")["recommendations"])

    @unittest.skipUnless(CMAKE, "needs CMake")
    def test_clangd_finds_the_preset_configured_last(self):
        folder = "${workspaceFolder}/build"
        self.assertIn(f"--compile-commands-dir={folder}", read(".vscode/settings.json")["clangd.arguments"])
        with tempfile.TemporaryDirectory() as name:
            project = pathlib.Path(name).resolve()
            (project / "CMakeLists.txt").write_text(
                "cmake_minimum_required(VERSION 3.26)\nproject(editor LANGUAGES NONE)\n"
                f"include({ROOT}/cmake/CompileCommands.cmake)\n")
            link = project / "build/compile_commands.json"
            for build, linked in (("release", "release"), ("debug", "debug"), ("lint", "debug"), ("release", "release")):
                subprocess.run([CMAKE, "-S", project, "-B", project / "build" / build], check=True, capture_output=True)
                self.assertEqual(str(link.readlink()), f"{linked}/compile_commands.json")


if __name__ == "__main__":
    unittest.main()
