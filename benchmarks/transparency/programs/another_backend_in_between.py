# fits 2, epochs 3, evaluations 0, on tensorflow
from common import *

def train(keras, epochs):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x, y = regression()
    history = model.fit(x, y, epochs=epochs, verbose=0).history
    print(keras.backend.backend(), sorted(history), len(history["loss"]))

train(keras, 1)
keras.config.set_backend("jax")
import keras

train(keras, 2)
