"""SPDL: a pipeline of at least one thread in one process.

lists: one gather per batch, because SPDL advises against arrays of single samples. opencv, ffmpeg: the library that
decodes and resizes; ffmpeg is SPDL's own (spdl.io), whose frames become a batch without an intermediate array, and
needs FFmpeg's libraries. Left out: packed, and large_scaled with ffmpeg, which cannot decode at a fraction of the size.
"""
import random

import numpy
import spdl.io
import torch
from spdl.pipeline import PipelineBuilder

import cells
import measure


class IndexLists:
    """An epoch's index lists, in a new order each time it is iterated over."""

    def __init__(self, options):
        self.size, self.batch = cells.size(options), options.batch

    def __iter__(self):
        order = numpy.random.permutation(self.size)
        for begin in range(0, self.size, self.batch):
            yield order[begin : begin + self.batch]


def in_memory(options):
    samples, labels = (torch.from_numpy(array) for array in cells.in_memory(options.cell))

    def gather(indices):
        indices = torch.from_numpy(indices)
        return samples[indices % len(samples)], labels[indices]

    builder = PipelineBuilder().add_source(IndexLists(options), continuous=True)
    return builder.pipe(gather, concurrency=options.workers)


def decode_ffmpeg(path):
    packets = spdl.io.demux_image(path)
    top, left, h, w = cells.random_part(packets.codec.height, packets.codec.width)
    flip = ",hflip" if random.random() < 0.5 else ""
    filters = f"crop={w}:{h}:{left}:{top}:exact=1,scale=224:224:flags=bilinear{flip},format=rgb24"
    return spdl.io.decode_packets(packets, filter_desc=filters)


def jpegs(options):
    import opencv  # not needed by the cells in memory

    paths = cells.jpeg_paths(options)
    ffmpeg, scaled = options.how == "ffmpeg", options.cell == "large_scaled"
    if ffmpeg:
        decode_ffmpeg(paths[0])  # loads FFmpeg, or reports why it cannot

    def decode(index):
        path = paths[index]
        return decode_ffmpeg(path) if ffmpeg else opencv.load(path, scaled), index % 10

    def batch(samples):
        images, labels = zip(*samples)
        if ffmpeg:
            images = spdl.io.to_torch(spdl.io.convert_frames(list(images)))
        else:
            images = torch.from_numpy(numpy.stack(images))
        return images, torch.tensor(labels)

    builder = PipelineBuilder().add_source(IndexLists(options), continuous=True).disaggregate()
    return builder.pipe(decode, concurrency=options.workers).aggregate(options.batch).pipe(batch)


def prepare(options):
    torch.set_num_threads(1)
    builder = jpegs(options) if options.cell in cells.JPEGS else in_memory(options)

    def start():
        pipeline = builder.add_sink(3).build(num_threads=options.workers)
        pipeline.start()
        return pipeline

    return start


if __name__ == "__main__":
    measure.main(prepare)
