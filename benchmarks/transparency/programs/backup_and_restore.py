# fits 2, epochs 4, evaluations 0, on tensorflow jax torch
from common import *

x, y = regression()
def build():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model
class Stop(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2: raise KeyError("stop")
try:
    build().fit(x, y, epochs=4, verbose=0, callbacks=[keras.callbacks.BackupAndRestore("backup"), Stop()])
except KeyError as exc:
    print(repr(exc))
model = build()
print(model.fit(x, y, epochs=4, verbose=0, callbacks=[keras.callbacks.BackupAndRestore("backup")]).epoch)
report(model)
