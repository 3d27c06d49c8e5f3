"""Writes the fixtures of tests/nn: values and gradients from PyTorch 1.13.

Run with `python3 tests/nn/make_fixtures.py`; `deno fmt tests/nn` afterwards.
"""

import json
import math
import pathlib

import torch
from torch import nn

FOLDER = pathlib.Path(__file__).parent / "fixtures"


def plain(x):
    """A tensor as its shape and its numbers, in as few digits as float32 has.

    The numbers are one string: a formatter would put each on a line.
    """
    return {"shape": list(x.shape), "data": joined(x)}


def joined(x):
    return " ".join(str(v) for v in x.detach().reshape(-1).numpy())


def write(name, value):
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(value, separators=(",", ":"))
    (FOLDER / f"{name}.json").write_text(text + "\n")


def layer_case(name, layer, *shapes, ids=None):
    """Forward twice (statistics move), then the gradients of the second."""
    inputs = [torch.randn(*shape) for shape in shapes] if ids is None else ids
    state = {k: plain(v) for k, v in layer.state_dict().items()}
    if ids is None:
        inputs[-1].requires_grad_()
    for x in inputs:
        output = layer(x)
    seed = torch.randn(*output.shape)
    (output * seed).sum().backward()
    grads = {k: plain(p.grad) for k, p in layer.named_parameters()}
    after = {k: plain(v) for k, v in layer.state_dict().items()}
    return {
        "name": name,
        "state": state,
        "inputs": [plain(x) for x in inputs],
        "output": plain(output),
        "seed": plain(seed),
        "inputGrad": None if ids is not None else plain(inputs[-1].grad),
        "grads": grads,
        "after": after,
    }


def evaluated(layer, channels):
    layer.running_mean.copy_(torch.randn(channels))
    layer.running_var.copy_(torch.rand(channels) + 0.5)
    return layer.eval()


def layers():
    torch.manual_seed(0)
    image = (2, 4, 5, 6)
    small = (3, 4, 2, 3)
    ids = [torch.tensor([[1, 0, 4], [2, 2, 0]])]
    affine = nn.BatchNorm2d(4)
    nn.init.normal_(affine.weight)
    nn.init.normal_(affine.bias)
    norm = nn.LayerNorm([3, 5])
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.LeakyReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Sequential(nn.Linear(12, 5), nn.Tanh(), nn.Linear(5, 3)),
        nn.LogSoftmax(1),
    )
    write("layers", [
        layer_case("linear", nn.Linear(3, 5), (2, 7, 3)),
        layer_case("linear without bias", nn.Linear(3, 5, bias=False), (4, 3)),
        layer_case("linear of a vector", nn.Linear(3, 2), (3,)),
        layer_case("conv", nn.Conv2d(4, 3, 3), image),
        layer_case("conv of one image", nn.Conv2d(4, 3, 3), image[1:]),
        layer_case(
            "conv with all options",
            nn.Conv2d(4, 6, (2, 3), stride=(2, 1), padding=(1, 2),
                      dilation=(1, 2), groups=2),
            image,
        ),
        layer_case(
            "conv without bias",
            nn.Conv2d(4, 2, 1, stride=2, bias=False),
            image,
        ),
        layer_case("max pool", nn.MaxPool2d(2), image),
        layer_case(
            "max pool with all options",
            nn.MaxPool2d((3, 2), stride=(1, 2), padding=1),
            image,
        ),
        layer_case("average pool", nn.AvgPool2d(3), image),
        layer_case(
            "average pool with all options",
            nn.AvgPool2d((3, 2), stride=(1, 2), padding=1,
                         count_include_pad=False),
            image,
        ),
        layer_case("layer norm", nn.LayerNorm(5), (4, 3, 5)),
        layer_case("layer norm of two axes", norm, (2, 3, 5)),
        layer_case(
            "layer norm without parameters",
            nn.LayerNorm(5, eps=0.1, elementwise_affine=False),
            (4, 5),
        ),
        layer_case("batch norm", affine, small, small),
        layer_case(
            "batch norm of all batches",
            nn.BatchNorm2d(4, momentum=None, eps=0.01),
            small, small, small,
        ),
        layer_case(
            "batch norm without statistics",
            nn.BatchNorm2d(4, affine=False, track_running_stats=False),
            small,
        ),
        layer_case(
            "batch norm in evaluation", evaluated(nn.BatchNorm2d(4), 4), small
        ),
        layer_case("embedding", nn.Embedding(5, 3), ids=ids),
        layer_case(
            "embedding with padding", nn.Embedding(5, 3, padding_idx=0), ids=ids
        ),
        layer_case("flatten", nn.Flatten(), (2, 3, 2)),
        layer_case("flatten the first axes", nn.Flatten(0, -2), (2, 3, 2)),
        layer_case("relu", nn.ReLU(), (3, 5)),
        layer_case("leaky relu", nn.LeakyReLU(0.2), (3, 5)),
        layer_case("gelu", nn.GELU(), (3, 5)),
        layer_case("gelu by tanh", nn.GELU("tanh"), (3, 5)),
        layer_case("tanh", nn.Tanh(), (3, 5)),
        layer_case("sigmoid", nn.Sigmoid(), (3, 5)),
        layer_case("silu", nn.SiLU(), (3, 5)),
        layer_case("softplus", nn.Softplus(), (3, 5)),
        layer_case("softmax", nn.Softmax(0), (3, 5)),
        layer_case("log softmax", nn.LogSoftmax(-1), (3, 5)),
        layer_case("network", net, (3, 1, 4, 4)),
    ])


STEPS = 20


def optimizer_case(name, make):
    """The parameters after each of 20 steps; `late` has no gradient at first."""
    torch.manual_seed(1)
    x = torch.randn(7, 3)
    y = torch.randn(7, 2)
    weight = torch.randn(3, 2, requires_grad=True)
    bias = torch.randn(2, requires_grad=True)
    late = torch.randn(1, requires_grad=True)
    initial = [plain(p) for p in (weight, bias, late)]
    optimizer = make(weight, bias, late)
    steps = []
    for step in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        output = torch.tanh(x @ weight + bias)
        if step >= 3:
            output = output * late
        ((output - y) ** 2).mean().backward()
        optimizer.step()
        steps.append(" ".join(joined(p) for p in (weight, bias, late)))
    return {
        "name": name,
        "x": plain(x),
        "y": plain(y),
        "initial": initial,
        "steps": steps,
    }


def optimizers():
    def case(name, kind, **options):
        return optimizer_case(name, lambda *p: kind(p, **options))

    sgd, adam, adamw = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
    write("optimizers", [
        case("sgd", sgd, lr=0.1),
        case("sgd with momentum", sgd, lr=0.1, momentum=0.9),
        case("sgd with dampening", sgd, lr=0.1, momentum=0.9, dampening=0.5),
        case("sgd with nesterov", sgd, lr=0.1, momentum=0.8, nesterov=True,
             weight_decay=0.1),
        case("sgd with weight decay", sgd, lr=0.1, weight_decay=0.1),
        case("adam", adam),
        case("adam with options", adam, lr=0.05, betas=(0.8, 0.9), eps=0.01,
             weight_decay=0.1),
        case("adam with amsgrad", adam, lr=0.1, amsgrad=True, betas=(0.5, 0.6)),
        case("adamw", adamw),
        case("adamw with options", adamw, lr=0.05, betas=(0.8, 0.9), eps=0.01,
             weight_decay=0.3),
        case("adamw with amsgrad", adamw, lr=0.1, amsgrad=True,
             betas=(0.5, 0.6)),
        optimizer_case("groups", lambda weight, bias, late: adamw([
            {"params": [weight], "lr": 0.1, "weight_decay": 0.5},
            {"params": [bias, late], "betas": (0.7, 0.8)},
        ], lr=0.01)),
    ])


def schedule_case(name, make, steps=25):
    parameters = [torch.zeros(1, requires_grad=True) for _ in range(2)]
    optimizer = torch.optim.SGD([
        {"params": [parameters[0]]},
        {"params": [parameters[1]], "lr": 0.003},
    ], lr=0.5)
    schedule = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(" ".join(str(group["lr"])
                              for group in optimizer.param_groups))
        optimizer.step()
        schedule.step()
    return {"name": name, "rates": rates}


def schedules():
    kinds = torch.optim.lr_scheduler

    # The two below are those of Hugging Face's transformers.
    def linear(step, warmup=4, total=20):
        if step < warmup:
            return step / max(1, warmup)
        return max(0.0, (total - step) / max(1, total - warmup))

    def cosine(step, warmup=4, total=24):
        if step < warmup:
            return step / max(1, warmup)
        done = (step - warmup) / max(1, total - warmup)
        return max(0.0, 0.5 * (1 + math.cos(math.pi * done)))

    write("schedules", [
        schedule_case("step", lambda o: kinds.StepLR(o, 3, gamma=0.9)),
        schedule_case("step by default", lambda o: kinds.StepLR(o, 7)),
        schedule_case("cosine annealing",
                      lambda o: kinds.CosineAnnealingLR(o, 9)),
        schedule_case("cosine annealing to a minimum",
                      lambda o: kinds.CosineAnnealingLR(o, 24, eta_min=0.001)),
        schedule_case("linear", lambda o: kinds.LambdaLR(o, linear)),
        schedule_case("cosine", lambda o: kinds.LambdaLR(o, cosine)),
    ])


def clipping():
    torch.manual_seed(2)
    cases = []
    for max_norm in (0.5, 3, 1000):
        parameters = [torch.zeros(*s, requires_grad=True)
                      for s in ((3, 2), (5,), (1,))]
        for parameter in parameters:
            parameter.grad = torch.randn(*parameter.shape)
        before = [plain(p.grad) for p in parameters]
        norm = nn.utils.clip_grad_norm_(parameters, max_norm)
        cases.append({
            "maxNorm": max_norm,
            "before": before,
            "norm": plain(norm),
            "after": [plain(p.grad) for p in parameters],
        })
    write("clipping", cases)


if __name__ == "__main__":
    layers()
    optimizers()
    schedules()
    clipping()
