# fits 1, epochs 1, evaluations 1, on tensorflow jax torch
from common import *

from dataclasses import dataclass

@dataclass
class Unhashable(keras.Model):
    units: int = 2

    def __post_init__(self):
        super().__init__()
        self.inner = layers.Dense(self.units)

    def call(self, x):
        return self.inner(x)

class Alike(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = layers.Dense(1)

    def call(self, x):
        return self.inner(x)

    def __eq__(self, other):
        return type(self) is type(other)

    def __hash__(self):
        return 7

x, y = regression()
print(Unhashable(3).predict(x, verbose=0).shape)
model = Alike()
model.compile("sgd", "mse")
print(model.fit(x, y, verbose=0).history)
twin = Alike()
twin.compile("sgd", "mse")
print(twin.evaluate(x, y, verbose=0))
report(twin)
