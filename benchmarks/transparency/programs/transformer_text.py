# fits 1, epochs 2, evaluations 0, on tensorflow jax torch
from common import *

tokens = np.random.randint(0, 50, (64, 10))
labels = (tokens.sum(1) > 245).astype("float32")
inputs = keras.Input((10,), dtype="int32")
x = layers.Embedding(50, 16)(inputs)
x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 8, dropout=0.1)(x, x))
x = layers.GlobalAveragePooling1D()(layers.Dense(16, activation="gelu")(x))
model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
model.compile(keras.optimizers.AdamW(0.01, weight_decay=0.01), "binary_crossentropy", metrics=[keras.metrics.AUC(name="auc")])
print(model.fit(tokens, labels, epochs=2, verbose=2).history)
report(model)
