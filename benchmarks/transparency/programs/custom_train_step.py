# fits 1, epochs 3, evaluations 0, on tensorflow jax torch
from common import *

class Twice(keras.Model):
    def train_step(self, *args):
        return super().train_step(*args)
inputs = keras.Input((8,))
model = Twice(inputs, layers.Dense(1)(inputs))
model.compile("nadam", "mse", metrics=["mae"])
x, y = regression()
print(model.fit(x, y, epochs=3, verbose=0).history)
report(model)
