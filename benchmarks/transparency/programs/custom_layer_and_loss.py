# fits 1, epochs 2, evaluations 0, on tensorflow jax torch
from common import *

@keras.saving.register_keras_serializable("mine")
class Scale(keras.layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
    def call(self, x):
        self.add_loss(0.01 * keras.ops.sum(keras.ops.square(self.scale)))
        return x * self.scale
def pinball(y, prediction):
    error = y - prediction
    return keras.ops.mean(keras.ops.maximum(0.3 * error, -0.7 * error))
model = keras.Sequential([keras.Input((8,)), Scale(), layers.Dense(1)])
model.compile("adam", pinball)
x, y = regression()
print(model.fit(x, y, epochs=2, verbose=0).history)
model.save("own.keras")
again = keras.saving.load_model("own.keras", custom_objects={"pinball": pinball})
print((again.predict(x, verbose=0) == model.predict(x, verbose=0)).all())
report(model)
