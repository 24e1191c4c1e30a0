# fits 1, epochs 2, evaluations 1, on tensorflow torch
from common import *

import pandas as pd
frame = pd.DataFrame(np.random.rand(80, 8).astype("float32"), columns=list("abcdefgh"))
target = frame.pop("h")
normal = layers.Normalization()
normal.adapt(frame.to_numpy())
model = keras.Sequential([keras.Input((7,)), normal, layers.Dense(8, activation="relu"), layers.Dense(1)])
model.compile("adam", "mse", metrics=["mae"])
print(model.fit(frame, target, epochs=2, verbose=0).history)
print(model.evaluate(frame, target, verbose=0))
report(model)
