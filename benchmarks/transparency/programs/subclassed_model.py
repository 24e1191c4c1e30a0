# fits 1, epochs 2, evaluations 1, on tensorflow jax torch
from common import *

class Net(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.hidden, self.drop, self.out = layers.Dense(units), layers.Dropout(0.5), layers.Dense(1)
    def call(self, x, training=False):
        return self.out(self.drop(keras.ops.relu(self.hidden(x)), training=training))
model = Net(6)
model.compile(keras.optimizers.Adam(0.01), keras.losses.Huber())
x, y = regression()
print(model.fit(x, y, epochs=2, validation_data=(x[:16], y[:16]), verbose=2).history)
print(model.evaluate(x, y, verbose=2))
report(model)
