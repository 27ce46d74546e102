"""Grain: batches of arrays that worker processes or threads prepare ahead; without workers, one thread of this process.

items: single samples, stacked. lists: one gather per batch. Both in worker processes, because Grain advises against
threads for data in memory. threads, processes: JPEGs with OpenCV. Left out: packed.
"""
import itertools

import grain
from absl import flags

import cells
import measure

flags.FLAGS.mark_as_parsed()  # Grain's worker processes read its flags, which no absl.app has parsed here


class InMemory:
    def __init__(self, cell):
        self.samples, self.labels = cells.in_memory(cell)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        """One sample, or the samples of an array of indices."""
        return self.samples[index % len(self.samples)], self.labels[index]


class Jpegs:
    def __init__(self, options):
        import opencv  # not needed by the cells in memory

        self.load = opencv.load
        self.paths = cells.jpeg_paths(options)
        self.scaled = options.cell == "large_scaled"

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return self.load(self.paths[index], self.scaled), index % 10


class Epochs:
    """Splits an endless iterator into epochs."""

    def __init__(self, batches, count):
        self.batches, self.count = batches, count

    def __iter__(self):
        return itertools.islice(self.batches, self.count)


def prepare(options):
    source = Jpegs(options) if options.cell in cells.JPEGS else InMemory(options.cell)

    def start():
        if options.how == "lists":
            batches = grain.MapDataset.range(len(source)).seed(0).shuffle().batch(options.batch).map(source.__getitem__)
        else:
            batches = grain.MapDataset.source(source).seed(0).shuffle().batch(options.batch)
        threads = options.workers if options.how == "threads" else 0
        processes = options.workers if options.how != "threads" else 0
        dataset = batches.repeat().to_iter_dataset(grain.ReadOptions(threads, prefetch_buffer_size=2 * threads))
        dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(processes, per_worker_buffer_size=2))
        return Epochs(iter(dataset), len(batches))

    return start


if __name__ == "__main__":
    measure.main(prepare)
