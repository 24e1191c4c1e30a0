# fits 3, epochs 3, evaluations 0, on tensorflow jax torch
from common import *

x, y = regression()
def build():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model
class Inner(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        print(build().fit(x, y, verbose=0).history)
model = build()
print(model.fit(x, y, epochs=1, verbose=0, callbacks=[Inner(), Inner()]).history)
report(model)
