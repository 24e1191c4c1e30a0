# fits 1, epochs 2, evaluations 1, on tensorflow jax torch
from common import *

x = np.random.rand(64, 12, 12, 3).astype("float32")
y = (x.mean((1, 2, 3)) * 100).astype("int32") % 4
model = keras.Sequential([keras.Input((12, 12, 3)), layers.RandomFlip(seed=1), layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization(), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(4)])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
print(model.fit(x, y, epochs=2, verbose=2).history)
print(model.evaluate(x, y, verbose=0))
report(model)
