"""The study in a sweep's folder: Optuna's record of all trials."""

import itertools
import random

from trainer import SweepError, monitored


def combinations(options):
    """Returns all combinations in random order if every space is a list of choices, otherwise an empty list."""
    if any(space.kind != "choices" for space in options.space):
        return []
    keys = [space.key for space in options.space]
    found = [dict(zip(keys, values)) for values in itertools.product(*(space.choices for space in options.space))]
    random.Random(options.seed).shuffle(found)
    return found


def open_study(optuna, options, settings, share):
    """Opens the study in the sweep's folder, or creates it."""
    storage = f"sqlite:///{options.dir / 'sweep.db'}"
    named = {"study_name": "sweep", "storage": storage}
    try:
        found = optuna.load_study(**named) if optuna.get_all_study_names(storage) else None
    except Exception as error:  # from SQLite, SQLAlchemy or Optuna
        raise SweepError(
            f"cannot read {options.dir}/sweep.db: {str(error).splitlines()[0]}; give another --dir"
        ) from None
    description = [*settings, *(f"--space {space.text}" for space in options.space)]
    if found and "settings" not in found.user_attrs:  # killed while it was created
        optuna.delete_study(**named)
        found = None
    if not found:
        metric, higher = monitored(options, share)
        made = optuna.create_study(**named, direction="maximize" if higher else "minimize")
        made.set_user_attr("metric", metric)
        for params in combinations(options):
            made.enqueue_trial(params)
        made.set_user_attr("settings", description)
    elif changed := sorted(set(found.user_attrs["settings"]) ^ set(description)):
        was = found.user_attrs["settings"]
        listed = "".join(f"\n  {'before' if line in was else 'now'}: {line}" for line in changed)
        raise SweepError(f"{options.dir} holds a sweep with other settings:{listed}\ngive those, or another --dir")
    # A sampler restarts its random sequence in each process; a continued sweep must not draw the same values again.
    sampler = optuna.samplers.TPESampler(seed=options.seed + (len(found.trials) if found else 0))
    pruner = optuna.pruners.MedianPruner() if options.prune else optuna.pruners.NopPruner()
    return optuna.load_study(**named, sampler=sampler, pruner=pruner)
