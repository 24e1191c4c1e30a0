# fits 6, epochs 6, evaluations 0, on tensorflow jax torch
from common import *

model = keras.Sequential([keras.Input((2,)), layers.Dense(8, activation="relu"), layers.Dense(2)])
model.compile(keras.optimizers.Adam(0.01), "mse")
state, memory = np.zeros(2, "float32"), []
for step in range(24):
    values = model.predict(state[None], verbose=0)[0]
    action = int(values.argmax()) if np.random.rand() > 0.2 else np.random.randint(2)
    following = state + (0.1 if action else -0.1)
    memory.append((state, action, float(-abs(following).sum()), following))
    state = following.astype("float32")
    if step % 4 == 3:
        states = np.stack([m[0] for m in memory]).astype("float32")
        targets = np.array(model.predict_on_batch(states))
        for i, (_, a, reward, _) in enumerate(memory):
            targets[i, a] = reward
        print(model.fit(states, targets, verbose=0).history)
report(model)
