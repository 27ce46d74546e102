"""NVIDIA DALI on the CPU: a pipeline of at least one thread.

Only JPEGs: DALI reads files, and data in memory would come from a Python function that does all the work. Left out:
large_scaled, because DALI cannot decode at a fraction of the size, and packed.
"""
import torch
from nvidia.dali import fn, pipeline_def, types
from nvidia.dali.plugin.base_iterator import LastBatchPolicy
from nvidia.dali.plugin.pytorch import DALIGenericIterator

import measure


@pipeline_def(device_id=None, exec_dynamic=True)
def jpegs(folder):
    files, labels = fn.readers.file(file_root=folder, shuffle_after_epoch=True, name="files")
    images = fn.decoders.image_random_crop(files, random_area=(0.08, 1), random_aspect_ratio=(3 / 4, 4 / 3))
    images = fn.resize(images, size=(224, 224), interp_type=types.INTERP_LINEAR)
    return fn.flip(images, horizontal=fn.random.coin_flip()), labels


class Epochs:
    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        for (batch,) in self.batches:
            yield batch["images"], batch["labels"]


def prepare(options):
    torch.set_num_threads(1)

    def start():
        pipeline = jpegs(f"{options.files}/{options.cell}/train", batch_size=options.batch, num_threads=options.workers)
        how = {"reader_name": "files", "auto_reset": True, "last_batch_policy": LastBatchPolicy.PARTIAL}
        return Epochs(DALIGenericIterator([pipeline], ["images", "labels"], **how))

    return start


if __name__ == "__main__":
    measure.main(prepare)
