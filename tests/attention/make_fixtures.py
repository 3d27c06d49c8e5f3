"""Writes torch_fixtures.jsonl, one case a line: attention as PyTorch has it.

Made with PyTorch 1.13.0 (Debian's python3-torch):

    /usr/bin/python3 -W ignore tests/attention/make_fixtures.py
"""

import json
import pathlib

import torch
from torch import nn
from torch.nn import functional as F

generator = torch.Generator().manual_seed(20240229)
cases = []


def normal(*shape):
    """Few digits, so that the file stays small; exact in float32."""
    return torch.round(torch.randn(shape, generator=generator) * 256) / 256


def encode(x):
    if x.dtype == torch.bool:
        return {"dtype": "bool", "shape": list(x.shape), "data": [int(v) for v in x.flatten()]}
    data = [float(f"{value:.8g}") for value in x.flatten().tolist()]
    return {"dtype": "float32", "shape": list(x.shape), "data": data}


def encode_all(tensors):
    return {name: encode(x.detach()) for name, x in tensors.items()}


def seed_for(value):
    """The gradient of the result: 0.5, 0.625, ..., 1.25 in turn."""
    steps = torch.arange(value.numel(), dtype=torch.float32) % 7
    return (0.5 + steps / 8).reshape(value.shape)


def case(kind, name, inputs, masks, options, run, module=None):
    """`run` takes the inputs and gives the output and, maybe, the weights."""
    inputs = {key: x.requires_grad_() for key, x in inputs.items()}
    if module is not None:
        with torch.no_grad():
            for parameter in module.parameters():
                # Not the initial values: biases and norms must show.
                parameter.copy_(0.5 * normal(*parameter.shape))
    output, weights = run(**inputs)
    output.backward(seed_for(output))
    one = {
        "kind": kind,
        "name": name,
        "inputs": encode_all(inputs),
        "masks": encode_all(masks),
        "options": options,
        "output": encode(output.detach()),
        "inputGrads": encode_all({key: x.grad for key, x in inputs.items()}),
    }
    if weights is not None:
        one["weights"] = encode(weights.detach())
    if module is not None:
        parameters = dict(module.named_parameters())
        one["state"] = encode_all(parameters)
        one["stateGrads"] = encode_all({key: p.grad for key, p in parameters.items()})
    cases.append(one)


def allowed(*shape):
    """true = may attend, and at least one key a query."""
    mask = torch.rand(shape, generator=generator) < 0.6
    mask[..., 0] = True
    return mask


def padding(batch, length):
    """true = padding: one more at the end of each sequence."""
    return torch.arange(length) >= length - torch.arange(batch)[:, None]


# --- dotProductAttention -----------------------------------------------------

def dot(name, queries, keys, mask=None, causal=False, lead=(2, 3), dims=(4, 5)):
    def run(query, key, value):
        added = mask
        if mask is not None and mask.dtype == torch.bool:
            # By hand: what true means changed between releases.
            added = torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)
        return F._scaled_dot_product_attention(query, key, value, added, 0.0, True, causal)

    inputs = {
        "query": normal(*lead, queries, dims[0]),
        "key": normal(*lead, keys, dims[0]),
        "value": normal(*lead, keys, dims[1]),
    }
    masks = {} if mask is None else {"attentionMask": mask}
    case("dotProductAttention", name, inputs, masks, {"causal": causal}, run)


dot("plain", 3, 5)
dot("causal", 5, 5, causal=True)
dot("causal, fewer queries", 3, 5, causal=True)
dot("causal, more queries", 5, 3, causal=True)
dot("bool mask", 3, 5, allowed(3, 5))
dot("bool mask a batch", 3, 5, allowed(2, 1, 3, 5))
dot("additive mask", 3, 5, normal(3, 5))
dot("no batch", 3, 7, lead=(), dims=(2, 2))


# --- MultiHeadAttention ------------------------------------------------------

def heads(name, queries=3, keys=None, attn=None, pad=None, batch=2, **options):
    """`attn`: true = may attend, or added; `pad`: true = padding."""
    model = 4
    count = options.pop("heads", 2)
    module = nn.MultiheadAttention(
        model,
        count,
        bias=options.get("bias", True),
        kdim=options.get("keyDim"),
        vdim=options.get("valueDim"),
        batch_first=True,
    )
    lead = () if batch is None else (batch,)
    inputs = {"query": normal(*lead, queries, model)}
    if keys is not None:
        inputs["key"] = normal(*lead, keys, options.get("keyDim", model))
        inputs["value"] = normal(*lead, keys, options.get("valueDim", model))
    forbidden = ~attn if attn is not None and attn.dtype == torch.bool else attn

    def run(query, key=None, value=None):
        return module(
            query,
            query if key is None else key,
            query if value is None else value,
            key_padding_mask=pad,
            attn_mask=forbidden,
            average_attn_weights=False,
        )

    masks = {}
    if attn is not None:
        masks["attentionMask"] = attn
    if pad is not None:
        masks["keyPaddingMask"] = pad
    case("MultiHeadAttention", name, inputs, masks, {**options, "heads": count, "causal": False}, run, module)


heads("self-attention")
heads("one head, no bias", heads=1, bias=False)
heads("keys of another length", 3, 5, pad=padding(2, 5))
heads("keys and values of other sizes", 4, 3, keyDim=5, valueDim=7, heads=4)
heads("bool mask", 4, attn=allowed(4, 4))
heads("additive mask and padding", 4, attn=normal(4, 4), pad=padding(2, 4))
heads("no batch", 3, 5, batch=None, attn=allowed(3, 5))


# --- TransformerEncoderLayer and TransformerEncoder --------------------------

def encoder(name, layers=None, final_norm=False, pad=None, attn=None, causal=False, **options):
    model = 4
    names = {"normFirst": "norm_first", "eps": "layer_norm_eps"}
    layer = nn.TransformerEncoderLayer(
        model,
        2,
        dim_feedforward=5,
        dropout=0.0,
        activation=options.get("activation", "relu"),
        batch_first=True,
        **{names[key]: options[key] for key in names if key in options},
    )
    module = layer
    if layers is not None:
        norm = nn.LayerNorm(model) if final_norm else None
        module = nn.TransformerEncoder(layer, layers, norm)
        options = {**options, "layers": layers, "finalNorm": final_norm}
    length = 4
    mask = attn
    if causal:
        mask = torch.ones(length, length, dtype=torch.bool).tril()
    forbidden = None if mask is None else ~mask

    def run(hidden):
        return module(hidden, forbidden, src_key_padding_mask=pad), None

    masks = {}
    if attn is not None:
        masks["attentionMask"] = attn
    if pad is not None:
        masks["keyPaddingMask"] = pad
    kind = "TransformerEncoderLayer" if layers is None else "TransformerEncoder"
    options = {**options, "causal": causal}
    case(kind, name, {"hidden": normal(2, length, model)}, masks, options, run, module)


encoder("post-norm, relu")
encoder("post-norm, gelu, padding", activation="gelu", pad=padding(2, 4))
encoder("pre-norm, relu, causal", normFirst=True, causal=True)
encoder("pre-norm, gelu, mask", normFirst=True, activation="gelu", eps=1e-3, attn=allowed(4, 4))
encoder("post-norm", layers=2, pad=padding(2, 4))
encoder("pre-norm with a last norm", layers=2, final_norm=True, normFirst=True, causal=True)

path = pathlib.Path(__file__).parent / "torch_fixtures.jsonl"
lines = [json.dumps(one, allow_nan=False) + "\n" for one in cases]
path.write_text("".join(lines))
print(f"{len(cases)} cases, {path.stat().st_size} bytes, PyTorch {torch.__version__}")
