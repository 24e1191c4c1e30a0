"""Pictures of flowers, a folder for each kind, become one file of arrays.

    python prepare.py [--data FOLDER] [--size 64] [--output flowers.npz]

FOLDER is laid out as the Oxford 17 flowers are: a folder for each kind, with JPEG pictures in it.
Without it, or if it is not there, a small stand-in is drawn: flowers that differ in their number of
petals and in their colours. The program says which of the two it took.
"""

import argparse
from pathlib import Path

import numpy as np

DRAWN_KINDS = 5
DRAWN_OF_A_KIND = 40


def read(folder, size):
    """The pictures below a folder: arrays of shape (n, size, size, 3), labels, names of kinds."""
    from PIL import Image

    kinds = sorted(path.name for path in folder.iterdir() if path.is_dir())
    images, labels = [], []
    for label, kind in enumerate(kinds):
        for path in sorted((folder / kind).glob("*.jpg")):
            with Image.open(path) as picture:
                images.append(np.asarray(picture.convert("RGB").resize((size, size))))
            labels.append(label)
    return np.stack(images), np.array(labels), kinds


def draw(size):
    """Drawn flowers, as `read` gives real ones."""
    rng = np.random.default_rng(17)
    ys, xs = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    images, labels = [], []
    for label in range(DRAWN_KINDS):
        for _ in range(DRAWN_OF_A_KIND):
            x, y = xs - rng.normal(0, 0.1), ys - rng.normal(0, 0.1)
            radius, angle = np.hypot(x, y), np.arctan2(y, x) + rng.uniform(0, 6)
            petals = radius < 0.55 + 0.3 * np.cos((label + 3) * angle)
            image = rng.normal((60, 110, 50), 20, (size, size, 3))
            colour = np.roll((220, 60 + 30 * label, 90), label) + rng.normal(0, 25, 3)
            image[petals] = colour + rng.normal(0, 12, (petals.sum(), 3))
            image[radius < 0.15] = (230, 200, 40)
            images.append(image.clip(0, 255).astype("uint8"))
            labels.append(label)
    return np.stack(images), np.array(labels), [f"{n + 3} petals" for n in range(DRAWN_KINDS)]


def main():
    """Write the arrays, mixed by a fixed seed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("flowers17"))
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--output", default="flowers.npz")
    given = parser.parse_args()
    if given.data.is_dir():
        images, labels, kinds = read(given.data, given.size)
        print(f"{len(images)} pictures of {len(kinds)} kinds from {given.data}")
    else:
        images, labels, kinds = draw(given.size)
        print(f"{given.data} is not there: {len(images)} flowers of {len(kinds)} kinds were drawn")
    order = np.random.default_rng(17).permutation(len(images))
    np.savez(given.output, images=images[order], labels=labels[order], kinds=kinds)


if __name__ == "__main__":
    main()
