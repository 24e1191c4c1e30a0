# fits 3, epochs 6, evaluations 0, on tensorflow jax torch
from common import *

import threading
x, y = regression()
models = []
for i in range(3):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.build((None, 8))
    models.append(model)
threads = [threading.Thread(target=m.fit, args=(x, y), kwargs={"epochs": 2, "verbose": 0, "shuffle": False}) for m in models]
for thread in threads: thread.start()
for thread in threads: thread.join()
print([m.history.history["loss"] for m in models] if KERAS3 else "")
