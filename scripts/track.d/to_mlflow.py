"""Copies a run to MLflow. If a run there has the same tag trainyard.run, it is updated."""

import logging

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

import run_files

STATES = {"finished": "FINISHED", "early_stopped": "FINISHED", "signal": "KILLED", "running": "RUNNING"}
BATCH = 500  # metrics per call; the server refuses more than 1000


def track(run, options):
    """Returns a short description of what was done. All points get the time of the run's start, because the files have
    no times."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    try:
        client = MlflowClient(tracking_uri=options.to)
        tracked, verb = find_or_create(client, run, options.project)
        added = add(client, run, tracked)
        status = STATES.get(run.ended, "RUNNING")
        client.update_run(tracked.info.run_id, status=status)
    except Exception as error:  # from MLflow, SQLAlchemy, the disk or the network
        raise run_files.TrackError(f"MLflow at {options.to}: {str(error).splitlines()[0]}", 1) from None
    return f"{verb} run {tracked.info.run_id} with {added} new values"


def find_or_create(client, run, project):
    experiment = client.get_experiment_by_name(project)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(project)
    found = client.search_runs([experiment_id], f"tags.`trainyard.run` = '{run.id}'")
    if found:
        return found[0], "updated"
    tags = {"trainyard.run": run.id}
    return client.create_run(experiment_id, run.started * 1000, tags, run.folder.resolve().name), "created"


def add(client, run, tracked):
    """Adds what MLflow does not have yet. Returns the number of new values."""
    run_id = tracked.info.run_id
    known = tracked.data.params
    client.log_batch(run_id, params=[Param(key, str(value)) for key, value in run.settings.items() if key not in known])
    for key, value in run.settings.items():
        if known.get(key, str(value)) != str(value):
            client.set_tag(run_id, f"later.{key}", str(value))  # parameters cannot be changed
    names = {name for values in run.points.values() for name in values}
    history = {name: client.get_metric_history(run_id, name) for name in names if name in tracked.data.metrics}
    last = {name: max(metric.step for metric in metrics) for name, metrics in history.items()}
    new = [
        Metric(name, value, run.started * 1000, step)
        for step, values in run.points.items()
        for name, value in values.items()
        if step > last.get(name, -1)
    ]
    for begin in range(0, len(new), BATCH):
        client.log_batch(run_id, metrics=new[begin : begin + BATCH])
    for key, value in run.tags.items():
        client.set_tag(run_id, key, value)
    for path in run.artifacts:
        client.log_artifact(run_id, str(path))
    return len(new)
