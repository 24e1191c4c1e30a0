# fits 2, epochs 60, evaluations 0, on tensorflow jax torch
from common import *

import pickle, threading, warnings

failures = []

def copy_them():
    while not done.is_set():
        try:
            for action, message, category, module, line in list(warnings.filters):
                (message and message.pattern, module and module.pattern, line + 1)
            pickle.dumps(list(warnings.filters))
        except Exception as error:
            failures.append(repr(error))

done = threading.Event()
thread = threading.Thread(target=copy_them)
thread.start()
x, y = regression()
for _ in range(2):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, y, epochs=30, verbose=0)
done.set()
thread.join()
print(failures[:3])
report(model)
