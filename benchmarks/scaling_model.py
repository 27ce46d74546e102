#!/usr/bin/env python3
"""Predicts the time of a data-parallel training step from measurements on few GPUs. docs/scaling.md explains the model.

    python3 benchmarks/scaling_model.py --curve all_reduce_2.json --gradients gradients.json \\
        --scaling scaling.json --work resnet50,224,256

Curves come from all_reduce.py, gradients from gradient_times.py, the step times from scaling.py (weak scaling) or from
--step-ms and --measured-ms. Times are in seconds, sizes in bytes, bandwidths in bytes per second.
"""

import argparse
import bisect
import dataclasses
import json
import math
import pathlib
import statistics

MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Curve:
    """The time of an all-reduce by message size, as measured on `ranks` ranks of `hosts` hosts.

    >>> curve = Curve(2, 1, (1000, 1000000), (10e-6, 20e-6))
    >>> curve.latency, round(curve.transfer(1000000) * 1e6, 3), round(curve.transfer(2000000) * 1e6, 3)
    (1e-05, 10.0, 20.0)
    """

    ranks: int
    hosts: int
    sizes: tuple
    seconds: tuple

    @property
    def latency(self):
        return min(self.seconds)

    def transfer(self, size):
        """The time beyond the latency: linear between the measured sizes, proportional beyond the largest."""
        beyond = [seconds - self.latency for seconds in self.seconds]
        if size >= self.sizes[-1]:
            return beyond[-1] * size / self.sizes[-1]
        i = bisect.bisect_right(self.sizes, size)
        if i == 0:
            return 0.0
        share = (size - self.sizes[i - 1]) / (self.sizes[i] - self.sizes[i - 1])
        return beyond[i - 1] + share * (beyond[i] - beyond[i - 1])


@dataclasses.dataclass(frozen=True)
class Network:
    """The network between hosts: bytes per second leaving a host over all its adapters, and the message latency."""

    bandwidth: float = 50e9
    latency: float = 5e-6


@dataclasses.dataclass(frozen=True)
class Cluster:
    curves: tuple
    per_host: int
    network: Network

    def curve(self, ranks):
        """The curve with the most ranks, but at most `ranks`; measured across hosts if `ranks` needs several."""
        hosts = math.ceil(ranks / self.per_host)
        alike = [curve for curve in self.curves if (curve.hosts > 1) == (hosts > 1)] or self.curves
        fewer = [curve for curve in alike if curve.ranks <= ranks]
        return max(fewer, key=lambda curve: curve.ranks) if fewer else min(alike, key=lambda curve: curve.ranks)

    def all_reduce(self, size, ranks):
        """Latency grows with the depth of a tree; the traffic per link with 2 (n - 1) / n.

        >>> pair = Curve(2, 1, (4, 1000), (1e-6, 1001e-6))  # 1 MB/s bus bandwidth
        >>> host = Cluster((pair,), 8, Network())
        >>> [round(host.all_reduce(1000, n) * 1e6) for n in (1, 2, 4, 8)]
        [0, 1001, 1502, 1753]
        >>> round(Cluster((pair,), 2, Network(0.5e6, 0.0)).all_reduce(1000, 4) * 1e6)  # half that between hosts
        3002
        """
        if ranks == 1:
            return 0.0
        curve = self.curve(ranks)
        carried, measured = ((n - 1) / n for n in (ranks, curve.ranks))
        transfer = curve.transfer(size) * carried / measured
        latency = curve.latency * math.log2(ranks) / math.log2(curve.ranks)
        hosts = math.ceil(ranks / self.per_host)
        if hosts > 1 and curve.hosts == 1:
            transfer = max(transfer, 2 * carried * size / self.network.bandwidth)
            latency += 2 * math.log2(hosts) * self.network.latency
        return latency + transfer


@dataclasses.dataclass(frozen=True)
class Step:
    """A step on one GPU. `buckets` are (bytes, time at which the last gradient is ready), ordered by time."""

    seconds: float
    backward_end: float
    buckets: tuple

    def communication(self, cluster, ranks):
        """The time of all buckets, and the exposed part of it, which runs after the backward pass has ended.

        >>> second = Cluster((Curve(2, 1, (0, 1000), (0.0, 1.0)),), 8, Network())
        >>> Step(5.0, 4.0, ((1000, 2.0), (500, 4.0))).communication(second, 2)  # from 2 to 3, and from 4 to 4.5
        (1.5, 0.5)
        >>> Step(5.0, 4.0, ((2500, 2.0), (500, 4.0))).communication(second, 2)  # from 2 to 4.5, and from there to 5
        (3.0, 1.0)
        """
        busy = free = 0.0
        for size, ready in self.buckets:
            seconds = cluster.all_reduce(size, ranks)
            busy += seconds
            free = max(free, ready) + seconds
        return busy, max(0.0, free - self.backward_end) if busy else 0.0


def in_buckets(gradients, limits):
    """Groups gradients (bytes, ready), ordered by readiness, up to each bucket's limit; the last limit repeats.

    >>> in_buckets([(4, 0.1), (4, 0.2), (4, 0.3), (4, 0.4)], [4, 6])
    ((4, 0.1), (8, 0.3), (4, 0.4))
    """
    buckets, size = [], 0
    for i, (bytes_, ready) in enumerate(gradients):
        size += bytes_
        if size >= limits[min(len(buckets), len(limits) - 1)] or i == len(gradients) - 1:
            buckets.append((size, ready))
            size = 0
    return tuple(buckets)


@dataclasses.dataclass(frozen=True)
class Prediction:
    ranks: int
    communication: float
    exposed: float
    least: float  # if the overhead is the same for any number of ranks
    most: float  # if as much of it as possible grows with the overlap, during which the computation makes no progress


def predict(step, cluster, counts, measured):
    """`measured` maps numbers of ranks to seconds; the overhead is taken from the largest of them.

    >>> second = Cluster((Curve(2, 1, (0, 1000), (0.0, 1.0)),), 8, Network())
    >>> two, four = predict(Step(5.0, 4.0, ((1000, 2.0),)), second, [2, 4], {2: 5.5})
    >>> two.least, two.most, four.least, four.most
    (5.5, 5.5, 5.5, 5.75)
    """
    overhead, reference = overhead_of(step, cluster, measured)
    share = max(0.0, min(1.0, overhead / reference)) if reference else 0.0
    predictions = []
    for ranks in counts:
        busy, exposed = step.communication(cluster, ranks)
        least = step.seconds + exposed + overhead
        growth = share * (busy - exposed - reference)
        predictions.append(Prediction(ranks, busy, exposed, *sorted((least, least + growth))))
    return predictions


def overhead_of(step, cluster, measured):
    """The time beyond the model at the largest measured number of ranks, on one host; and the overlap there."""
    if not measured:
        return 0.0, 0.0
    ranks = max(measured)
    host = dataclasses.replace(cluster, per_host=max(ranks, cluster.per_host))
    busy, exposed = step.communication(host, ranks)
    return measured[ranks] - step.seconds - exposed, busy - exposed


def read_curve(path):
    data = json.loads(pathlib.Path(path).read_text())
    rows = sorted((row["bytes"], statistics.median(row["seconds"])) for row in data["rows"])
    return Curve(data["ranks"], math.ceil(data["ranks"] / data["ranks_per_host"]), *map(tuple, zip(*rows)))


def read_step(path, seconds, limits):
    data = json.loads(pathlib.Path(path).read_text())
    gradients = [(gradient["bytes"], gradient["ready"] * seconds) for gradient in data["gradients"]]
    return Step(seconds, data["backward_end"] * seconds, in_buckets(gradients, limits))


def read_scaling(path, work, contender):
    """Seconds per step by number of GPUs."""
    data = json.loads(pathlib.Path(path).read_text())
    found = {}
    for row in data["rows"]:
        if f"{row['work']},{row['size']},{row['batch']}" == work:
            found[row["gpus"]] = statistics.median(row["contenders"].get(contender, {}).get("seconds") or [math.nan])
    return {gpus: seconds for gpus, seconds in found.items() if not math.isnan(seconds)}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gradients", required=True, metavar="FILE", help="from gradient_times.py")
    parser.add_argument("--curve", action="append", default=[], metavar="FILE", help="from all_reduce.py; repeatable")
    parser.add_argument("--bus-gbs", type=float, metavar="GB/S", help="instead of a curve: bus bandwidth in a host")
    parser.add_argument("--latency-us", type=float, default=20, help="with --bus-gbs: of an all-reduce on two ranks")
    parser.add_argument("--scaling", metavar="FILE", help="from scaling.py, weak scaling")
    parser.add_argument("--work", metavar="MODEL,SIZE,BATCH", help="of --scaling")
    parser.add_argument("--contender", default="trainyard", help="of --scaling")
    parser.add_argument("--step-ms", type=float, help="instead of --scaling: the step on one GPU")
    parser.add_argument("--measured-ms", action="append", default=[], metavar="N=MS", help="a step on N GPUs, likewise")
    parser.add_argument("--ranks", default="2,4,8,64,1024", metavar="N,N")
    parser.add_argument("--per-host", type=int, default=8, help="GPUs of a host")
    parser.add_argument("--network-gbs", type=float, default=50, help="that leave a host (default: 50)")
    parser.add_argument("--network-latency-us", type=float, default=5)
    parser.add_argument("--bucket-mib", default="1,25", metavar="N,N", help="limits; the last repeats (default: DDP's)")
    options = parser.parse_args()
    if not options.curve and not options.bus_gbs:
        parser.error("give --curve or --bus-gbs")
    if options.scaling and not options.work or not options.scaling and not options.step_ms:
        parser.error("give --scaling with --work, or --step-ms")
    options.ranks = [int(count) for count in options.ranks.split(",")]
    if min(options.ranks) < 2:
        parser.error("--ranks are numbers from 2 on")
    return options


def step_times(options):
    """Seconds by number of GPUs."""
    if not options.scaling:
        pairs = (pair.split("=") for pair in options.measured_ms)
        return {1: options.step_ms / 1e3} | {int(gpus): float(ms) / 1e3 for gpus, ms in pairs}
    times = read_scaling(options.scaling, options.work, options.contender)
    if 1 not in times:
        wanted = f"{options.contender} for {options.work} on one GPU"
        raise SystemExit(f"[scaling model] {options.scaling} has no step of {wanted}")
    return times


def between(least, most, form):
    ends = dict.fromkeys((format(least, form), format(most, form)))
    return " to ".join(ends)


def main():
    options = arguments()
    times = step_times(options)
    limits = [float(limit) * MIB for limit in options.bucket_mib.split(",")]
    step = read_step(options.gradients, times[1], limits)
    curves = [read_curve(path) for path in options.curve]
    if not curves:
        seconds = tuple(options.latency_us / 1e6 + size / (options.bus_gbs * 1e9) for size in (0, 1e9))
        curves = [Curve(2, 1, (0, 1e9), seconds)]
    network = Network(options.network_gbs * 1e9, options.network_latency_us / 1e6)
    cluster = Cluster(tuple(curves), options.per_host, network)
    measured = {gpus: seconds for gpus, seconds in times.items() if gpus > 1}

    total = sum(size for size, _ in step.buckets)
    parts = f"{total / 1e6:.1f} MB of gradients in {len(step.buckets)} buckets"
    print(f"step on one GPU {1e3 * step.seconds:.2f} ms, {parts}, {options.per_host} GPUs per host")
    if measured:
        overhead, _ = overhead_of(step, cluster, measured)
        print(f"overhead {1e3 * overhead:.2f} ms, from the step measured on {max(measured)} GPUs")
    print("\n| GPUs | hosts | all-reduce ms | exposed ms | step ms | measured ms | times one GPU | efficiency |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in predict(step, cluster, options.ranks, measured):
        hosts = math.ceil(row.ranks / options.per_host)
        known = f"{1e3 * measured[row.ranks]:.2f}" if row.ranks in measured else ""
        best, worst = (step.seconds / seconds for seconds in (row.least, row.most))
        print(
            f"| {row.ranks} | {hosts} | {1e3 * row.communication:.2f} | {1e3 * row.exposed:.2f} "
            f"| {between(1e3 * row.least, 1e3 * row.most, '.2f')} | {known} "
            f"| {between(row.ranks * worst, row.ranks * best, '.2f')} | {between(worst, best, '.1%')} |"
        )


if __name__ == "__main__":
    main()
