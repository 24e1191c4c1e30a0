# fits 1, epochs 2, evaluations 1, on tensorflow jax torch
from common import *

left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
joined = layers.concatenate([layers.Dense(8)(left), layers.Dense(8)(right)])
outputs = {"value": layers.Dense(1, name="value")(joined), "kind": layers.Dense(3, activation="softmax", name="kind")(joined)}
model = keras.Model({"left": left, "right": right}, outputs)
model.compile("adam", {"value": "mse", "kind": "sparse_categorical_crossentropy"}, metrics={"kind": ["accuracy"]}, loss_weights={"value": 0.5, "kind": 1.0})
x, kinds = classes()
inputs, targets = {"left": x[:, :4], "right": x[:, 4:]}, {"value": x.sum(1), "kind": kinds}
print(model.fit(inputs, targets, epochs=2, batch_size=16).history)
print(model.evaluate(inputs, targets, return_dict=True, verbose=0))
report(model)
