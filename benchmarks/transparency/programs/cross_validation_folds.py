# fits 4, epochs 8, evaluations 4, on tensorflow jax torch
from common import *

x, y = regression()
scores = []
for fold in range(4):
    keras.backend.clear_session()
    keras.utils.set_random_seed(fold)
    held = np.arange(64) % 4 == fold
    model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(x[~held], y[~held], epochs=2, verbose=0)
    scores.append(model.evaluate(x[held], y[held], verbose=0))
print(scores)
report(model)
