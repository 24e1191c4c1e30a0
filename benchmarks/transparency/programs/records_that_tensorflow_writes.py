# fits 1, epochs 1, evaluations 0, on tensorflow
from common import *

import tensorflow as tf

x, y = regression()
np.savez("raw.npz", x=x, y=y)
with np.load("raw.npz") as raw:
    x, y = raw["x"], raw["y"]
write = tf.io.TFRecordWriter("rows.tfrecord").write
for row in x:
    write(tf.io.serialize_tensor(row).numpy())
del write
rows = tf.data.TFRecordDataset("rows.tfrecord").map(lambda one: tf.io.parse_tensor(one, tf.float32))
print(sum(float(tf.reduce_sum(row)) for row in rows))
feed = tf.data.Dataset.from_tensor_slices((x, y)).batch(16).cache("kept")
print([part.shape for part in next(iter(feed))], sorted(vars(tf.io.TFRecordWriter)))
tf.io.gfile.copy("raw.npz", "copy.npz")
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile("sgd", "mse")
print(model.fit(feed, verbose=0).history)
for name in tf.io.gfile.glob("kept*"):
    os.remove(name)  # an archive of TensorFlow's holds times
report(model)
