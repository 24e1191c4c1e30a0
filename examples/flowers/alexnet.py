"""AlexNet on pictures of flowers.

    python alexnet.py [--activation relu] [--learning-rate 0.001] [--dropout 0.4] [--epochs 10] …

Pictures of less than 128 pixels get a network whose first step is finer and whose dense layers are
narrower, so that something is left of them at its end.
"""

import keras
from flowers import arguments, load, train

given = arguments()
keras.utils.set_random_seed(given.seed)
training, validation, test = load(given.data)
size = training[0].shape[1]
classes = int(training[1].max()) + 1
stride, units = (4, 4096) if size >= 128 else (2, 512)

layers = keras.layers
model = keras.Sequential(
    [
        keras.Input((size, size, 3)),
        layers.Conv2D(96, 11, strides=stride, activation=given.activation, padding="same"),
        layers.MaxPooling2D(3, strides=2),
        layers.BatchNormalization(),
        layers.Conv2D(256, 5, activation=given.activation, padding="same"),
        layers.MaxPooling2D(3, strides=2),
        layers.BatchNormalization(),
        layers.Conv2D(384, 3, activation=given.activation, padding="same"),
        layers.Conv2D(384, 3, activation=given.activation, padding="same"),
        layers.Conv2D(256, 3, activation=given.activation, padding="same"),
        layers.MaxPooling2D(3, strides=2),
        layers.Flatten(),
        layers.Dense(units, activation=given.activation),
        layers.Dropout(given.dropout),
        layers.Dense(units, activation=given.activation),
        layers.Dropout(given.dropout),
        layers.Dense(classes, activation="softmax"),
    ],
    name="alexnet",
)
train(model, given, training, validation, test)
