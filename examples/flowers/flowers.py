"""What both networks have in common: their arguments, the data, and how they are trained."""

import argparse

import keras
import numpy as np


def arguments():
    """The arguments of a training."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="flowers.npz", help="what prepare.py wrote")
    parser.add_argument("--activation", default="relu")
    parser.add_argument("--learning-rate", type=float, default=0.001)
    parser.add_argument("--dropout", type=float, default=0.4)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--output", help="where to save the model")
    return parser.parse_args()


def load(path):
    """Training, validation and test data: images from 0 to 1, and labels; 70, 15 and 15 of 100."""
    with np.load(path) as data:
        images, labels = data["images"].astype("float32") / 255, data["labels"]
    first, second = int(len(images) * 0.7), int(len(images) * 0.85)
    return (
        (images[:first], labels[:first]),
        (images[first:second], labels[first:second]),
        (images[second:], labels[second:]),
    )


def train(model, given, training, validation, test):
    """Compile, train, test and save."""
    model.compile(
        optimizer=keras.optimizers.Adam(given.learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(
        *training,
        validation_data=validation,
        epochs=given.epochs,
        batch_size=given.batch_size,
        callbacks=[keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=3)],
        verbose=2,
    )
    loss, accuracy = model.evaluate(*test, verbose=0)
    print(f"test loss {loss:.3f}, test accuracy {accuracy:.3f}")
    if given.output:
        model.save(given.output)
