# fits 2, epochs 2, evaluations 0, on tensorflow jax torch
from common import *

import multiprocessing
def work(seed):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = regression()
    print(model.fit(x, y, verbose=0).history, flush=True)
if __name__ == "__main__":
    for seed in (1, 2):
        child = multiprocessing.get_context("spawn").Process(target=work, args=(seed,))
        child.start(); child.join(); print(child.exitcode)
