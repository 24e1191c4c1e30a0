# fits 1, epochs 3, evaluations 1, on tensorflow jax torch
from common import *

model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile("sgd", "mse", metrics=["mae"])
x, y = regression()
model.fit(x, y, epochs=3, validation_split=0.5, verbose=1)
model.evaluate(x, y, verbose=1)
model.predict(x, verbose=1)
report(model)
