# fits 1, epochs 2, evaluations 0, on tensorflow
from common import *

import tensorflow as tf

class Parts:
    def __init__(self):
        self.optimizers = [keras.optimizers.SGD(0.1)]

class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = layers.Dense(4), layers.Dense(1)
        self.optimizers = {"first": keras.optimizers.Adam(0.01)}
        self.parts = Parts()

    def call(self, x):
        return self.second(self.first(x))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape(persistent=True) as tape:
            loss = keras.ops.mean((keras.ops.squeeze(self(x), -1) - y) ** 2)
        both = (self.optimizers["first"], self.first), (self.parts.optimizers[0], self.second)
        for optimizer, layer in both:
            variables = layer.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        self.optimizers["first"].learning_rate.assign(self.optimizers["first"].learning_rate * 0.9)
        return {"loss": loss}

model = Own()
model.compile()
x, y = regression()
print(model.fit(x, y, epochs=2, verbose=0).history)
print(float(model.optimizers["first"].learning_rate))
report(model)
