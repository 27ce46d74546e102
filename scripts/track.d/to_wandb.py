"""Writes an offline run for Weights & Biases, and replaces an earlier one with the same id."""

import os
import pathlib
import shutil

import wandb

import run_files


def track(run, options):
    """Returns a short description of what was done."""
    folder = pathlib.Path(options.to or ".")
    before = sorted(folder.glob(f"wandb/offline-run-*-{run.id}"))
    settings = wandb.Settings(silent=True, console="off", disable_git=True, x_disable_stats=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = wandb.init(
            mode=os.environ.get("WANDB_MODE", "offline"),
            id=run.id,
            resume="allow",
            project=options.project,
            name=run.folder.resolve().name,
            config=run.settings | {"tracked": run.tags},
            dir=folder,
            settings=settings,
        )
        for step, values in run.points.items():
            written.log(values, step=step)
        for path in run.artifacts:
            written.save(shutil.copy(path, written.dir), base_path=written.dir, policy="now")
        place = pathlib.Path(written.dir).parent
        written.finish()
    except (OSError, wandb.errors.Error) as error:
        raise run_files.TrackError(f"wandb: {str(error).splitlines()[0]}", 1) from None
    for old in before:
        shutil.rmtree(old)
    return f"{'replaced' if before else 'wrote'} {place}; upload it with: wandb sync {place}"
