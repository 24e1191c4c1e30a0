# fits 2, epochs 4, evaluations 1, on tensorflow jax torch
from common import *

from collections import Counter

asked = Counter()

class Asked:
    """Counts whatever it is asked for."""

    __slots__ = ("__dict__", "__weakref__", "place")

    def __init__(self, place):
        object.__setattr__(self, "place", place)

    def __getattr__(self, name):
        asked[self.place, name] += 1
        raise AttributeError(name)

def counting(name):
    method = getattr(object, name, None)
    answers = {"__bool__": True, "__len__": 1, "__hash__": 1, "__eq__": False, "__float__": 1.0}

    def count(self, *args):
        asked[self.place, name] += 1
        return answers[name] if name in answers else method(self, *args) if method else iter(())

    return count

for name in "__eq__", "__bool__", "__len__", "__hash__", "__repr__", "__str__", "__iter__", "__float__":
    setattr(Asked, name, counting(name))
del Asked.__float__

class Callback(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.one, self.several = Asked("callback"), [1, Asked("callback's list")]
        self.by_name = {"a": Asked("callback's dictionary")}

    def __getattr__(self, name):
        asked["callback itself", name] += 1
        raise AttributeError(name)

    def on_epoch_end(self, epoch, logs):
        logs["odd"] = Asked("logs")

class Layer(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.one, self.units = Asked("layer"), Asked("layer's units")
        self.activation, self.rate = Asked("layer's activation"), Asked("layer's rate")

    def call(self, x):
        return x * 2.0

class Pairs(keras.utils.PyDataset):
    kept = Asked("input's attribute")

    def __getattr__(self, name):
        if not name.startswith("__"):
            asked["input", name] += 1
        raise AttributeError(name)

    def __len__(self):
        asked["input", "len"] += 1
        return 4

    def __getitem__(self, i):
        return tuple(part[i * 16 : i * 16 + 16] for part in regression())

x, y = regression()
model = keras.Sequential([keras.Input((8,)), Layer(), layers.Dense(1)])
model.note = Asked("model")
optimizer = keras.optimizers.SGD(0.1)
optimizer.note = Asked("optimizer")
model.compile(optimizer, "mse")
for feed in {"x": x, "y": y}, {"x": Pairs()}:
    model.fit(**feed, epochs=2, verbose=0, callbacks=[Callback()])
model.evaluate(Pairs(), verbose=0)
model.save_weights("model.weights.h5")
for (place, name), count in sorted(asked.items()):
    print(place, name, count)
