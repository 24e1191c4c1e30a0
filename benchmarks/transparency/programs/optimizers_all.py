# fits 10, epochs 10, evaluations 0, on tensorflow jax torch
from common import *

x, y = regression()
for name in ("SGD", "Adam", "AdamW", "Adamax", "Nadam", "RMSprop", "Adagrad", "Adadelta", "Ftrl", "Lion"):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
    model.compile(getattr(keras.optimizers, name)(), "mse")
    print(name, model.fit(x, y, verbose=0).history, model.optimizer.name)
report(model)
