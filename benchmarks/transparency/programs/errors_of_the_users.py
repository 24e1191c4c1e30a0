# fits 4, epochs 0, evaluations 1, on tensorflow jax torch
from common import *

import traceback
x, y = regression()
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
def attempt(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except Exception as exc:
        print(type(exc).__name__, str(exc)[:120], [f.name for f in traceback.extract_tb(exc.__traceback__)][:1])
attempt(model.fit, x, y)
model.compile("adam", "mse")
attempt(model.fit, x[:, :3], y, verbose=0)
attempt(model.fit, x, y, nonsense=3)
attempt(model.fit, x, y, epochs="three", verbose=0)
attempt(model.compile, "no such optimizer", "mse")
attempt(keras.optimizers.SGD, momentum=7)
attempt(model.evaluate)
report(model)
