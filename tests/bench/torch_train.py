# SPDX-License-Identifier: MIT
"""The mission's networks in PyTorch: images per second of training, as bench_train says it."""
import sys
import time

import torch
from torch import nn

BATCH = 32


class Cell(nn.Module):
    """Keras's LSTM with relu, as torch has none: one step after the other."""

    def __init__(self, features, units):
        super().__init__()
        self.x = nn.Linear(features, 4 * units)
        self.h = nn.Linear(units, 4 * units, bias=False)
        self.units = units

    def forward(self, x):
        h = c = x.new_zeros(x.shape[0], self.units)
        all_x, states = self.x(x), []
        for t in range(x.shape[1]):
            i, f, g, o = (all_x[:, t] + self.h(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.relu()
            h = o.sigmoid() * c.relu()
            states.append(h)
        return torch.stack(states, 1)


class Rnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(Cell(28, 64), Cell(64, 64))
        self.last = nn.Linear(64, 10)

    def forward(self, x):
        return self.last(self.layers(x)[:, -1])


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(28, 32)
        self.q, self.k, self.v = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 32)
        self.head = nn.Sequential(nn.Linear(28 * 32, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x):
        x = self.embed(x)
        p = (self.q(x) @ self.k(x).transpose(1, 2) / 32 ** 0.5).softmax(-1)
        return self.head((p @ self.v(x)).flatten(1))


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1600, 64), nn.ReLU(), nn.Linear(64, 10))


def bench(name, model, shape, seconds):
    x = torch.rand(BATCH, *shape)
    y = torch.arange(BATCH) % 10
    if name == "cnn":
        model = model.to(memory_format=torch.channels_last)
        x = x.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, eps=1e-7, fused=True)
    rates = []
    for turn in range(6):
        begin, steps = time.monotonic(), 0
        while time.monotonic() - begin < seconds / 5:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            steps += 1
        if turn:
            rates.append(steps * BATCH / (time.monotonic() - begin))
    rates.sort()
    print(f"{name:<10} {rates[2]:8.0f} {rates[0]:8.0f} {rates[4]:8.0f}")


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    bench("cnn", cnn(), (1, 28, 28), seconds)
    bench("rnn", Rnn(), (28, 28), seconds)
    bench("attention", Attention(), (28, 28), seconds)


main()
