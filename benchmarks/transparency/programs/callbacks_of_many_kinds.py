# fits 1, epochs 6, evaluations 0, on tensorflow jax torch
from common import *

model = keras.Sequential([keras.Input((8,)), layers.Dense(4), layers.Dense(1)])
model.compile(keras.optimizers.SGD(0.05), "mse")
x, y = regression()
print(model.fit(x, y, validation_split=0.2, epochs=6, verbose=2, callbacks=[
    keras.callbacks.CSVLogger("log.csv"),
    keras.callbacks.ModelCheckpoint("best.weights.h5", save_best_only=True, save_weights_only=True),
    keras.callbacks.ReduceLROnPlateau(patience=1, min_delta=10, verbose=1),
    keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
    keras.callbacks.EarlyStopping(patience=50, restore_best_weights=True),
    keras.callbacks.TerminateOnNaN(),
    keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(sorted(logs))),
]).history)
report(model)
