# fits 0, epochs 0, evaluations 0, on torch
from common import *

import torch
model = keras.Sequential([keras.Input((8,)), layers.Dense(4, activation="relu"), layers.Dense(1)])
optimizer = keras.optimizers.Adam(0.01)
x, y = regression()
for i in range(6):
    model.zero_grad()
    loss = torch.mean((model(x)[:, 0] - torch.tensor(y)) ** 2)
    loss.backward()
    with torch.no_grad():
        optimizer.apply([v.value.grad for v in model.trainable_weights], model.trainable_weights)
    print(loss.item())
report(model)
