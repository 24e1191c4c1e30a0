# fits 1, epochs 1, evaluations 1, on tensorflow jax torch
import atexit

def last():
    print(model.evaluate(x, y, verbose=0))
    model.save("last.keras")

atexit.register(last)  # called after what Keras and others register
from common import *

x, y = regression()
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, y, verbose=0)
