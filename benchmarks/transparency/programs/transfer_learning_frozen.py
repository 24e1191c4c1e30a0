# fits 2, epochs 2, evaluations 0, on tensorflow jax torch
from common import *

base = keras.Sequential([keras.Input((8,)), layers.Dense(6, activation="relu"), layers.BatchNormalization()], name="base")
base.trainable = False
model = keras.Sequential([keras.Input((8,)), base, layers.Dense(1)])
x, y = regression()
for trainable in (False, True):
    base.trainable = trainable
    model.compile("adam", "mse")
    print(model.fit(x, y, verbose=0).history, len(model.trainable_weights))
report(model)
