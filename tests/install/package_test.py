"""Makes the Debian packages, unpacks them, and runs their contents as if they were installed.

usage: package_test.py CPACK BUILD_FOLDER TORCH_PYTHON TORCH_VERSION
TORCH_PYTHON has the LibTorch that BUILD_FOLDER was built with. Exit code 77: a Debian packaging tool is missing.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


def run(*words, code=0, **environment):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == code, f"{words} ends with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def unpack(package, folder):
    run("dpkg-deb", "--extract", package, folder)
    fields = run("dpkg-deb", "--field", package)
    return dict(line.split(": ", 1) for line in fields.splitlines() if ": " in line)


def test_program(packages, folder, python, version):
    fields = unpack(next(packages.glob("trainyard_*.deb")), folder / "program")
    for package in ("python3", "libfmt", "libspdlog", "libpng", "zlib1g"):
        assert package in fields["Depends"], fields["Depends"]
    assert "torch" not in fields["Depends"], fields["Depends"]
    installed = folder / "program/usr/bin/trainyard"
    # In a folder from which Python must not import modules.
    (folder / "torch").mkdir()
    os.chdir(folder)
    assert f"LibTorch {version}\n" in run(installed, "--version", TORCH_PYTHON=python)
    (folder / "link").symlink_to(installed)
    assert "classification" in run(folder / "link", "list", "tasks", TORCH_PYTHON=python)
    completion = (folder / "program/usr/share/bash-completion/completions/trainyard").read_text()
    assert "complete -o default -F _trainyard trainyard\n" in completion
    # Other Pythons: without torch, and with another version.
    empty = folder / "empty"
    run(sys.executable, "-m", "venv", "--without-pip", empty)
    answer = run(installed, "--version", code=3, TORCH_PYTHON=str(empty / "bin/python"))
    assert f"-m pip install torch=={version}" in answer and "[trainyard]" in answer, answer
    site = next(empty.glob("lib/python*/site-packages"))
    (site / "torch").mkdir()
    (site / "torch/__init__.py").touch()
    (site / "torch-2.9.1.dist-info").mkdir()
    (site / "torch-2.9.1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.9.1+cpu\n")
    answer = run(installed, "--version", code=3, TORCH_PYTHON=str(empty / "bin/python"))
    assert f"has torch 2.9.1, this program was built with {version}: " in answer, answer
    assert "there is no program 'nowhere'" in run(installed, "--version", code=3, TORCH_PYTHON="nowhere")


def test_loader(packages, folder):
    fields = unpack(next(packages.glob("trainyard-loader_*.deb")), folder / "loader")
    for package in fields["Depends"].split(", "):
        run("dpkg-query", "--show", package)
    names = [str(path.relative_to(folder / "loader/usr")) for path in (folder / "loader").rglob("*") if path.is_file()]
    for name in ("include/trainyard/loader/data_loader.h", "TrainyardConfig.cmake", "libtrainyard_loader_archive.a", "copyright"):
        assert any(path.endswith(name) for path in names), (name, names)
    assert not any("loader_torch" in path or "bin/" in path for path in names), names


def main():
    cpack, build, python, version = sys.argv[1:]
    for program in ("dpkg-deb", "dpkg-shlibdeps"):
        if shutil.which(program) is None:
            print(f"skipped: there is no {program}")
            sys.exit(77)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name).resolve()
        run(cpack, "--config", pathlib.Path(build) / "CPackConfig.cmake", "-B", folder / "packages")
        test_program(folder / "packages", folder, python, version)
        test_loader(folder / "packages", folder)


main()
