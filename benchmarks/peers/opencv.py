"""OpenCV, single-threaded: decodes and resizes JPEGs for several of these programs."""
import random

import cv2

import cells

cv2.setNumThreads(0)


def load(path, scaled):
    """A random crop of the file at 224×224, half of them flipped, as uint8 height × width × 3."""
    how, scale = (cv2.IMREAD_REDUCED_COLOR_2, 2) if scaled else (cv2.IMREAD_COLOR, 1)
    image = cv2.imread(path, how)
    top, left, h, w = (n // scale for n in cells.random_part(image.shape[0] * scale, image.shape[1] * scale))
    image = cv2.resize(image[top : top + h, left : left + w], (224, 224), interpolation=cv2.INTER_LINEAR)
    if random.random() < 0.5:
        image = cv2.flip(image, 1)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
