"""Runs the commands that README.md and docs/*.md show, as a reader would copy them.

usage: commands_test.py TRAINYARD | --docker
A block of commands is indented by four spaces or fenced. Each of its commands must match one of RULES, which says how it
is tested; a command without a rule fails. Needs Pillow. Prints a line for each command. With --docker it only prints the
commands that need a Docker engine and the image `dev`, one per line: tests/container/run runs them.
"""

import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PROGRAMS = r"(make|trainyard|docker|podman|code|mkdir|echo|eval|zstd|find|git|python3|[\w.-]+/[\w./-]+) "
TRAINED = ["--train.epochs", "2", "--loader.batch_size", "4", "--loader.workers", "0"]


def blocks(text):
    """The code blocks of a Markdown document, each a list of lines."""
    block, fenced = [], False
    for line in text.splitlines() + [""]:
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            block.append(line if fenced else line[4:])
            continue
        if block:
            yield block
        block = []


def is_open(command):
    """Whether a command continues on the next line."""
    if command.endswith("\\"):
        return True
    try:
        shlex.split(command, comments=True)
        return False
    except ValueError:
        return True


def commands(block):
    command = ""
    for line in block:
        command = f"{command}\n{line}" if command else line
        if not re.match(PROGRAMS, command + " ") or is_open(command):
            if not re.match(PROGRAMS, command + " "):
                command = ""
            continue
        # Behind two spaces stands an explanation.
        yield re.sub(r"( {2,}| +#).*$", "", command) if "\n" not in command else command
        command = ""
    assert not command, f"a command without an end: {command}"


def pictures(folder):
    from PIL import Image

    def write(path, colour):
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        Image.new("RGB", (300, 260), colour).save(path)

    for split in ("train", "test"):
        for name, colour in (("cat", (200, 40, 40)), ("dog", (40, 40, 200))):
            for i in range(4):
                write(f"{folder}/photos/{split}/{name}/{i}.jpg", colour)
    write(f"{folder}/cat.jpg", (200, 40, 40))
    write(f"{folder}/dog.png", (40, 40, 200))


def run(command, codes=(0,)):
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode in codes, f"exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def make_prints(command):
    """What make would run, without running it."""
    return run(f"{command} --directory={shlex.quote(ROOT)} --dry-run --no-print-directory")


def trainer(command):
    run(command)


def quick_training(command):
    """Builds the model, reads a batch, takes one step and proves that the run could save."""
    run(f"{command} --train.dry_run --train.device cpu --train.precision fp32 --loader.batch_size 8")


def made_training(command):
    printed = [line for line in make_prints(command).splitlines() if line.startswith("build/release/trainyard ")]
    assert len(printed) == 1, printed
    quick_training(printed[0].replace("build/release/trainyard", "trainyard", 1))


def script(command):
    path = next(word for word in command.split() if word.endswith(".py"))
    compile(open(f"{ROOT}/{path}").read(), path, "exec")


def container_case(name):
    def is_there(_):
        assert f"case_{name}()" in open(f"{ROOT}/tests/container/run").read(), f"tests/container/run has no case {name}"

    return is_there


def not_run(_):
    pass


# Commands about the image `dev`, which tests/container/run runs as they stand.
ENGINE = r"docker (build|run|start|exec|rm) "

# The first that matches decides. Docker's commands are run on a real engine by the cases of tests/container/run.
RULES = [
    (r"trainyard check --error", lambda command: run(command, codes=(3,))),
    (r"trainyard check", lambda command: run(command, codes=(0, 3))),
    (r"trainyard train", quick_training),
    (r"trainyard|find", trainer),
    (r"make train", made_training),
    (r"make", make_prints),
    (r"(?s)(python3|build/bin/peers-python) (-m torch.distributed.run .*)?benchmarks/", script),
    (r"(?s)docker (build .*--target runtime|run .*\btrainyard train)", container_case("runtime")),
    (ENGINE, container_case("docs")),
    (r"docker compose up", container_case("up")),
    (r"docker compose run --rm test", container_case("test")),
    (r"docker compose run --rm check", container_case("check")),
    (r"docker compose --profile tensorboard up", container_case("tensorboard")),
    (r"(eval .*)?tests/container/engine|eval", container_case("plain")),
    (r"docker (save|load)|zstd|podman|code|mkdir|echo", not_run),  # need a registry, Podman or an editor; or are trivial
]


def rule(command):
    """The pattern and the test of a command; none if no rule matches."""
    return next(((pattern, check) for pattern, check in RULES if re.match(pattern, command)), None)


def test(command):
    found = rule(command)
    assert found, "no rule says how it is tested"
    found[1](command)


def main():
    documents = [f"{ROOT}/README.md", f"{ROOT}/data/README.md", *sorted(glob.glob(f"{ROOT}/docs/*.md"))]
    if sys.argv[1] == "--docker":
        for document in documents:
            for block in blocks(open(document).read()):
                for command in commands(block):
                    if (rule(command) or [None])[0] == ENGINE:
                        print(re.sub(r"\\\n\s*", "", command))
        return
    binary = os.path.abspath(sys.argv[1])
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.mkdir("bin")
        os.symlink(binary, "bin/trainyard")
        os.symlink(f"{ROOT}/configs", "configs")
        os.makedirs("data")
        os.symlink(f"{ROOT}/data/houses", "data/houses")
        os.environ["PATH"] = f"{folder}/bin:{os.environ['PATH']}"
        pictures(folder)
        for name in ("RUN", "RUN2"):
            settings = ["--data.name", "image_folder", "--data.root", "photos", "--run.dir", ".", "--run.name", name]
            size = []
            for step in ("resize(size=28)", "center_crop(size=28)"):
                size += ["--transform.train", step, "--transform.test", step]
            subprocess.run([binary, "train", *settings, *size, *TRAINED], check=True, stdout=subprocess.DEVNULL)
        for document in documents:
            for block in blocks(open(document).read()):
                for command in commands(block):
                    where = os.path.relpath(document, ROOT)
                    try:
                        test(command)
                        passed += 1
                        print(f"passed  {where}: {command}", flush=True)
                    except (AssertionError, SyntaxError) as error:
                        failed += 1
                        print(f"FAILED  {where}: {command}\n{error}", flush=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
