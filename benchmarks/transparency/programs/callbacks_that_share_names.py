# fits 1, epochs 2, evaluations 0, on tensorflow jax torch
from common import *

class EarlyStopping(keras.callbacks.Callback):
    stopped_epoch = "never"

class ModelCheckpoint(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        print("checkpoint", epoch)

class ReduceLROnPlateau(keras.callbacks.Callback):
    factor = []

class Layer(layers.Layer):
    layers, activation, units, rate = 3, {"relu": 1}, "many", [1]

    def call(self, x):
        return x * 2.0

model = keras.Sequential([keras.Input((8,)), Layer(), layers.Dense(1)])
model.compile("sgd", "mse")
x, y = regression()
print(model.fit(
    x, y, epochs=2, verbose=0, callbacks=[EarlyStopping(), ModelCheckpoint(), ReduceLROnPlateau()]
).history)
report(model)
