# fits 1, epochs 2, evaluations 4, on tensorflow jax torch
from common import *

class Loud(keras.callbacks.Callback):
    def on_train_begin(self, logs=None): print("train begins", self.params)
    def on_epoch_begin(self, epoch, logs=None): print("epoch begins", epoch, logs)
    def on_train_batch_end(self, batch, logs=None): print("batch", batch, sorted(logs))
    def on_epoch_end(self, epoch, logs=None):
        print("epoch ends", epoch, {k: float(v) for k, v in logs.items()})
        print(self.model.evaluate(x, y, verbose=0), self.model.evaluate(x[:8], y[:8], verbose=0))
    def on_train_end(self, logs=None): print("train ends", logs and sorted(logs))
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile("adam", "mse")
x, y = regression()
model.fit(x, y, epochs=2, batch_size=32, verbose=0, callbacks=[Loud()])
report(model)
