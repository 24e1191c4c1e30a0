# fits 1, epochs 2, evaluations 1, on tensorflow
from common import *

import tensorflow as tf
x, y = regression()
train = tf.data.Dataset.from_tensor_slices((x, y)).cache().shuffle(64, seed=1).map(lambda a, b: (a * 2, b)).batch(16, drop_remainder=True).prefetch(2)
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile("adam", "mse")
print(model.fit(train, epochs=2, validation_data=train.take(1), verbose=2).history)
print(model.evaluate(train, verbose=0))
report(model)
