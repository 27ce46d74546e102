"""Runs the commands that README.md, CONTRIBUTING.md, data/README.md and docs/*.md show, as a reader would copy them.

usage: commands_test.py TRAINYARD | --docker
A block of commands is indented by four spaces or fenced. Each command must match one of RULES, which defines how it is
tested or why it is not; a command without a rule fails. A block of Python is run as a whole. Needs Pillow, and for some
blocks torchvision and safetensors. Prints a line for each command. With --docker it only prints the commands that need
a Docker engine and the image `dev`, one per line: tests/container/run runs them.
"""

import glob
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
PROGRAMS = (r"([A-Z_]+=\S+ )?(make|trainyard|docker|podman|code|mkdir|echo|eval|export|zstd|find|git|cmake|ninja|python3"
            r"|torchrun|sbatch|[\w.-]+/[\w./-]+) ")
TRAINED = ["--train.epochs", "2", "--loader.batch_size", "4", "--loader.workers", "0"]


def blocks(text):
    """Yields the code blocks of a Markdown document, each as a list of lines."""
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
    """Returns whether a command continues on the next line."""
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
        # An explanation follows two spaces.
        yield re.sub(r"( {2,}| +#).*$", "", command) if "\n" not in command else command
        command = ""
    assert not command, f"a command without an end: {command}"


def is_python(block):
    return re.match(r"(import|from) \w", block[0]) is not None


def images(folder):
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
    """Returns what make would run, without running it."""
    return run(f"{command} --directory={shlex.quote(ROOT)} --dry-run --no-print-directory")


def trainer(command):
    run(command)


def quick_training(command):
    """Builds the model, reads a batch, takes one step and proves that the run could save."""
    run(f"{command} --train.dry_run --train.device cpu --train.precision fp32 --loader.batch_size 8")


def short_benchmark(command):
    run(f"{command} --rounds 1 --seconds 0 --train.device cpu --loader.batch_size 4")


def made_training(command):
    printed = [line for line in make_prints(command).splitlines() if line.startswith("build/release/trainyard ")]
    assert len(printed) == 1, printed
    quick_training(printed[0].replace("build/release/trainyard", "trainyard", 1))


# template-only: begin
def script(command):
    """Checks that the file exists and compiles. Benchmarks take minutes to hours; their own tests run small ones."""
    path = next(word for word in command.split() if re.search(r"^benchmarks/", word))
    compile(open(f"{ROOT}/{path}").read(), path, "exec")


def targets(command):
    """Checks the command `ninja -C build/release benchmarks/NAME...`: each program must have a source of that name."""
    for word in command.split()[3:]:
        assert os.path.exists(f"{ROOT}/{word}.cpp"), f"{word} is built from no file {word}.cpp"


# template-only: end
def torchrun(command):
    """Runs one rank on this host instead of two hosts with their GPUs."""
    for words, others in (("torchrun --nnodes 2 --nproc-per-node gpu", "--nnodes 1 --nproc-per-node 1"),
                          ("gpu1:29400", "localhost:0"), ("build/release/trainyard", shutil.which("trainyard"))):
        assert words in command, words
        command = command.replace(words, others)
    run(f"{shlex.quote(sys.executable)} -m torch.distributed.run {command}"
        " --train.device cpu --train.fast_dev_run --run.name torchrun")


def batch_script(command):
    path = command.split()[1]
    assert os.access(f"{ROOT}/{path}", os.R_OK), path
    assert path in open(f"{ROOT}/tests/scripts/slurm_test.sh").read(), f"tests/scripts/slurm_test.sh does not run {path}"


def python(block):
    """Runs the block without downloads: weights are random, and files are where this test has them."""
    if "torchvision" in block[0]:
        for package in ("safetensors", "torchvision"):
            if importlib.util.find_spec(package) is None:
                raise NotRun(f"needs {package}")
    program = "\n".join(block).replace('weights="DEFAULT"', "weights=None")
    program = program.replace('"train.packed"', '"data/mine/train.packed"')
    if "def sample(i)" in program:
        program += "\nfor i in range(samples): assert sample(i)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def without_environment(command):
    """Expects that the command reads its arguments, then stops because its Python packages are missing."""
    printed = run(f"TRAINYARD_SWEEP_PYTHON=none TRAINYARD_TRACK_PYTHON=none {ROOT}/{command} 2>&1", codes=(0, 2))
    assert "is missing: run scripts/bootstrap" in printed, printed


def container_case(name):
    def is_there(_):
        assert f"case_{name}()" in open(f"{ROOT}/tests/container/run").read(), f"tests/container/run has no case {name}"

    return is_there


class NotRun(Exception):
    pass


def not_run(reason):
    def refuse(_):
        raise NotRun(reason)

    return refuse


# Commands about the image `dev`, which tests/container/run runs as they are written.
ENGINE = r"docker (build|run|start|exec|rm) "

# The first match decides. The cases of tests/container/run run Docker's commands on a real engine.
RULES = [
    (r"trainyard check --error", lambda command: run(command, codes=(3,))),
    (r"trainyard check", lambda command: run(command, codes=(0, 3))),
    (r"trainyard train", quick_training),
    (r"trainyard bench", short_benchmark),
    (r"scripts/(sweep|track) ", without_environment),
    (r"scripts/bootstrap", not_run("installs packages")),
    (r"trainyard|find", trainer),
    (r"make train", made_training),
    (r"make", make_prints),
    # template-only: begin
    (r"(?s)(GOMP_SPINCOUNT=\d+ )?((python3|build/bin/\w+-python) (-m torch.distributed.run .*)?)?benchmarks/", script),
    (r"ninja -C build/release benchmarks/", targets),
    # template-only: end
    (r"torchrun", torchrun),
    (r"sbatch", batch_script),
    (r"(?s)docker (build .*--target runtime|run .*\btrainyard (train|predict))", container_case("runtime")),
    (ENGINE, container_case("docs")),
    (r"docker compose up", container_case("up")),
    (r"docker compose run --rm test", container_case("test")),
    (r"docker compose run --rm check", container_case("check")),
    (r"docker compose --profile tensorboard up", container_case("tensorboard")),
    (r"(eval .*)?tests/container/engine|eval", container_case("plain")),
    (r"docker (save|load)|zstd", not_run("needs an image from a registry")),
    (r"podman", not_run("needs Podman")),
    (r"code", not_run("opens an editor")),
    (r"mkdir|echo|export", not_run("prepares the next command")),
]


def rule(command):
    """Returns the pattern and the test of a command, or None if no rule matches."""
    return next(((pattern, check) for pattern, check in RULES if re.match(pattern, command)), None)


def test(command):
    found = rule(command)
    assert found, "no rule says how it is tested"
    found[1](command)


def toml_block(document):
    """Returns the only TOML file that the document shows."""
    [text] = re.findall(r"^```toml\n(.*?)^```$", open(document).read(), re.M | re.S)
    return text


def train(binary, run_folder, settings):
    subprocess.run([binary, "train", *settings, "--run.dir", os.path.dirname(run_folder) or ".",
                    "--run.name", os.path.basename(run_folder), *TRAINED], check=True, stdout=subprocess.DEVNULL)


def prepare(binary, folder):
    """Prepares what a reader of the documents has: the program, its configurations, images, and runs with the names
    shown."""
    os.mkdir("bin")
    os.symlink(binary, "bin/trainyard")
    os.symlink(f"{ROOT}/configs", "configs")
    with open("adamw.toml", "w") as file:
        file.write(toml_block(f"{ROOT}/docs/training.md"))
    os.makedirs("data")
    os.symlink(f"{ROOT}/data/houses", "data/houses")
    os.environ["PATH"] = f"{folder}/bin:{os.environ['PATH']}"
    images(folder)
    size = []
    for step in ("resize(size=28)", "center_crop(size=28)"):
        size += ["--transform.train", step, "--transform.test", step]
    photos = ["--data.name", "image_folder", "--data.root", "photos", *size]
    resnet = ["--model.name", "resnet18"]
    ten_classes = ["--data.name", "synthetic", "--data.synthetic.samples", "16", "--data.synthetic.shape", "28,28,3"]
    for name, settings in (("RUN", photos), ("RUN2", photos), ("runs/image_folder-resnet18", [*photos, *resnet]),
                           ("runs/NAME", [*ten_classes, *resnet])):
        train(binary, name, settings)
    train(binary, "PUBLISHED", [*ten_classes, "--model.name", "resnet50"])  # stands in for what make weights fetches
    os.mkdir("data/weights")
    shutil.copy("PUBLISHED/checkpoints/last/model.safetensors", "data/weights/resnet50.safetensors")


def main():
    documents = [path for pattern in ("*.md", "data/README.md", "docs/*.md") for path in sorted(glob.glob(f"{ROOT}/{pattern}"))]
    if sys.argv[1] == "--docker":
        for document in documents:
            for block in blocks(open(document).read()):
                for command in commands(block):
                    if (rule(command) or [None])[0] == ENGINE:
                        print(re.sub(r"\\\n\s*", "", command))
        return
    binary = os.path.abspath(sys.argv[1])
    counts = dict.fromkeys(("passed", "not run", "FAILED"), 0)

    def report(outcome, document, what, reason=""):
        counts[outcome] += 1
        print(f"{outcome:7} {os.path.relpath(document, ROOT)}: {what}{reason and f'  ({reason})'}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        prepare(binary, folder)
        for document in documents:
            for block in blocks(open(document).read()):
                for command in [block] if is_python(block) else commands(block):
                    shown = command if isinstance(command, str) else command[0]
                    try:
                        (test if isinstance(command, str) else python)(command)
                        report("passed", document, shown)
                    except NotRun as reason:
                        report("not run", document, shown, str(reason))
                    except (AssertionError, SyntaxError) as error:
                        report("FAILED", document, shown, str(error))
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    sys.exit(counts["FAILED"] > 0)


main()
