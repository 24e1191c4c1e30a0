# fits 0, epochs 0, evaluations 0, on jax
from common import *

import jax
model = keras.Sequential([keras.Input((8,)), layers.Dense(4, activation="relu"), layers.Dense(1)])
optimizer = keras.optimizers.Adam(0.01)
optimizer.build(model.trainable_variables)
x, y = regression()
def loss(trainable, other, x, y):
    prediction, other = model.stateless_call(trainable, other, x)
    return ((prediction[:, 0] - y) ** 2).mean(), other
@jax.jit
def step(state, x, y):
    trainable, other, own = state
    (value, other), gradients = jax.value_and_grad(loss, has_aux=True)(trainable, other, x, y)
    trainable, own = optimizer.stateless_apply(own, gradients, trainable)
    return value, (trainable, other, own)
state = tuple([v.value for v in some] for some in (model.trainable_variables, model.non_trainable_variables, optimizer.variables))
for i in range(8):
    value, state = step(state, x, y)
    print(float(value))
for variable, value in zip(model.trainable_variables, state[0]):
    variable.assign(value)
report(model)
