# fits 1, epochs 2, evaluations 0, on tensorflow jax torch
from common import *

class Plain(keras.optimizers.Optimizer):
    def __init__(self, learning_rate=0.05, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
    def update_step(self, gradient, variable, learning_rate):
        self.assign_sub(variable, gradient * learning_rate)
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile(Plain(), "mse")
x, y = regression()
print(model.fit(x, y, epochs=2, verbose=0).history, model.optimizer.get_config())
report(model)
