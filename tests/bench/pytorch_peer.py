"""PyTorch's side of the benches: does named work when asked, on stdin.

A question is a line of JSON, with the values of the inputs behind it where it
prepares work. An answer is a line of JSON; that to a read has the results
behind it, as float32.
"""

import json
import sys
import time

import torch
from torch.nn import functional as F

from pytorch_siamese import Siamese
from pytorch_steps import Mlp, Recurrence


INPUT, OUTPUT = sys.stdin.buffer, sys.stdout.buffer


def conv2d(x, weight):
    return F.conv2d(x, weight)


def softmax(x):
    return torch.softmax(x, -1)


def layer_norm(x, weight, bias):
    return F.layer_norm(x, x.shape[-1:], weight, bias)


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return torch.softmax(scores, -1) @ value


def chain(a, b):
    return torch.sigmoid(torch.tanh(a * b + a) * 1.5 - b).square() + a.abs()


def forward(f):
    """The result of f."""
    return lambda *inputs: lambda: [f(*inputs)]


def both(f):
    """The result of f and its gradients; the last input is the seed."""

    def prepare(*inputs):
        leaves = [part.requires_grad_() for part in inputs[:-1]]

        def work():
            y = f(*leaves)
            return [y, *torch.autograd.grad(y, leaves, inputs[-1])]

        return work

    return prepare


# Each makes, of its inputs, the function that is timed.
WORKS = {
    "matmul": forward(torch.matmul),
    "conv2d": forward(conv2d),
    "conv2d gradients": both(conv2d),
    "softmax": forward(softmax),
    "softmax gradients": both(softmax),
    "layer norm": forward(layer_norm),
    "layer norm gradients": both(layer_norm),
    "add": forward(torch.add),
    "attention": forward(attention),
    "attention gradients": both(attention),
    "chain": forward(chain),
    "sum": forward(torch.sum),
    "sort": forward(lambda x: torch.sort(x)[0]),
    "siamese": Siamese,
    "mlp": Mlp,
    "recurrence": Recurrence,
}


def read_tensor(shape, dtype):
    size = 1
    for extent in shape:
        size *= extent
    kind = torch.int32 if dtype == "int32" else torch.float32
    values = bytearray(INPUT.read(size * 4))
    return torch.frombuffer(values, dtype=kind).clone().reshape(shape)


def answer(what, results=()):
    OUTPUT.write(json.dumps(what).encode() + b"\n")
    for result in results:
        OUTPUT.write(result.detach().float().contiguous().numpy().tobytes())
    OUTPUT.flush()


def about(question):
    torch.set_num_threads(question["threads"])
    threads = torch.get_num_threads()
    answer({"about": f"PyTorch {torch.__version__}, {threads} threads"})


def prepare(question):
    parts = question["inputs"]
    inputs = [read_tensor(part["shape"], part["dtype"]) for part in parts]
    work = WORKS[question["name"]](*inputs, **question["options"])
    works[question["id"]] = work
    answer({})


def run(question):
    work = works[question["id"]]
    start = time.perf_counter()
    work()
    answer({"seconds": time.perf_counter() - start})


def read(question):
    results = works[question["id"]]()
    answer({"sizes": [result.numel() for result in results]}, results)


works = {}
questions = {"about": about, "prepare": prepare, "run": run, "read": read}
for line in INPUT:
    asked = json.loads(line)
    try:
        questions[asked["do"]](asked)
    except Exception as error:
        answer({"error": str(error)})
