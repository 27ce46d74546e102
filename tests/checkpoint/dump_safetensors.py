"""Prints each tensor of a safetensors file, in the order of its header, as `name dtype shape bytes-in-hex`.

The parser follows the format's specification; if the safetensors package is installed, it must agree.
"""

import json
import struct
import sys

import torch

TYPES = {"BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "F8_E5M2": torch.float8_e5m2,
         "F8_E4M3": torch.float8_e4m3fn, "F8_E8M0": torch.float8_e8m0fnu, "I16": torch.int16, "U16": torch.uint16,
         "F16": torch.float16, "BF16": torch.bfloat16, "I32": torch.int32, "U32": torch.uint32, "F32": torch.float32,
         "I64": torch.int64, "U64": torch.uint64, "F64": torch.float64, "C64": torch.complex64}


def bytes_of(tensor):
    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).tolist())


content = bytearray(open(sys.argv[1], "rb").read())
(length,) = struct.unpack_from("<Q", content)
header = json.loads(content[8:8 + length].decode("utf-8"))
assert header.pop("__metadata__") == {"format": "pt"}
tensors = {}
for name, entry in header.items():
    begin, end = (8 + length + offset for offset in entry["data_offsets"])
    data = torch.frombuffer(content[begin:end], dtype=torch.uint8) if end > begin else torch.empty(0, dtype=torch.uint8)
    tensors[name] = data.view(TYPES[entry["dtype"]]).reshape(entry["shape"])
    print(name, tensors[name].dtype, list(tensors[name].shape), bytes_of(tensors[name]).hex())

try:
    from safetensors.torch import load_file
except ImportError:
    sys.exit()
loaded = load_file(sys.argv[1])
assert loaded.keys() == tensors.keys()
for name, tensor in loaded.items():
    assert (tensor.dtype, tensor.shape) == (tensors[name].dtype, tensors[name].shape), name
    assert bytes_of(tensor) == bytes_of(tensors[name]), name
