"""Writes torch_fixtures.jsonl, one case a line: losses and their gradients as PyTorch has them.

Made with PyTorch 1.13.0 (Debian's python3-torch):

    /usr/bin/python3 tests/losses/make_fixtures.py
"""

import json
import pathlib

import torch
from torch.nn import functional as F

generator = torch.Generator().manual_seed(20240229)
cases = []


def rounded(x):
    """Few digits, so that the file stays small; exact in float32 after that."""
    return torch.round(x * 256) / 256


def normal(*shape):
    return rounded(2 * torch.randn(shape, generator=generator))


def uniform(*shape):
    return rounded(torch.rand(shape, generator=generator) * 0.96875 + 0.015625)


def classes(count, *shape):
    return torch.randint(0, count, shape, generator=generator)


def encode(x):
    if x.dtype == torch.int64:
        return {"dtype": "int32", "shape": list(x.shape), "data": x.flatten().tolist()}
    data = [float(f"{value:.8g}") for value in x.flatten().tolist()]
    return {"dtype": "float32", "shape": list(x.shape), "data": data}


def seed_for(value):
    """The gradient of the result: 0.5, 0.625, ..., 1.25 in turn."""
    steps = torch.arange(value.numel(), dtype=torch.float32) % 7
    return (0.5 + steps / 8).reshape(value.shape)


def case(loss, function, x, targets, by_targets=False, tensors=None, **options):
    """Calls for the reductions; `tensors` are options that are tensors."""
    tensors = tensors or {}
    reductions = ["none", "mean"]
    if all(one["loss"] != loss for one in cases):
        reductions.append("sum")
    if loss == "klDiv":
        reductions.append("batchmean")
    names = {
        "weights": "weight",
        "posWeight": "pos_weight",
        "ignoreIndex": "ignore_index",
        "labelSmoothing": "label_smoothing",
        "logTarget": "log_target",
    }
    given = {names.get(k, k): v for k, v in {**options, **tensors}.items()}
    for reduction in reductions:
        x = x.detach().requires_grad_()
        goal = targets.detach()
        if by_targets:
            goal.requires_grad_()
        value = function(x, goal, reduction=reduction, **given)
        inputs = [x, goal] if by_targets else [x]
        grads = torch.autograd.grad(value, inputs, seed_for(value))
        cases.append({
            "loss": loss,
            "x": encode(x.detach()),
            "targets": encode(goal.detach()),
            "options": {**options, "reduction": reduction},
            "tensors": {name: encode(tensor) for name, tensor in tensors.items()},
            "value": encode(value.detach()),
            "grads": [encode(g) for g in grads],
        })


def class_cases(loss, function, scores):
    smooth = loss == "crossEntropy"
    for shape in [(5, 3), (3,), (2, 3, 4), (2, 5, 3, 2)]:
        count = shape[1] if len(shape) > 1 else shape[0]
        rest = shape[:1] + shape[2:] if len(shape) > 1 else ()
        x = scores(*shape)
        targets = classes(count, *rest)
        weights = {"weights": uniform(count)}
        case(loss, function, x, targets)
        if len(shape) != 3:
            case(loss, function, x, targets, tensors=weights)
        if len(shape) % 2 == 0:
            some = targets.clone()
            some.view(-1)[::2] = -100
            case(loss, function, x, some, tensors=weights)
            case(loss, function, x, targets, ignoreIndex=1)
        if smooth:
            case(loss, function, x, targets, labelSmoothing=0.1)
            if len(shape) % 2 == 0:
                case(loss, function, x, targets, labelSmoothing=1.0, tensors=weights)
                case(loss, function, x, some, labelSmoothing=0.25, tensors=weights)


def log_probs(*shape):
    x = normal(*shape)
    return rounded(F.log_softmax(x, 1 if x.dim() > 1 else 0))


class_cases("crossEntropy", F.cross_entropy, normal)
class_cases("nll", F.nll_loss, log_probs)

for shape in [(3,), (2, 3, 5)]:
    axis = 1 if len(shape) > 1 else 0
    x, probs = normal(*shape), rounded(F.softmax(normal(*shape), axis))
    weights = {"weights": uniform(shape[axis])}
    case("crossEntropy", F.cross_entropy, x, probs, True)
    case("crossEntropy", F.cross_entropy, x, probs, True, weights, labelSmoothing=0.2)

for shape in [(2, 3, 5), ()]:
    x, probs, targets = normal(*shape), uniform(*shape), uniform(*shape)
    weights = {"weights": uniform(*shape[-1:])}
    case("bce", F.binary_cross_entropy, probs, targets, True)
    case("bce", F.binary_cross_entropy, probs, targets, False, weights)
    logits = F.binary_cross_entropy_with_logits
    both = {**weights, "posWeight": uniform(*shape[-1:])}
    case("bceWithLogits", logits, x, targets, True)
    case("bceWithLogits", logits, x, targets, False, weights)
    case("bceWithLogits", logits, x, targets, False, both)
    goal = normal(*shape)
    case("mse", F.mse_loss, x, goal, True)
    case("l1", F.l1_loss, x, goal, True)
    case("huber", F.huber_loss, x, goal, True)
    case("huber", F.huber_loss, x, goal, True, delta=2.5)
    case("smoothL1", F.smooth_l1_loss, x, goal, True)
    case("smoothL1", F.smooth_l1_loss, x, goal, True, beta=2.5)
    case("smoothL1", F.smooth_l1_loss, x, goal, True, beta=0.0)

# Certain answers, right and wrong: the logarithm's bound and the slope's.
certain = torch.tensor([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
case("bce", F.binary_cross_entropy, certain, torch.tensor([0.0, 1.0, 1.0, 0.0, 0.25, 0.25]))
huge = torch.tensor([0.0, 100.0, -100.0, 1e4, -1e4, 30.0])
for goal in [0.0, 1.0, 0.25]:
    case("bceWithLogits", F.binary_cross_entropy_with_logits, huge, torch.full((6,), goal))
big = torch.tensor([[1e4, 0.0, -1e4], [88.0, 89.0, 90.0], [-3e4, -3e4, -3e4]])
case("crossEntropy", F.cross_entropy, big, torch.tensor([2, 0, 1]))

for shape in [(2, 3, 5)]:
    # No 0 among them: its gradient is NaN in PyTorch.
    x, probs = log_probs(*shape), uniform(*shape)
    case("klDiv", F.kl_div, x, probs, True)
    case("klDiv", F.kl_div, x, log_probs(*shape), True, logTarget=True)
case("klDiv", F.kl_div, log_probs(2, 3), torch.tensor([[0.0, 0.25, 0.75], [1.0, 0.0, 0.0]]))

path = pathlib.Path(__file__).parent / "torch_fixtures.jsonl"
lines = [json.dumps(one, allow_nan=False) + "\n" for one in cases]
path.write_text("".join(lines))
print(f"{len(cases)} cases, {path.stat().st_size} bytes, PyTorch {torch.__version__}")
