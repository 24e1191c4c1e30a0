# fits 1, epochs 1, evaluations 0, on tensorflow jax torch
from common import *

import inspect
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
for name in ("compile", "fit", "evaluate", "predict", "train_on_batch", "save"):
    method = getattr(keras.Model, name)
    print(name, inspect.signature(method), method.__qualname__, method.__module__, inspect.isfunction(method), bool(inspect.getdoc(method)), inspect.getsourcefile(method).split("/")[-1])
print(type(keras.optimizers.SGD.learning_rate).__name__, inspect.ismethod(model.fit), model.fit == model.fit)
model.compile("sgd", "mse")
x, y = regression()
model.fit(x, y, verbose=0)
print(sorted(vars(model.history)), sorted(k for k in vars(model) if "prov" in k))
report(model)
