# fits 3, epochs 3, evaluations 1, on tensorflow jax torch
from common import *

x, y = regression()
model = keras.Sequential([keras.Input((8,)), layers.Dense(4, name="hidden"), layers.Dense(1)])
model.compile(keras.optimizers.Adam(0.02, beta_1=0.8), "mse", metrics=["mae"])
model.fit(x, y, verbose=0)
model.save("model.keras")
model.save_weights("model.weights.h5")
loaded = keras.saving.load_model("model.keras")
print(loaded.optimizer.get_config())
print(loaded.fit(x, y, verbose=0).history)
clone = keras.models.clone_model(loaded)
clone.load_weights("model.weights.h5")
clone.compile("sgd", "mse")
print(clone.fit(x, y, verbose=0).history, clone.evaluate(x, y, verbose=0))
report(clone)
