# fits 0, epochs 0, evaluations 0, on tensorflow
from common import *

import tensorflow as tf
model = keras.Sequential([keras.Input((2,)), layers.Dense(8, activation="tanh"), layers.Dense(2)])
optimizer = keras.optimizers.Adam(0.05)
@tf.function
def update(states, actions, rewards):
    with tf.GradientTape() as tape:
        logits = model(states)
        chosen = tf.reduce_sum(tf.nn.log_softmax(logits) * tf.one_hot(actions, 2), 1)
        loss = -tf.reduce_mean(chosen * rewards)
    optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
    return loss
for _ in range(10):
    states = tf.random.uniform((16, 2))
    actions = tf.random.categorical(model(states), 1)[:, 0]
    print(float(update(states, actions, tf.cast(actions, tf.float32))))
report(model)
