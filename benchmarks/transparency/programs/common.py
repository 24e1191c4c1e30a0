"""What the programs share: data, and a report of all that a program may see."""

import hashlib
import os
import random

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

KERAS3 = keras.__version__ >= "3"
keras.utils.set_random_seed(11)


def regression(samples=64):
    x = np.random.default_rng(0).random((samples, 8)).astype("float32")
    return x, x.sum(1)


def classes(samples=64):
    x = np.random.default_rng(0).random((samples, 8)).astype("float32")
    return x, (x.sum(1) * 2).astype("int32") % 3


def digest(value):
    return hashlib.sha256(value).hexdigest()[:16]


def report(model):
    print([digest(np.ascontiguousarray(w).tobytes()) for w in model.get_weights()])
    print(model.name, [layer.name for layer in model.layers])
    print(digest(str(random.getstate()).encode()), digest(str(np.random.get_state()).encode()))
    print(keras.layers.Dense(1).name, keras.random.uniform((2,)), np.random.rand(), random.random())
