# fits 2, epochs 2, evaluations 0, on tensorflow jax torch
from common import *

import sys

def train(keras):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = regression()
    print(model.fit(x, y, verbose=0).history)

train(keras)
for name in [name for name in sys.modules if name.startswith("keras")]:
    del sys.modules[name]
import keras

keras.utils.set_random_seed(11)
train(keras)
