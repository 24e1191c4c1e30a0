# fits 1, epochs 2, evaluations 0, on tensorflow jax torch
from common import *

model = keras.Sequential([layers.Dense(4, activation="tanh"), layers.Dense(1)])
model.compile("rmsprop", "mse")
x, y = regression()
history = model.fit(x, y, epochs=2, verbose=2)
print(history.params, history.epoch)
report(model)
