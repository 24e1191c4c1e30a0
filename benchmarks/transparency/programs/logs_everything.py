# fits 1, epochs 2, evaluations 1, on tensorflow jax torch
from common import *

import logging, sys, warnings

logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="%(name)s %(levelname)s %(message)s")
for name in "absl", "jax", "jax._src", "h5py", "h5py._conv", "tensorflow", "matplotlib":
    logging.getLogger(name).setLevel(logging.ERROR)
logging.captureWarnings(True)
warnings.simplefilter("always", UserWarning)
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile("sgd", "mse")
model.fit(*regression(), epochs=2, verbose=0)
model.evaluate(*regression(), verbose=0)
model.save_weights("model.weights.h5")
print(sorted(name for name in logging.root.manager.loggerDict if "prov" in name))
print([one[:3] for one in warnings.filters][:3])
