# fits 3, epochs 6, evaluations 0, on tensorflow jax
from common import *

x, y = regression()
for settings in ({"steps_per_execution": 2}, {"run_eagerly": True}, {"jit_compile": True}):
    if settings == {"jit_compile": True} and keras.backend.backend() == "torch":
        settings = {"jit_compile": False}
    model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
    model.compile("sgd", "mse", **settings)
    print(model.fit(x, y, epochs=2, shuffle=False, verbose=0).history)
report(model)
