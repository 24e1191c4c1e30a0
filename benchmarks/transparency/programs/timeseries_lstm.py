# fits 1, epochs 2, evaluations 1, on tensorflow jax torch
from common import *

series = np.sin(np.arange(120) / 5).astype("float32")
x = np.stack([series[i:i + 10] for i in range(100)])[..., None]
y = series[10:110]
model = keras.Sequential([keras.Input((10, 1)), layers.LSTM(6, dropout=0.2), layers.Dense(1)])
model.compile(keras.optimizers.RMSprop(0.01, rho=0.8), "mse")
print(model.fit(x, y, epochs=2, shuffle=False, batch_size=10, verbose=2).history)
print(model.evaluate(x, y, batch_size=50, verbose=0))
report(model)
