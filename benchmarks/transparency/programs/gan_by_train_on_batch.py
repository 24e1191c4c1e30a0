# fits 0, epochs 0, evaluations 0, on tensorflow jax torch
from common import *

generator = keras.Sequential([keras.Input((4,)), layers.Dense(8)])
discriminator = keras.Sequential([keras.Input((8,)), layers.Dense(1, activation="sigmoid")])
discriminator.compile("adam", "binary_crossentropy")
discriminator.trainable = False
both = keras.Sequential([keras.Input((4,)), generator, discriminator])
both.compile("adam", "binary_crossentropy")
for i in range(4):
    noise = np.random.rand(8, 4).astype("float32")
    fake = generator.predict(noise, verbose=0)
    print(discriminator.train_on_batch(np.concatenate([fake, fake + 1]), np.r_[np.zeros(8), np.ones(8)]))
    print(both.train_on_batch(noise, np.ones(8)))
report(both)
