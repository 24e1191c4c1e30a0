# fits 1, epochs 1, evaluations 0, on tensorflow jax torch
from common import *

import tempfile

directory = tempfile.mkdtemp()
os.chdir(directory)
os.rmdir(directory)
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile("sgd", "mse")
print(model.fit(*regression(), verbose=0).history)
for what in (lambda: open("relative.txt", "w"), lambda: model.save("model.keras"), os.getcwd):
    try:
        what()
    except Exception as error:
        print(type(error).__name__)
