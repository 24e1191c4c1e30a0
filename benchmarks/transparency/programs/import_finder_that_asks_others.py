# fits 1, epochs 1, evaluations 0, on tensorflow jax torch
import sys

class Asking:
    def find_spec(self, name, path=None, target=None):
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                found = finder.find_spec(name, path, target)
                if found is not None:
                    seen.append(name)
                    return found

seen = []
sys.meta_path.insert(0, Asking())
from common import *

model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile("sgd", "mse")
print(model.fit(*regression(), verbose=0).history)
print("keras" in seen, "numpy" in seen)
