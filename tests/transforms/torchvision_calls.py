"""Applies torchvision to the images and parameters of torchvision_test.cpp.

usage: torchvision_calls.py FOLDER
FOLDER/requests.json has three lists; the result of each entry goes to a file numbered by its position.
  calls       applies functions of torchvision.transforms.v2.functional to an image, or to a mask as tv_tensors.Mask:
              calls.N.raw
  augment     applies each operation of transforms.RandAugment to an image, with both signs: augment.N.raw, all 28
              results in sequence
  parameters  calls get_params of a class many times: parameters.N.json
Images are files, read as torchvision's ImageFolder reads them; .raw is uint8, height x width x channels.
Exit code 77: there is no working torchvision.
"""
import json
import os
import sys

from PIL import Image

try:
    import torch
    from torchvision import transforms
    from torchvision import tv_tensors
    from torchvision.transforms import InterpolationMode, autoaugment, v2
except (ImportError, RuntimeError) as error:  # RuntimeError if it was built for another torch
    print(error)
    sys.exit(77)


def read_image(request):
    with Image.open(request["file"]) as image:
        return image.convert("L" if request["channels"] == 1 else "RGB")


def call(image, name, arguments):
    convert = {"interpolation": InterpolationMode, "v": torch.tensor}
    arguments = {key: convert[key](value) if key in convert else value for key, value in arguments.items()}
    return getattr(v2.functional, name)(image, **arguments)


def called(request):
    image = read_image(request)
    if request["mask"]:
        image = tv_tensors.Mask(v2.functional.pil_to_tensor(image))
    for name, arguments in request["calls"]:
        image = call(image, name, arguments)
    return image.numpy().tobytes() if request["mask"] else image.tobytes()


def augmented(request):
    image = read_image(request)
    augment = transforms.RandAugment(magnitude=request["magnitude"])
    operations = augment._augmentation_space(augment.num_magnitude_bins, (image.height, image.width))
    result = b""
    for name, (magnitudes, signed) in operations.items():
        magnitude = magnitudes[augment.magnitude].item() if magnitudes.ndim > 0 else 0.0
        for sign in (1.0, -1.0) if signed else (1.0, 1.0):
            result += autoaugment._apply_op(image, name, sign * magnitude, augment.interpolation, augment.fill).tobytes()
    return result


def parameters(request):
    torch.manual_seed(1)
    get_params = getattr(transforms, request["class"]).get_params
    image = [torch.zeros(3, *request["size"])] if "size" in request else []
    rows = []
    for _ in range(2000):
        row = []
        for value in get_params(*image, **request["arguments"]):
            row += value.flatten().tolist() if isinstance(value, torch.Tensor) else [value]
        rows.append(row)
    return json.dumps(rows).encode()


def main():
    folder = sys.argv[1]
    torch.set_num_threads(1)
    with open(os.path.join(folder, "requests.json")) as file:
        requests = json.load(file)
    for kind, answer, suffix in [("calls", called, "raw"), ("augment", augmented, "raw"), ("parameters", parameters, "json")]:
        for number, request in enumerate(requests[kind]):
            with open(os.path.join(folder, f"{kind}.{number}.{suffix}"), "wb") as file:
                file.write(answer(request))


main()
