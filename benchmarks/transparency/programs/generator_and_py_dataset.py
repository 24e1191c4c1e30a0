# fits 2, epochs 4, evaluations 1, on tensorflow jax torch
from common import *

x, y = regression()
def endless():
    while True:
        for i in range(0, 64, 16):
            yield x[i:i + 16], y[i:i + 16]
class Batches(keras.utils.PyDataset):
    def __len__(self): return 4
    def __getitem__(self, i): return x[16 * i:16 * i + 16], y[16 * i:16 * i + 16]
    def on_epoch_end(self): print("the dataset's epoch ends")
model = keras.Sequential([keras.Input((8,)), layers.Dense(1)])
model.compile("adam", "mse")
print(model.fit(endless(), steps_per_epoch=4, epochs=2, verbose=0).history)
print(model.fit(Batches(), epochs=2, verbose=0, shuffle=False).history)
print(model.evaluate(Batches(), verbose=0))
report(model)
