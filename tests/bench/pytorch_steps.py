"""Training steps of an MLP and of a recurrence, in PyTorch."""

import torch
from torch.nn import functional as F


class Mlp:
    """Trains on one batch again and again; returns the loss of each step.

    The inputs are the parameters, then the images and their digits. With
    `double` it computes in float64, for the fixtures.
    """

    def __init__(self, *inputs, steps=1, double=False):
        kind = torch.float64 if double else torch.float32
        parts = [part.to(kind) for part in inputs[:-1]]
        self.parameters = [part.requires_grad_() for part in parts[:-1]]
        self.images, self.digits = parts[-1], inputs[-1].long()
        self.steps = steps
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3)

    def loss(self):
        w1, b1, w2, b2, w3, b3 = self.parameters
        y = torch.relu(torch.addmm(b1, self.images, w1))
        y = torch.relu(torch.addmm(b2, y, w2))
        return F.cross_entropy(torch.addmm(b3, y, w3), self.digits)

    def __call__(self):
        losses = []
        for _ in range(self.steps):
            loss = self.loss()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss)
        return losses


class Recurrence:
    """Trains the weight of a recurrence; returns the loss, and the weight.

    The inputs are the weight, the first state, and what is added in each step.
    """

    def __init__(self, weight, state, inputs, *, rate):
        self.weight = weight.requires_grad_()
        self.state, self.inputs = state, inputs.unbind()
        self.optimizer = torch.optim.SGD([self.weight], lr=rate)

    def __call__(self):
        state = self.state
        for x in self.inputs:
            state = torch.tanh(torch.addmm(x, state, self.weight))
        loss = state.square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return [loss, self.weight]
