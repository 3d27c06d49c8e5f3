/**
 * Functions of the subset that `jit` compiles, made by chance.
 *
 * @module
 */

import type { Random } from "@heddle/tensor/jit";

/** How many elements each array has. */
export const LENGTH = 8;

/** The parameters of every program. */
export const PARAMETERS = ["a", "b", "c", "f", "g", "h", "k", "r"] as const;

const NUMBERS = [
  "0",
  "1",
  "2",
  "3",
  "7",
  "10",
  "31",
  "32",
  "255",
  "65536",
  "0.5",
  "1.5",
  "0.1",
  "1e-310",
  "1e300",
  "16777217",
  "2147483647",
  "2147483648",
  "4294967295",
  "4294967296",
  "9007199254740991",
  "9007199254740993",
  "Infinity",
  "NaN",
];
const UNARY_MATH = [
  "abs",
  "sqrt",
  "floor",
  "ceil",
  "trunc",
  "round",
  "sign",
  "fround",
  "clz32",
  "sin",
  "exp",
  "log",
  "cbrt",
];
const BINARY_MATH = ["min", "max", "imul", "atan2", "hypot", "pow"];
const ARITHMETIC = ["+", "-", "*", "+", "-", "*", "/", "%"];
const BITWISE = ["&", "|", "^", "<<", ">>", ">>>"];
const COMPARISONS = ["<", "<=", ">", ">=", "===", "!==", "==", "!="];
const ARRAYS = ["f", "g", "h", "k"];

/** Writes one function. */
export class RandomProgram {
  readonly #random: Random;
  #names: string[] = ["a", "b", "c"];
  #constants = new Set<string>();
  #counter = 0;
  #budget = 0;
  #depth = 0;
  /** Variables that are booleans. */
  #flags: string[] = [];
  /** Labels around, and those of them that are of loops. */
  #breaks: string[] = [];
  #loops: string[] = [];
  /** Whether `break` and `continue` have somewhere to go without a label. */
  #inLoop = false;
  /** Whether indices may be out of range. */
  #wild = false;

  constructor(random: Random) {
    this.#random = random;
  }

  /** The text of a function of {@link PARAMETERS}. */
  write(): string {
    this.#budget = 4 + this.#random.integer(14);
    this.#wild = this.#chance(0.4);
    const helper = this.#chance(0.4)
      ? `function helper(p, q) {\n${this.#helper()}\n}\n`
      : "";
    this.#hasHelper = helper !== "";
    const body = this.#statements();
    return `(${PARAMETERS.join(", ")}) => {\n${helper}${body}` +
      `\nreturn ${this.#number(3)};\n}`;
  }

  #hasHelper = false;

  #helper(): string {
    const outer = this.#names;
    this.#names = ["p", "q"];
    const text = this.#pick([
      () => `return ${this.#number(2)};`,
      () =>
        `if (${this.#boolean(2)}) return ${this.#number(2)};\n` +
        `p = ${this.#number(2)};\nreturn ${this.#number(2)};`,
      () =>
        "if (p > 0 && p < 6) return helper(p - 1, q * 2 - p) + 1;\n" +
        "return q % 7 + (p | 0);",
    ])();
    this.#names = outer;
    return text;
  }

  #chance(p: number): boolean {
    return this.#random.next() < p;
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#random.integer(list.length)]!;
  }

  #fresh(): string {
    return `v${this.#counter++}`;
  }

  #scoped(body: () => string): string {
    const names = this.#names.slice();
    this.#depth++;
    const flags = this.#flags.slice();
    const text = body();
    this.#depth--;
    this.#names = names;
    this.#flags = flags;
    return text;
  }

  #statements(): string {
    return this.#scoped(() => {
      const lines: string[] = [];
      const count = 1 + this.#random.integer(4);
      for (let i = 0; i < count && this.#budget > 0; i++) {
        lines.push(this.#statement());
      }
      return lines.join("\n");
    });
  }

  #statement(): string {
    this.#budget--;
    const kind = this.#random.integer(this.#depth > 2 ? 13 : 23);
    switch (kind) {
      case 0:
      case 1: {
        const value = this.#number(3);
        const name = this.#fresh();
        const constant = this.#chance(0.3);
        if (constant) this.#constants.add(name);
        this.#names.push(name);
        return `${constant ? "const" : "let"} ${name} = ${value};`;
      }
      case 2:
      case 3:
        return this.#assignment();
      case 4:
      case 5:
        return `${this.#element()} ${
          this.#pick(["=", "=", "+=", "-=", "^="])
        } ${this.#number(2)};`;
      case 6:
        return this.#jump();
      case 7: {
        const name = this.#assignable();
        return name ? `${name}${this.#pick(["++", "--"])};` : ";";
      }
      case 8: {
        const value = this.#boolean(2);
        const name = `t${this.#counter++}`;
        this.#flags.push(name);
        if (this.#chance(0.5)) return `const ${name} = ${value};`;
        return `let ${name} = ${value};\n` +
          `${name} ${this.#pick(["=", "&&=", "||="])} ${this.#boolean(2)};`;
      }
      case 9:
        return `${this.#boolean(2)} ${this.#pick(["&&", "||"])} ` +
          `(${this.#effect()});`;
      case 10:
        return `${this.#boolean(1)} ? ${this.#effect()} : ${this.#effect()};`;
      case 11:
        return this.#pick([
          () => `${this.#effect()}, ${this.#effect()};`,
          () => `void (${this.#effect()});`,
          () => `${this.#element()}${this.#pick(["++", "--"])};`,
          () => `${this.#number(2)};`,
        ])();
      case 12: {
        const [a, b] = [this.#assignable(), this.#assignable()];
        if (!a || !b || a === b) return ";";
        return `[${a}, ${b}] = [${b}, ${this.#number(1)}];`;
      }
      case 13:
      case 14:
      case 15: {
        const test = this.#boolean(2);
        const then = this.#statements();
        const other = this.#chance(0.4)
          ? ` else {\n${this.#statements()}\n}`
          : "";
        return `if (${test}) {\n${then}\n}${other}`;
      }
      case 16:
      case 17:
      case 18:
        return this.#loop();
      case 19:
        return this.#switch();
      case 20:
        return this.#forOf();
      case 21: {
        const label = `L${this.#counter++}`;
        this.#breaks.push(label);
        const body = this.#statements();
        this.#breaks.pop();
        return `${label}: {\n${body}\n}`;
      }
      default:
        return this.#while();
    }
  }

  /** Something that changes what is there. */
  #effect(): string {
    const name = this.#assignable();
    const to = name && this.#chance(0.7) ? name : this.#element();
    return this.#chance(0.3)
      ? `${to}${this.#pick(["++", "--"])}`
      : `${to} ${this.#pick(["=", "+=", "||=", "&&="])} ${this.#number(1)}`;
  }

  #forOf(): string {
    const name = this.#fresh();
    const label = `L${this.#counter++}`;
    return this.#scoped(() => {
      const array = this.#pick(ARRAYS);
      this.#names.push(name);
      const constant = this.#chance(0.6);
      if (constant) this.#constants.add(name);
      return `${label}: for (${constant ? "const" : "let"} ${name} of ` +
        `${array}) {\n${this.#inside(label)}\n}`;
    });
  }

  /** The statements of a loop. */
  #inside(label: string): string {
    const outer = this.#inLoop;
    this.#inLoop = true;
    this.#breaks.push(label);
    this.#loops.push(label);
    const body = this.#statements();
    this.#loops.pop();
    this.#breaks.pop();
    this.#inLoop = outer;
    return body;
  }

  #assignable(): string | undefined {
    const names = this.#names.filter((name) =>
      !this.#constants.has(name) && !name.startsWith("i")
    );
    return names.length > 0 ? this.#pick(names) : undefined;
  }

  #assignment(): string {
    const name = this.#assignable();
    if (!name) return ";";
    const op = this.#pick([
      "=",
      "=",
      "+=",
      "-=",
      "*=",
      "|=",
      ">>>=",
      "&=",
      "||=",
      "&&=",
    ]);
    return `${name} ${op} ${this.#number(3)};`;
  }

  #jump(): string {
    if (this.#breaks.length === 0) {
      return this.#chance(0.3)
        ? `if (${this.#boolean(1)}) return ${this.#number(2)};`
        : ";";
    }
    const [word, labels] = this.#chance(0.5) || this.#loops.length === 0
      ? ["break", this.#breaks] as const
      : ["continue", this.#loops] as const;
    const label = this.#inLoop && this.#chance(0.3) ? "" : this.#pick(labels);
    return `if (${this.#boolean(1)}) ${word} ${label};`;
  }

  #loop(): string {
    const name = `i${this.#counter++}`;
    const label = `L${this.#counter++}`;
    const start = this.#random.integer(4);
    const end = this.#pick([
      `${this.#random.integer(7)}`,
      "f.length",
      "h.length - 2",
      "(a & 7)",
      "Math.min(6, b)",
    ]);
    const [test, step] = this.#chance(0.8)
      ? [`${name} < ${end}`, this.#pick([`${name}++`, `${name} += 2`])]
      : [`${name} >= 0`, `${name}--`];
    this.#constants.add(name);
    return this.#scoped(() => {
      this.#names.push(name);
      const body = this.#inside(label);
      return `${label}: for (let ${name} = ${start}; ${test}; ${step}) ` +
        `{\n${body}\n}`;
    });
  }

  #while(): string {
    const name = `i${this.#counter++}`;
    const label = `L${this.#counter++}`;
    const body = this.#inside(label);
    const count = this.#random.integer(5);
    return this.#chance(0.5)
      ? `let ${name} = ${count};\n${label}: while (${name}-- > 0) {\n${body}\n}`
      : `let ${name} = ${count};\n${label}: do {\n${body}\n} ` +
        `while (--${name} > 0 && ${this.#boolean(1)});`;
  }

  #switch(): string {
    const cases = Array.from(
      { length: 1 + this.#random.integer(3) },
      (_, at) =>
        `case ${at}:\n${this.#statements()}\n${
          this.#chance(0.6) ? "break;" : ""
        }`,
    );
    if (this.#chance(0.5)) cases.push(`default:\n${this.#statements()}`);
    return `switch (${this.#number(1)} & 3) {\n${cases.join("\n")}\n}`;
  }

  #index(): string {
    const counters = this.#names.filter((name) => name.startsWith("i"));
    if (this.#wild && this.#chance(0.3)) {
      return counters.length > 0 && this.#chance(0.7)
        ? `${this.#pick(counters)}${this.#pick(["", " + 1", " - 1", " * 2"])}`
        : this.#number(1);
    }
    if (counters.length > 0 && this.#chance(0.3)) {
      return `${this.#pick(counters)} & ${LENGTH - 1}`;
    }
    return this.#pick([
      () => `${this.#random.integer(LENGTH)}`,
      () => `${this.#number(1)} & ${LENGTH - 1}`,
      () => `(${this.#number(1)} >>> 0) % ${LENGTH}`,
      () => `Math.abs(${this.#number(1)} | 0) % ${LENGTH}`,
      () => `${this.#boolean(1)} ? 1 : 3`,
    ])();
  }

  #element(): string {
    return `${this.#pick(ARRAYS)}[${this.#index()}]`;
  }

  #number(depth: number): string {
    if (depth === 0 || this.#chance(0.15)) return this.#leaf();
    const deeper = () => this.#number(depth - 1);
    switch (this.#random.integer(13)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return `(${deeper()} ${this.#pick(ARITHMETIC)} ${deeper()})`;
      case 4:
      case 5:
        return `(${deeper()} ${this.#pick(BITWISE)} ${deeper()})`;
      case 6:
        return `(${deeper()} | 0)`;
      case 7:
        return `(${this.#pick(["-", "+", "~"])}(${deeper()}))`;
      case 8:
        return `Math.${this.#pick(UNARY_MATH)}(${deeper()})`;
      case 9:
        return `Math.${this.#pick(BINARY_MATH)}(${deeper()}, ${deeper()})`;
      case 10:
        return `(${this.#boolean(depth - 1)} ? ${deeper()} : ${deeper()})`;
      case 11:
        return this.#pick([
          () => `(${deeper()} ${this.#pick(["&&", "||"])} ${deeper()})`,
          () => `Number(${this.#boolean(depth - 1)})`,
          () => {
            const name = this.#assignable();
            return name ? `(${name} = ${deeper()})` : deeper();
          },
          () => {
            const name = this.#assignable();
            return name
              ? this.#pick([`${name}++`, `(--${name})`, `${name}--`])
              : deeper();
          },
          () => `(${this.#element()}${this.#pick(["++", "--"])})`,
          () => `(${this.#pick(["++", "--"])}${this.#element()})`,
          () => `(${this.#effect()}, ${deeper()})`,
          () => `(${this.#element()} = ${deeper()})`,
          () => `Math.fround(${deeper()} ${this.#pick(ARITHMETIC)} g[2])`,
        ])();
      default:
        return this.#hasHelper
          ? `helper(${deeper()}, ${deeper()})`
          : this.#leaf();
    }
  }

  #leaf(): string {
    switch (this.#random.integer(6)) {
      case 0:
      case 1:
        return this.#pick(NUMBERS);
      case 2:
        return this.#chance(0.9) ? this.#element() : "g.length";
      case 3:
        return this.#chance(0.3) ? "r.next()" : `${this.#random.integer(50)}`;
      default:
        return this.#pick(this.#names);
    }
  }

  #boolean(depth: number): string {
    if (this.#flags.length > 0 && this.#chance(0.2)) {
      return this.#pick(this.#flags);
    }
    if (depth === 0) return `${this.#leaf()} < ${this.#leaf()}`;
    const deeper = () => this.#boolean(depth - 1);
    switch (this.#random.integer(7)) {
      case 0:
        return `!(${deeper()})`;
      case 1:
        return `(${deeper()} ${this.#pick(["&&", "||"])} ${deeper()})`;
      case 2:
        return `Boolean(${this.#number(depth - 1)})`;
      case 3:
        return this.#pick([
          "Number.isNaN",
          "Number.isInteger",
          "isFinite",
          "Number.isSafeInteger",
        ]) +
          `(${this.#number(depth - 1)})`;
      default:
        return `(${this.#number(depth - 1)} ${this.#pick(COMPARISONS)} ${
          this.#number(depth - 1)
        })`;
    }
  }
}
