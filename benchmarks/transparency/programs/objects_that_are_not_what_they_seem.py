# fits 2, epochs 4, evaluations 1, on tensorflow jax torch
from common import *

import weakref

class OutOfContext:
    """As werkzeug's, celery's or ray's proxies are, where nothing is bound to them."""

    def _raise(self, *args):
        raise RuntimeError("working outside of the context")

    __getattr__ = __len__ = __bool__ = __iter__ = __eq__ = __repr__ = __str__ = _raise
    __float__ = __int__ = __index__ = __getitem__ = __call__ = _raise
    __class__ = property(_raise)
    __dict__ = property(_raise)
    __hash__ = object.__hash__

def lying(cls):
    class Lying:
        __class__ = property(lambda self: cls)

    return Lying()

class Gone:
    pass

LIES = [lying(cls) for cls in (int, float, str, list, dict, bool, type, keras.Model, np.ndarray)]
ODD = [OutOfContext(), weakref.proxy(Gone()), *LIES]

class Slots(keras.callbacks.Callback):
    __slots__ = ("monitor", "patience", "unset")

    def __init__(self):
        super().__init__()
        self.monitor, self.patience = ODD[0], ODD[1]

class Callback(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.everything = ODD
        for number, one in enumerate(ODD):
            setattr(self, f"odd_{number}", one)

    def on_epoch_end(self, epoch, logs):
        for number, one in enumerate(ODD):
            logs[f"odd_{number}"] = one

    on_test_end = lambda self, logs=None: None

class Layer(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        for number, one in enumerate(ODD[:1] + ODD[2:5]):
            object.__setattr__(self, f"odd_{number}", one)
        for name in "units", "activation", "rate", "filters":
            object.__setattr__(self, name, ODD[0])

    def call(self, x):
        return x * 2.0

class Steps(keras.utils.PyDataset):
    sampler = dataset = batch_size = ODD[0]

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return tuple(part[i * 16 : i * 16 + 16] for part in regression())

x, y = regression()
model = keras.Sequential([keras.Input((8,)), Layer(), layers.Dense(1)])
optimizer = keras.optimizers.SGD(0.1)
for name in "inner_optimizer", "note":
    object.__setattr__(optimizer, name, ODD[0])
model.compile(optimizer, "mse")
for feed in {"x": x, "y": y}, {"x": Steps()}:
    history = model.fit(**feed, epochs=2, verbose=0, callbacks=[Slots(), Callback()])
    print(sorted(history.history)[:2], len(history.history["odd_0"]))
print(len(model.evaluate(Steps(), verbose=0, return_dict=True)))
