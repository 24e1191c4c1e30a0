# fits 2, epochs 4, evaluations 0, on tensorflow jax torch
from common import *

x, y = regression()
for schedule in (keras.optimizers.schedules.CosineDecay(0.1, 10), keras.optimizers.schedules.PiecewiseConstantDecay([3, 6], [0.1, 0.01, 0.001])):
    model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(schedule), "mse")
    print(model.fit(x, y, epochs=2, verbose=0).history, float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)))
report(model)
