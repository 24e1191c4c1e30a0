# fits 1, epochs 2, evaluations 0, on tensorflow
from common import *

import sys

import tensorflow as tf

tf.debugging.set_log_device_placement(True)
kept = os.dup(2)
os.dup2(os.open("placement.log", os.O_WRONLY | os.O_CREAT), 2)
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile(keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)), "mse")
model.fit(*regression(), epochs=2, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()])
os.dup2(kept, 2)
with open("placement.log") as file:
    print(len([line for line in file if "/device:" in line or "(_EagerConst)" in line]))
os.remove("placement.log")  # its lines begin with the time
