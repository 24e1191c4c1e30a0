# fits 1, epochs 2, evaluations 0, on tensorflow jax torch
from common import *

import sys
class Raise(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise RuntimeError("enough")
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile("adam", "mse")
x, y = regression()
model.fit(x, y, epochs=5, verbose=0, callbacks=[Raise()])
