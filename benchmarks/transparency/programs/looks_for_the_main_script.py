# fits 1, epochs 1, evaluations 0, on tensorflow jax torch
from common import *

import inspect, sys

class Looks(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        mains = [one for one in inspect.stack() if one.frame.f_globals["__name__"] == "__main__"]
        print(os.path.basename(mains[-1].filename), mains[-1].function, len(mains))

print(os.path.basename(sys.modules["__main__"].__file__), sys.argv[1:], sys.path[0] == os.getcwd())
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(*regression(), verbose=0, callbacks=[Looks()])
