"""Assigns the GPUs, or the CPU's cores, to runs that train at the same time."""

import os
import subprocess


def visible_gpus():
    """Returns the items of CUDA_VISIBLE_DEVICES if it is set, otherwise the UUIDs of all GPUs."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [] if chosen.strip() in ("", "-1") else [gpu.strip() for gpu in chosen.split(",")]
    query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True)
    except FileNotFoundError:
        return []
    return listed.stdout.split() if listed.returncode == 0 else []


class Share:
    """The GPUs and threads of one of `jobs` simultaneous runs. With fewer GPUs than jobs, several runs share one."""

    def __init__(self, index, jobs, gpus):
        self.gpus = gpus[index::jobs] or gpus[index % len(gpus) :][:1] if gpus else []
        self.threads = max(1, len(os.sched_getaffinity(0)) // jobs)

    def environment(self):
        return os.environ | ({"CUDA_VISIBLE_DEVICES": ",".join(self.gpus)} if self.gpus else {})
