# fits 1, epochs 1, evaluations 1, on tensorflow jax torch
from common import *

import atexit, sys

class Own(layers.Layer):
    def call(self, x):
        return x * 2.0

model = keras.Sequential([keras.Input((8,)), Own(), layers.Dense(1)])
model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 10)), "mse")
x, y = regression()
model.fit(x, y, verbose=0)
model.evaluate(x, y, verbose=0)
heavy = ("tensorflow", "jax", "torch", "pandas", "matplotlib", "sklearn", "h5py", "scipy", "PIL")
atexit.register(lambda: print([name for name in heavy if name in sys.modules]))
