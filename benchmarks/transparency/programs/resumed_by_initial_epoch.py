# fits 3, epochs 4, evaluations 0, on tensorflow jax torch
from common import *

x, y = regression(100)
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile("sgd", "mse")
for first, last in (0, 2), (2, 4), (4, 4):
    history = model.fit(
        x, y, epochs=last, initial_epoch=first, steps_per_epoch=3, batch_size=8, verbose=2
    )
    print(history.epoch, history.history)
report(model)
