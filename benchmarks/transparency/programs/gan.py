# fits 1, epochs 2, evaluations 0, on tensorflow
from common import *

class GAN(keras.Model):
    def __init__(self):
        super().__init__()
        self.generator = keras.Sequential([keras.Input((4,)), layers.Dense(8)])
        self.discriminator = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
        self.seed = keras.random.SeedGenerator(3)
        self.built = True
    def compile(self, d_optimizer, g_optimizer):
        super().compile()
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer
    def train_step(self, real):
        real = real[0] if isinstance(real, tuple) else real
        noise = keras.random.normal((8, 4), seed=self.seed)
        with tf.GradientTape() as tape:
            fake, true = self.discriminator(self.generator(noise)), self.discriminator(real)
            d_loss = tf.reduce_mean(tf.nn.softplus(fake)) + tf.reduce_mean(tf.nn.softplus(-true))
        weights = self.discriminator.trainable_weights
        self.d_optimizer.apply_gradients(zip(tape.gradient(d_loss, weights), weights))
        with tf.GradientTape() as tape:
            g_loss = tf.reduce_mean(tf.nn.softplus(-self.discriminator(self.generator(noise))))
        weights = self.generator.trainable_weights
        self.g_optimizer.apply_gradients(zip(tape.gradient(g_loss, weights), weights))
        return {"d_loss": d_loss, "g_loss": g_loss}
import tensorflow as tf
model = GAN()
model.compile(keras.optimizers.Adam(0.001), keras.optimizers.Adam(0.002))
print(model.fit(np.random.rand(64, 8).astype("float32"), epochs=2, batch_size=8, verbose=2).history)
report(model)
