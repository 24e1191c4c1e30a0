# fits 1, epochs 2, evaluations 0, on tensorflow jax torch
from common import *

shared = layers.Dense(8, activation="relu", name="shared")
a, b = keras.Input((8,)), keras.Input((8,))
model = keras.Model([a, b], layers.Dense(1)(layers.subtract([shared(a), shared(b)])))
model.compile("sgd", "mae")
x, y = regression()
print(model.fit([x, x[::-1]], y, epochs=2, shuffle=False, verbose=0).history)
report(model)
