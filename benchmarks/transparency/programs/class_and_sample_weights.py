# fits 2, epochs 4, evaluations 0, on tensorflow jax torch
from common import *

x, y = classes()
model = keras.Sequential([keras.Input((8,)), layers.Dense(3, activation="softmax")])
model.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
print(model.fit(x, y, class_weight={0: 1.0, 1: 2.0, 2: 0.5}, epochs=2, verbose=0).history)
print(model.fit(x, y, sample_weight=np.linspace(0, 1, len(x)), epochs=2, verbose=0).history)
report(model)
