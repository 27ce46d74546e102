"""One run of `trainyard train`: its process and its files."""

import csv
import ctypes
import fcntl
import math
import os
import re
import signal
import subprocess

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
# The sweep waits for these signals; they are unblocked in its children.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


def prepare_child():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # if the sweep is killed, its runs save and end


def is_locked(folder):
    """Returns whether a process trains in the run's folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


def read_epochs(folder, metric):
    """Returns the metric's value after each epoch, by epoch. Skips an incomplete row."""
    try:
        with open(folder / "metrics.csv", newline="") as file:
            text = file.read()
    except FileNotFoundError:
        return {}
    rows = csv.DictReader(text[: text.rfind("\n") + 1].splitlines())
    return {int(row["epoch"]): float(row[metric]) for row in rows if row.get(metric)}


def best_of(epochs, higher_is_better):
    """Returns the best finite value of read_epochs(), or None if there is none."""
    finite = [value for value in epochs.values() if math.isfinite(value)]
    return (max if higher_is_better else min)(finite) if finite else None


def described_exit(code):
    if code < 0 or code > 128:
        number = -code if code < 0 else code - 128
        try:
            return f"ended by {signal.Signals(number).name}"
        except ValueError:
            pass
    return f"exit code {code}"


class Run:
    """Trains in `folder` and logs to the file beside it. If the run exists, it resumes."""

    def __init__(self, command, environment, folder):
        self.folder = folder
        self.log = folder.with_name(folder.name + ".log")
        with open(self.log, "ab") as log:
            self.started_at = log.tell()
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches only the sweep, which stops the runs
                preexec_fn=prepare_child,
            )

    def stop(self):
        """Makes the run save and exit with 143."""
        if self.process.poll() is None:
            self.process.terminate()

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)

    def last_error(self):
        """Returns the last line of the log that looks like an error of trainyard, or the last line."""
        with open(self.log, "rb") as file:
            file.seek(self.started_at)
            text = file.read().decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        errors = [line for line in lines if re.match(r"\[[\w.]+\] ", line)]
        return (errors or lines or ["no output"])[-1]
