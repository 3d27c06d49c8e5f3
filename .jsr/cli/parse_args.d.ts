/** What each flag is. `B`, `S`, `C`, `N`: names of the flags of a kind. */
export interface ParseOptions<
  B extends string = string,
  S extends string = string,
  C extends string = string,
  N extends string = string,
  D extends object = Record<string, unknown>,
> {
  /** Keeps what follows `--` apart, under that name. @default false */
  "--"?: boolean;
  alias?: Record<string, string | readonly string[]>;
  /** True or false; `true` makes every flag without a value one. */
  boolean?: boolean | B | readonly B[];
  /** Never made into a number. */
  string?: S | readonly S[];
  /** May be given more than once: an array. */
  collect?: C | readonly C[];
  /** May be given as `--no-name`. */
  negatable?: N | readonly N[];
  default?: D;
  /** Everything after the first argument without a flag goes into `_`. */
  stopEarly?: boolean;
  /** Called with each flag that is not named here; false leaves it out. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

type Value<K extends PropertyKey, D, T, Missing> = K extends keyof D ? T | D[K]
  : T | Missing;

/** The flags by name, and `_`, the arguments without a flag. */
export type Args<
  B extends string,
  S extends string,
  C extends string,
  D extends object,
> =
  & { [K in Exclude<B, C>]: Value<K, D, boolean, never> }
  & { [K in Exclude<S, C>]: Value<K, D, string, undefined> }
  & { [K in Extract<C, S>]: Value<K, D, string[], never> }
  & { [K in Extract<C, B>]: Value<K, D, boolean[], never> }
  & { [K in Exclude<C, B | S>]: Value<K, D, unknown[], never> }
  & Omit<D, B | S | C>
  & { _: (string | number)[]; "--"?: string[] };

export function parseArgs<
  const B extends string = never,
  const S extends string = never,
  const C extends string = never,
  const N extends string = never,
  D extends object = Record<never, never>,
>(args: string[], options?: ParseOptions<B, S, C, N, D>): Args<B, S, C, D>;
