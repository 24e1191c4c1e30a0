# fits 2, epochs 3, evaluations 1, on tensorflow jax
from common import *

from decimal import Decimal

class Log(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs):
        logs["decimal"], logs["huge"], logs["text"] = Decimal("0.25"), 10**400, "3.5"

x, y = regression()
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile(keras.optimizers.Adam(np.float64(0.01)), "mse", steps_per_execution=np.int64(1))
print(model.fit(
    x, y, epochs=np.int64(2), batch_size=np.int64(16), validation_split=np.float32(0.25),
    shuffle=np.bool_(False), verbose=0, callbacks=[Log()],
).history)
print(model.evaluate(x, y, batch_size=np.int64(8), verbose=0))
model.fit(x, y, epochs=np.int64(5), initial_epoch=np.int64(4), steps_per_epoch=np.int64(3), verbose=0)
report(model)
