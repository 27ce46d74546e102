"""Makes images in many formats and sizes with Pillow, and the results of Pillow's operations on them.

usage: pillow.py FOLDER    writes files and FOLDER/cases.txt, one line per case:
       name <tab> file <tab> channels <tab> operation <tab> expected file <tab> height <tab> width
Expected files are raw uint8, height x width x channels.
"""
import os
import random
import sys

from PIL import Image, ImageEnhance, ImageOps

folder = sys.argv[1]
random.seed(1)
cases = []


def pattern(width, height, mode="RGB"):
    """Returns smooth shapes with noise."""
    small = Image.frombytes("RGB", (5, 4), random.randbytes(60)).resize((width, height), Image.Resampling.BICUBIC)
    noise = Image.frombytes("RGB", (width, height), random.randbytes(width * height * 3))
    return Image.blend(small, noise, 0.15).convert(mode)


def save(name, image, **options):
    path = os.path.join(folder, name)
    image.save(path, **options)
    return path


def expect(name, path, channels, operation, image):
    mode = "L" if channels == 1 else "RGB"
    assert image.mode == mode, (name, image.mode)
    expected = os.path.join(folder, f"{len(cases)}.raw")
    with open(expected, "wb") as file:
        file.write(image.tobytes())
    cases.append("\t".join([name, path, str(channels), operation, expected, str(image.height), str(image.width)]))


def decoded(path, channels=3, upright=True):
    with Image.open(path) as image:
        if upright:
            image = ImageOps.exif_transpose(image)
        return image.convert("L" if channels == 1 else "RGB")


# Decoding.
files = []
for width, height in [(1, 1), (2, 3), (17, 16), (33, 47), (107, 75), (160, 121)]:
    for subsampling in ["4:4:4", "4:2:2", "4:2:0"]:
        for progressive in [False, True]:
            files.append(save(f"{width}x{height}-{subsampling.replace(':', '')}-{progressive}.jpg", pattern(width, height),
                              quality=90, subsampling=subsampling, progressive=progressive))
    files.append(save(f"{width}x{height}-grey.jpg", pattern(width, height, "L"), quality=80))
    files.append(save(f"{width}x{height}-cmyk.jpg", pattern(width, height, "CMYK"), quality=80))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation
    files.append(save(f"{width}x{height}-exif.jpg", pattern(width, height), quality=90, exif=exif))
    for mode in ["RGB", "RGBA", "L", "LA", "P", "1"]:
        image = pattern(width, height).convert(mode) if mode != "LA" else pattern(width, height, "L").convert("LA")
        if mode == "RGBA":
            image.putalpha(pattern(width, height, "L"))
        files.append(save(f"{width}x{height}-{mode}.png", image, exif=exif))
for path in files:
    for channels in [1, 3]:
        expect(os.path.basename(path), path, channels, "", decoded(path, channels))
        expect(os.path.basename(path), path, channels, "as stored", decoded(path, channels, upright=False))
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in [f"orientation-{orientation}.jpg", f"orientation-{orientation}.png"]:
        path = save(name, pattern(53, 38), exif=exif)
        expect(name, path, 3, "", decoded(path))
        for spec, size in [("resize(height=20, width=24)", (24, 20)), ("resize(height=60, width=31)", (31, 60))]:
            expect(name, path, 3, spec, decoded(path).resize(size, Image.Resampling.BILINEAR))

# Scaling and cropping.
source = save("source.png", pattern(107, 75))
jpeg = save("source.jpg", pattern(211, 143), quality=90)
filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
for path in [source, jpeg]:
    for name, resampling in filters.items():
        for width, height in [(1, 1), (31, 29), (107, 75), (64, 200), (300, 11), (224, 224)]:
            expect("resize", path, 3, f"resize(height={height}, width={width}, interpolation={name})",
                   decoded(path).resize((width, height), resampling))
        for size in [20, 75, 90]:
            image = decoded(path)
            short, long = sorted(image.size)
            other = int(size * long / short)  # as torchvision computes it
            expected = image.resize((other, size), resampling)
            expect("shorter side", path, 3, f"resize(size={size}, interpolation={name})", expected)
            left, top = round((other - 16) / 2.0), round((size - 16) / 2.0)
            expect("center crop", path, 3, f"resize(size={size}, interpolation={name});center_crop(size=16)",
                   expected.crop((left, top, left + 16, top + 16)))
    expect("grey resize", path, 1, "resize(height=41, width=37)", decoded(path, 1).resize((37, 41), filters["bilinear"]))
    expect("flip", path, 3, "random_horizontal_flip(p=1)", ImageOps.mirror(decoded(path)))
    expect("flip", path, 3, "random_vertical_flip(p=1)", ImageOps.flip(decoded(path)))

# Colours. The operation is the name of a function and its argument.
for path, channels in [(source, 3), (source, 1)]:
    image = decoded(path, channels)
    for factor in [0, 0.4, 0.93, 1, 1.37, 2.5]:
        expect("brightness", path, channels, f"brightness {factor}", ImageEnhance.Brightness(image).enhance(factor))
        expect("contrast", path, channels, f"contrast {factor}", ImageEnhance.Contrast(image).enhance(factor))
        expect("saturation", path, channels, f"saturation {factor}", ImageEnhance.Color(image).enhance(factor))
        expect("sharpness", path, channels, f"sharpness {factor}", ImageEnhance.Sharpness(image).enhance(factor))
    for bits in [1, 4, 8]:
        expect("posterize", path, channels, f"posterize {bits}", ImageOps.posterize(image, bits))
    for threshold in [0, 100, 256]:
        expect("solarize", path, channels, f"solarize {threshold}", ImageOps.solarize(image, threshold))
    expect("autocontrast", path, channels, "autocontrast 0", ImageOps.autocontrast(image))
    expect("equalize", path, channels, "equalize 0", ImageOps.equalize(image))
    for degrees in [-30, -7.5, 0.5, 13]:
        expect("rotate", path, channels, f"rotate {degrees}", image.rotate(degrees))
    for shear in [-0.3, 0.11]:
        affine = Image.Transform.AFFINE
        expect("shear_x", path, channels, f"shear_x {shear}", image.transform(image.size, affine, (1, shear, 0, 0, 1, 0)))
        expect("shear_y", path, channels, f"shear_y {shear}", image.transform(image.size, affine, (1, 0, 0, shear, 1, 0)))
for shift in [-0.5, -0.21, 0.1, 0.5]:
    # torchvision's adjust_hue
    hue, saturation, value = decoded(source).convert("HSV").split()
    hue = hue.point([(i + int(shift * 255)) % 256 for i in range(256)])
    expect("hue", source, 3, f"hue {shift}", Image.merge("HSV", (hue, saturation, value)).convert("RGB"))

with open(os.path.join(folder, "cases.txt"), "w") as file:
    file.write("\n".join(cases) + "\n")
