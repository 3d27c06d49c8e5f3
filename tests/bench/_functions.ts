/**
 * A function of tensors as the work of a group: alone, or with its gradients.
 * Ours are compiled and those of jax-js are jitted, which is how both are used
 * for what runs again and again; the other two have only the one way.
 *
 * @module
 */

import { compile, type Tensor } from "@heddle/tensor";
import type { Comparison } from "./_compare.ts";
import type { Input, Jax, JaxArray, Tf, TfTensor } from "./_peers.ts";

/** The same function in every library. */
export interface Functions {
  readonly heddle: (...inputs: Tensor[]) => Tensor;
  /** Takes its inputs over, as jax-js has it. */
  readonly jax?: (jax: Jax) => (...inputs: JaxArray[]) => JaxArray;
  readonly tfjs?: (tf: Tf) => TfFunction;
  /** What `pytorch_peer.py` calls it. */
  readonly pytorch: string;
}

/** A function in TensorFlow.js, which may order its axes in its own way. */
export interface TfFunction {
  readonly f: (...inputs: TfTensor[]) => TfTensor;
  /** Brings the inputs into that order, before anything is timed. */
  readonly toOwn?: (inputs: readonly TfTensor[]) => TfTensor[];
  /** Brings results back, to be compared. */
  readonly fromOwn?: (results: readonly TfTensor[]) => TfTensor[];
}

/** What the libraries do in a group. */
type Work = Pick<
  Comparison<readonly Input[]>,
  "heddle" | "jax" | "tfjs" | "pytorch"
>;

/** The function alone. */
export function forward(functions: Functions): Work {
  const { heddle, jax, tfjs, pytorch } = functions;
  return {
    heddle: (inputs) => {
      const f = compile(heddle, { name: pytorch });
      return () => [f(...inputs)];
    },
    ...jax && {
      jax: (inputs, library) => {
        const f = library.jit(jax(library));
        return () => [f(...inputs.map((input) => input.ref))];
      },
    },
    ...tfjs && {
      tfjs: tfWork(tfjs, (_tf, f) => (inputs) => [f(...inputs)]),
    },
    pytorch: () => ({ name: pytorch }),
  };
}

/**
 * The function and its gradients by each input but the last, which is the
 * gradient of its result.
 */
export function withGradients(functions: Functions): Work {
  const { heddle, jax, tfjs, pytorch } = functions;
  return {
    heddle: (inputs) => {
      const leaves = inputs.slice(0, -1).map((x) => x.detach().asVariable());
      const both = compile((seed: Tensor) => {
        const y = heddle(...leaves);
        y.backward(seed);
        return [y, ...leaves.map(takeGradient)];
      }, { name: `${pytorch} gradients` });
      const seed = inputs.at(-1)!;
      return () => both(seed);
    },
    ...jax && {
      jax: (inputs, library) => {
        const f = library.jit((...all: JaxArray[]) => {
          const [y, pull] = library.vjp(jax(library), all.slice(0, -1));
          return [y, ...pull(all.at(-1)!) as JaxArray[]];
        });
        return () => f(...inputs.map((input) => input.ref)) as JaxArray[];
      },
    },
    ...tfjs && {
      tfjs: tfWork(tfjs, (tf, f) => {
        const both = tf.valueAndGrads(f);
        return (inputs) => {
          const { value, grads } = both(inputs.slice(0, -1), inputs.at(-1));
          return [value, ...grads];
        };
      }),
    },
    pytorch: () => ({ name: `${pytorch} gradients` }),
  };
}

/** The gradient of a variable, which is left without one. */
function takeGradient(variable: Tensor): Tensor {
  const { grad } = variable;
  variable.grad = null;
  return grad!;
}

function tfWork(
  make: (tf: Tf) => TfFunction,
  work: (
    tf: Tf,
    f: TfFunction["f"],
  ) => (inputs: TfTensor[]) => TfTensor[],
): NonNullable<Work["tfjs"]> {
  return (inputs, tf, purpose) => {
    const { f, toOwn, fromOwn } = make(tf);
    const own = toOwn?.(inputs) ?? [...inputs];
    const run = work(tf, f);
    if (purpose === "time" || fromOwn === undefined) return () => run(own);
    return () => fromOwn(run(own));
  };
}
