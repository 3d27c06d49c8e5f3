"""One training step of the siamese network, in PyTorch."""

import torch
from torch.nn import functional as F

PARAMETERS = 14


class Siamese:
    """Trains on one batch again and again; returns the loss of each step.

    The inputs are the parameters, then the two images, their two digits, and
    the target. With `double` it computes in float64, for the fixtures.
    """

    def __init__(self, *inputs, dropout, steps=1, double=False):
        kind = torch.float64 if double else torch.float32
        parts = [part.to(kind) for part in inputs]
        self.parameters = [part.requires_grad_() for part in parts[:PARAMETERS]]
        self.first, self.second = parts[PARAMETERS : PARAMETERS + 2]
        self.target = parts[-1]
        digits = inputs[PARAMETERS + 2 : PARAMETERS + 4]
        self.digits = [digit.long() for digit in digits]
        self.dropout, self.steps = dropout, steps
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3)

    def drop(self, x):
        return F.dropout(x, self.dropout) if self.dropout > 0 else x

    def branch(self, x):
        w1, b1, w2, b2, w3, b3, w4, b4 = self.parameters[:8]
        y = self.drop(F.leaky_relu(F.conv2d(x, w1, b1)))
        y = self.drop(F.leaky_relu(F.conv2d(y, w2, b2)))
        y = F.max_pool2d(y, 2).flatten(1)
        y = self.drop(F.leaky_relu(torch.addmm(b3, y, w3)))
        return torch.addmm(b4, y, w4)

    def loss(self):
        w1, b1, w2, b2, w3, b3 = self.parameters[8:]
        first, second = self.branch(self.first), self.branch(self.second)
        y = torch.cat((first, second), 1)
        y = self.drop(F.leaky_relu(torch.addmm(b1, y, w1)))
        y = F.leaky_relu(torch.addmm(b2, y, w2))
        y = torch.sigmoid(torch.addmm(b3, y, w3))
        return (
            F.cross_entropy(first, self.digits[0]) / 4
            + F.cross_entropy(second, self.digits[1]) / 4
            + F.binary_cross_entropy(y, self.target) / 2
        )

    def __call__(self):
        losses = []
        for _ in range(self.steps):
            loss = self.loss()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss)
        return losses
