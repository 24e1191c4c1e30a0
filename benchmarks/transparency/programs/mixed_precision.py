# fits 1, epochs 2, evaluations 0, on tensorflow jax torch
from common import *

keras.mixed_precision.set_global_policy("mixed_float16")
model = keras.Sequential([keras.Input((8,)), layers.Dense(4), layers.Dense(1, dtype="float32")])
model.compile(keras.optimizers.SGD(0.01), "mse")
x, y = regression()
print(model.fit(x, y, epochs=2, verbose=0).history, type(model.optimizer).__name__)
report(model)
