# fits 1, epochs 1, evaluations 0, on tensorflow jax torch
from common import *

import atexit, sys
atexit.register(print, "at exit")
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile("sgd", "mse")
x, y = regression()
model.fit(x, y, verbose=0)
print("to stderr", file=sys.stderr)
sys.exit(7)
