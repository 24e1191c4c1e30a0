# fits 1, epochs 1, evaluations 0, on tensorflow jax torch
from common import *

import sys, traceback

def hook(cls, value, trace):
    print(cls.__name__, value, hasattr(sys, "last_value"), sys.last_type is cls)
    print([frame.name for frame in traceback.extract_tb(trace)])
    traceback.print_last(file=sys.stdout)
    raise RuntimeError("the hook fails")

sys.excepthook = hook
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(*regression(), verbose=0)

def fail():
    raise ValueError("at the end")

fail()
