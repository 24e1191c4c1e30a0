# fits 1, epochs 2, evaluations 0, on tensorflow jax torch
from common import *

class Sampling(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed = keras.random.SeedGenerator(7)
    def call(self, inputs):
        mean, log_var = inputs
        self.add_loss(-0.5 * keras.ops.mean(1 + log_var - mean**2 - keras.ops.exp(log_var)))
        return mean + keras.ops.exp(0.5 * log_var) * keras.random.normal(keras.ops.shape(mean), seed=self.seed)
inputs = keras.Input((8,))
h = layers.Dense(6, activation="relu")(inputs)
z = Sampling()([layers.Dense(2)(h), layers.Dense(2)(h)])
model = keras.Model(inputs, layers.Dense(8)(z))
model.compile("adam", "mse")
x, _ = regression()
print(model.fit(x, x, epochs=2, verbose=0).history)
report(model)
