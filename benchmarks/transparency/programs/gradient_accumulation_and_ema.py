# fits 1, epochs 2, evaluations 0, on tensorflow jax torch
from common import *

model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.01, gradient_accumulation_steps=2, use_ema=True, ema_overwrite_frequency=3, clipnorm=1.0), "mse")
x, y = regression()
print(model.fit(x, y, epochs=2, verbose=0).history)
report(model)
