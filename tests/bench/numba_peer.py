"""Numba's side of the jit benches: a line of JSON asks, a line answers."""

import json
import random
import sys
import time

import numba
import numpy as np


@numba.njit
def seed(number):
    random.seed(number)


@numba.njit
def pi(points):
    inside = 0
    for _ in range(points):
        x = random.random()
        y = random.random()
        if x * x + y * y < 1:
            inside += 1
    return 4 * inside / points


@numba.njit
def n_body(x, v, m, steps, dt):
    n = len(m)
    for _ in range(steps):
        for i in range(n):
            for j in range(i + 1, n):
                dx = x[3 * i] - x[3 * j]
                dy = x[3 * i + 1] - x[3 * j + 1]
                dz = x[3 * i + 2] - x[3 * j + 2]
                square = dx * dx + dy * dy + dz * dz
                force = dt / (square * np.sqrt(square))
                v[3 * i] -= dx * m[j] * force
                v[3 * i + 1] -= dy * m[j] * force
                v[3 * i + 2] -= dz * m[j] * force
                v[3 * j] += dx * m[i] * force
                v[3 * j + 1] += dy * m[i] * force
                v[3 * j + 2] += dz * m[i] * force
        for i in range(3 * n):
            x[i] += dt * v[i]


@numba.njit
def mandelbrot(width, height, limit, out):
    for row in range(height):
        ci = row * 2 / height - 1
        for column in range(width):
            cr = column * 3 / width - 2
            x = 0.0
            y = 0.0
            steps = 0
            while steps < limit and x * x + y * y <= 4:
                x, y = x * x - y * y + cr, 2 * x * y + ci
                steps += 1
            out[row * width + column] = steps


@numba.njit
def running_median(values, window, ordered, out):
    count = 0
    for i in range(len(values)):
        if count == window:
            old = values[i - window]
            low = 0
            high = count
            while low < high:
                middle = (low + high) >> 1
                if ordered[middle] < old:
                    low = middle + 1
                else:
                    high = middle
            for k in range(low, count - 1):
                ordered[k] = ordered[k + 1]
            count -= 1
        at = count
        while at > 0 and ordered[at - 1] > values[i]:
            ordered[at] = ordered[at - 1]
            at -= 1
        ordered[at] = values[i]
        count += 1
        half = count >> 1
        if count % 2 == 1:
            out[i] = ordered[half]
        else:
            out[i] = (ordered[half - 1] + ordered[half]) / 2


def prepare(question):
    """Gives a function that does the work, and one that tells its result."""
    name = question["name"]
    if name == "pi":
        seed(1)
        points = question["points"]
        return lambda: pi(points), lambda: [pi(points)]
    if name == "n-body":
        start, m = np.array(question["x"]), np.array(question["m"])
        x, v = start.copy(), np.zeros(len(start))
        steps, dt = question["steps"], question["dt"]

        def simulate():
            x[:] = start
            v[:] = 0
            n_body(x, v, m, steps, dt)

        return simulate, lambda: list(x)
    if name == "mandelbrot":
        width, height = question["width"], question["height"]
        out = np.zeros(width * height, dtype=np.int32)
        limit = question["limit"]
        return (
            lambda: mandelbrot(width, height, limit, out),
            lambda: [int(steps) for steps in out],
        )
    values = np.array(question["values"])
    window = question["window"]
    ordered = np.zeros(window)
    out = np.zeros(len(values))
    return (
        lambda: running_median(values, window, ordered, out),
        lambda: list(out),
    )


def main():
    works = []
    for line in sys.stdin:
        question = json.loads(line)
        if question["do"] == "about":
            answer = {"about": f"numba {numba.__version__}"}
        elif question["do"] == "prepare":
            run, read = prepare(question)
            run()  # compiles
            works.append(run)
            answer = {"result": read()}
        else:
            run = works[question["id"]]
            start = time.perf_counter()
            run()
            answer = {"seconds": time.perf_counter() - start}
        print(json.dumps(answer), flush=True)


main()
