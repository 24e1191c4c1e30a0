"""DenseNet-121, its base frozen, with a head that learns kinds of flowers.

    python densenet.py [--activation relu] [--learning-rate 0.001] [--dropout 0.4] [--epochs 10] …

The base has the weights of ImageNet if Keras has fetched them before; nothing is fetched here.
Otherwise it has random ones, and the program says so: then its accuracy tells little.
"""

import os
from pathlib import Path

import keras
from flowers import arguments, load, train

WEIGHTS = "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5"

given = arguments()
keras.utils.set_random_seed(given.seed)
training, validation, test = load(given.data)
size = training[0].shape[1]
classes = int(training[1].max()) + 1

home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
is_there = (home / "models" / WEIGHTS).is_file()
print("the base has the weights of ImageNet" if is_there else "the base has random weights")
base = keras.applications.DenseNet121(
    include_top=False,
    weights="imagenet" if is_there else None,
    input_shape=(size, size, 3),
    pooling="avg",
)
base.trainable = False

inputs = keras.Input((size, size, 3))
hidden = base(inputs, training=False)
hidden = keras.layers.Dense(256, activation=given.activation)(hidden)
hidden = keras.layers.Dropout(given.dropout)(hidden)
outputs = keras.layers.Dense(classes, activation="softmax")(hidden)
model = keras.Model(inputs, outputs, name="densenet")
train(model, given, training, validation, test)
