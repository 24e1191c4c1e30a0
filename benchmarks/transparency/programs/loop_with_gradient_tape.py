# fits 0, epochs 0, evaluations 0, on tensorflow
from common import *

import tensorflow as tf
model = keras.Sequential([keras.Input((8,)), layers.Dense(4, activation="relu"), layers.Dense(1)])
optimizer, loss = keras.optimizers.SGD(0.01, momentum=0.9), keras.losses.MeanSquaredError()
metric = keras.metrics.MeanSquaredError()
x, y = regression()
for epoch in range(2):
    for i in range(0, 64, 16):
        with tf.GradientTape() as tape:
            value = loss(y[i:i + 16, None], model(x[i:i + 16], training=True))
        optimizer.apply_gradients(zip(tape.gradient(value, model.trainable_weights), model.trainable_weights))
        metric.update_state(y[i:i + 16, None], model(x[i:i + 16]))
    print(epoch, float(value), float(metric.result()))
    metric.reset_state()
report(model)
