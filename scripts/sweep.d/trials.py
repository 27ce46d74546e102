"""Trains the trials of a study, several at the same time."""

import shlex
import signal
import sys
import time

import run as runs
from study import combinations
from trainer import TRAINYARD, SweepError, flags, say

POLL = 0.5  # seconds between checks of the runs' metrics
SAME_STOP = 0.25  # seconds within which another signal belongs to the same request, as in util/signals.h
STOPPED = 128 + signal.SIGTERM
UNFIT = (2, 3)  # exit codes whose cause is not the trial: the next one would end in the same way
KEPT = f"everything is kept, the same command continues:\n  {shlex.join(sys.argv)}"


class Trial:
    """A trial in training: Optuna's trial and the run."""

    def __init__(self, trial, options, metric, share):
        self.trial, self.metric, self.share = trial, metric, share
        self.params = {space.key: space.suggest(trial) for space in options.space}
        self.folder = folder_of(options, trial)
        self.reported = max(trial.storage.get_trial(trial._trial_id).intermediate_values, default=0)
        self.pruned = False
        threads = [] if share.gpus or options.sets_threads else ["--train.threads", str(share.threads)]
        run = ["--run.dir", str(options.dir), "--run.name", self.folder.name]
        words = ["train", *options.settings, *threads, *run, *flags(self.params)]
        self.run = runs.Run([TRAINYARD, *words], share.environment(), self.folder)

    def report(self):
        """Reports new epochs to Optuna. Stops the run if Optuna prunes it."""
        for epoch, value in runs.read_epochs(self.folder, self.metric).items():
            if epoch > self.reported and not self.pruned:
                self.trial.report(value, epoch)
                self.reported = epoch
                if self.trial.should_prune():
                    self.pruned = True
                    self.run.stop()


def folder_of(options, trial):
    return options.dir / f"trial-{trial.number:04}"


def shown(params):
    return " ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in params.items()
    )


class Sweep:
    """Trains the trials of a study, several at the same time."""

    def __init__(self, optuna, study, options, shares):
        self.states = optuna.trial.TrialState
        self.study, self.options = study, options
        self.metric = study.user_attrs["metric"]
        self.higher_is_better = study.direction == optuna.study.StudyDirection.MAXIMIZE
        self.free, self.training = shares, []
        # Trials that were training when the sweep ended; they resume.
        self.interrupted = [optuna.trial.Trial(study, t._trial_id) for t in self.of_state(self.states.RUNNING)]
        waiting = len(self.of_state(self.states.WAITING))  # combinations of choices
        self.left = options.trials - len(self.of_state(*self.states)) + waiting
        if combinations(options):
            self.left = min(self.left, waiting)

    def of_state(self, *states):
        return self.study.get_trials(deepcopy=False, states=states)

    def train(self):
        """Returns when all trials have ended. Raises SweepError if they were stopped."""
        self.wait_for_saving()
        while self.start_trials():
            self.stop_if_told(signal.sigtimedwait(runs.SIGNALS, POLL))
            for trial in self.training:
                trial.report()
            self.end_trials()

    def wait_for_saving(self):
        """Waits for runs of a killed sweep: they have been told to save and end, and may not have finished."""
        for trial in self.interrupted:
            folder = folder_of(self.options, trial)
            if runs.is_locked(folder):
                say(f"waiting for the process that still trains in {folder}")
            while runs.is_locked(folder):
                self.stop_if_told(signal.sigtimedwait(runs.SIGNALS, POLL))

    def stop_if_told(self, received):
        if received and received.si_signo != signal.SIGCHLD:
            self.stop_all()
            raise SweepError(f"stopped by {signal.Signals(received.si_signo).name}; {KEPT}", 128 + received.si_signo)

    def start_trials(self):
        """Starts trials on free devices. Returns whether any trial is training."""
        while self.free and (self.interrupted or self.left > 0):
            if self.interrupted:
                trial, verb = self.interrupted.pop(0), "resumes"
            else:
                trial, verb = self.study.ask(), "trains"
                self.left -= 1
            started = Trial(trial, self.options, self.metric, self.free.pop(0))
            self.training.append(started)
            on = f" on GPU {','.join(started.share.gpus)}" if started.share.gpus else ""
            say(f"trial {trial.number} {verb}{on}: {shown(started.params)}")
        return bool(self.training)

    def end_trials(self):
        for trial in [trial for trial in self.training if trial.run.process.poll() is not None]:
            self.training.remove(trial)
            self.free.append(trial.share)
            self.end(trial)

    def end(self, trial):
        """Reports to Optuna and the user how a trial ended."""
        code = trial.run.process.returncode
        name = f"trial {trial.trial.number}"
        trial.report()
        epochs = runs.read_epochs(trial.folder, self.metric)
        best = runs.best_of(epochs, self.higher_is_better)
        if code == 0 and best is not None:
            trial.trial.set_user_attr("epochs", max(epochs))
            self.study.tell(trial.trial, best)
            say(f"{name}: {self.metric} {best:.4f} after {max(epochs)} epochs")
        elif code == STOPPED and trial.pruned:
            self.study.tell(trial.trial, state=self.states.PRUNED)
            say(f"{name}: pruned after epoch {trial.reported}, {self.metric} {epochs[trial.reported]:.4f}")
        else:
            cause = f"no epoch has a finite {self.metric}" if code == 0 else runs.described_exit(code)
            cause += "" if code == 0 else f": {trial.run.last_error()}"
            trial.trial.set_user_attr("cause", cause)
            if code != 3:  # on a fit machine, the same command trains it
                self.study.tell(trial.trial, state=self.states.FAIL)
            say(f"{name} failed: {cause} (all of it: {trial.run.log})")
            if code in UNFIT:
                self.stop_all()
                raise SweepError(f"stopped, as further trials would fail in the same way; {KEPT}", code)

    def stop_all(self):
        """Waits until the runs have saved. Another signal kills them, but not one that timeout(1) sends twice."""
        began = time.monotonic()
        if self.training:
            say(f"stopping {len(self.training)} runs, which save first; another Ctrl-C kills them")
        for trial in self.training:
            trial.run.stop()
        while any(trial.run.process.poll() is None for trial in self.training):
            received = signal.sigtimedwait(runs.SIGNALS, POLL)
            another = received and received.si_signo != signal.SIGCHLD and time.monotonic() - began > SAME_STOP
            for trial in self.training if another else []:
                trial.run.kill()
        for trial in self.training:
            if trial.run.process.returncode == 0 or trial.pruned and trial.run.process.returncode == STOPPED:
                self.end(trial)
        self.training = []
