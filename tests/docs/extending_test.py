"""Trains what the documents show, with a program built from their files.

usage: extending_test.py TRAINYARD_EXTENDED TRAINYARD FOLDER
FOLDER has the files that extending_files.py copied. Prints a line for each check.
"""

import csv
import os
import pathlib
import subprocess
import sys
import tempfile

EXTENDED, RELEASED = (os.path.abspath(path) for path in sys.argv[1:3])
FOLDER = pathlib.Path(sys.argv[3]).resolve()
FASTER = ["--train.device", "cpu", "--train.threads", "1", "--loader.workers", "1"]


def run(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{arguments}: exit code {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def is_listed_with_its_settings_and_the_released_program_has_none_of_it():
    names = [path.stem for path in FOLDER.rglob("*.cpp")]
    kinds = {path.parent.name for path in FOLDER.rglob("*.cpp")}
    assert kinds == {"datasets", "transforms", "models", "tasks", "optim"}, kinds
    extended, released = (set(run(program, "list").split()) for program in (EXTENDED, RELEASED))
    assert extended.issuperset(names) and released.isdisjoint(names), (names, extended, released)
    settings = run(EXTENDED, "config", "--markdown")
    for section in ("data.discs", "model.two_layer", "task.focal_segmentation", "optimizer.signum"):
        assert f"## {section}\n" in settings, section


def val(run_folder, metric):
    with open(f"{run_folder}/metrics.csv", encoding="utf-8") as file:
        return [float(row[f"val/{metric}"]) for row in csv.DictReader(file)]


def all_five_train_together_and_learn():
    (config,) = FOLDER.rglob("*.toml")
    run(EXTENDED, "train", "--config", str(config), "--run.name", "all", *FASTER)
    ious = val("runs/all", "object_iou")
    assert ious[-1] > 0.7, ious
    assert "object_iou" in run(EXTENDED, "eval", "runs/all", "--train.device", "cpu")


def the_mask_follows_the_image():
    """Each training image is transposed. If its mask were not, the model would learn nothing that holds for val."""
    (config,) = FOLDER.rglob("*.toml")
    run(EXTENDED, "train", "--config", str(config), "--run.name", "transposed",
        "--transform.train", "random_transpose(p=1)", *FASTER)
    ious = val("runs/transposed", "object_iou")
    assert ious[-1] > 0.7, ious


def the_model_trains_for_the_task_segmentation():
    run(EXTENDED, "train", "--task.name", "segmentation", "--model.name", "two_layer", "--data.name", "discs",
        "--data.discs.samples", "100", "--data.discs.side", "32", "--loader.batch_size", "8", "--run.name", "model",
        "--train.fast_dev_run", *FASTER)


# template-only: begin
def the_model_of_the_readme_trains():
    run(EXTENDED, "train", "--model.name", "mynet", "--data.name", "synthetic", "--run.name", "mynet",
        "--train.fast_dev_run", *FASTER)
# template-only: end


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for check in (is_listed_with_its_settings_and_the_released_program_has_none_of_it,
                      all_five_train_together_and_learn, the_mask_follows_the_image,
                      # template-only: begin
                      the_model_of_the_readme_trains,
                      # template-only: end
                      the_model_trains_for_the_task_segmentation):
            check()
            print(f"passed  {check.__name__}", flush=True)


main()
