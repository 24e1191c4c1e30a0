# fits 3, epochs 3, evaluations 0, on tensorflow jax torch
from common import *

import copy, pickle
x, y = regression()
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(x, y, verbose=0)
for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
    print(other.fit(x, y, verbose=0).history, other.optimizer is model.optimizer)
print(pickle.loads(pickle.dumps(keras.Model.fit)) is not None, copy.copy(model.fit) is not None)
report(model)
