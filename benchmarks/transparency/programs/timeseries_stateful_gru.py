# fits 3, epochs 3, evaluations 0, on tensorflow jax
from common import *

x = np.random.rand(8, 5, 2).astype("float32")
y = x.sum((1, 2))
model = keras.Sequential([keras.Input(batch_shape=(4, 5, 2)), layers.GRU(3, stateful=True), layers.Dense(1)])
model.compile("sgd", "mse")
for i in range(3):
    print(model.fit(x, y, epochs=1, batch_size=4, shuffle=False, verbose=0).history)
    model.layers[0].reset_state() if hasattr(model.layers[0], "reset_state") else model.layers[0].reset_states()
report(model)
