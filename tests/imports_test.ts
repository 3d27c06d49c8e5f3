import { assertEquals } from "@std/assert";
import { fromFileUrl, relative, toFileUrl } from "@std/path";

/** What each module may import, beside itself. */
const MODULES: Readonly<Record<string, readonly string[]>> = {
  tensor: [],
  nn: ["tensor"],
  losses: ["tensor"],
  data: ["tensor"],
  attention: ["nn", "tensor"],
  tasks: ["tensor", "nn", "losses", "attention", "data"],
};

/** Modules that import no library, so that they run in a browser. */
const WITHOUT_LIBRARIES = ["tensor", "nn", "losses", "attention"];

/** The one exception: the parser of JavaScript, and who may use it. */
const PARSER = { library: /^npm:\/?acorn@/, user: "tensor/jit/" };

/**
 * The floors of `tensor/`, top to bottom: a room sees itself and the floors
 * above it, not the other rooms of its own floor. What no room names is in the
 * front: `ops/`, `tensor.ts`, `mod.ts` and the rest of what people import. Only
 * `jit/` lies below it, so that tensors come without a parser.
 */
const FLOORS: readonly (readonly Room[])[] = [
  [{
    name: "shapes",
    holds: [
      "shape.ts",
      "dtype.ts",
      "view.ts",
      "op.ts",
      "threefry.ts",
      "warnings.ts",
    ],
  }],
  [{ name: "graph", holds: ["graph/"] }],
  [{ name: "kernel", holds: ["kernel/"] }],
  [{ name: "wgsl", holds: ["wgsl/"] }, { name: "wasm", holds: ["wasm/"] }],
  [{ name: "device", holds: ["device/"] }],
  [{ name: "front", holds: [] }],
  [{ name: "jit", holds: ["jit/"] }],
];

interface Room {
  readonly name: string;
  /** Paths inside `tensor/`; a folder ends with a slash. */
  readonly holds: readonly string[];
}

/** One import: paths from the root, or the specifier where `to` is a library. */
interface Edge {
  readonly from: string;
  readonly to: string;
  /** The specifier as written. */
  readonly as: string;
}

function moduleOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : "root";
}

/** The floor and the name of the room of `tensor/` that holds `path`. */
function tensorRoom(path: string): { floor: number; name: string } {
  const inside = path.slice("tensor/".length);
  for (const [floor, rooms] of FLOORS.entries()) {
    const room = rooms.find(({ holds }) =>
      holds.some((p) => p.endsWith("/") ? inside.startsWith(p) : inside === p)
    );
    if (room !== undefined) return { floor, name: room.name };
  }
  const front = FLOORS.findIndex(([room]) => room!.name === "front");
  return { floor: front, name: "front" };
}

/** The room of any file: in `tensor/` as in the table, elsewhere its folder. */
function roomOf(path: string): string {
  return moduleOf(path) === "tensor"
    ? `tensor: ${tensorRoom(path).name}`
    : path.slice(0, path.lastIndexOf("/") + 1);
}

/** What is wrong with one import, or nothing. */
function wrongEdge({ from, to, as }: Edge): string | undefined {
  const source = moduleOf(from);
  const allowed = MODULES[source];
  if (allowed === undefined) return; // tests and the root import anything
  const wrong = (why: string) => `${from} imports ${to}: ${why}`;
  if (/^[a-z]+:|^@/.test(to)) {
    if (PARSER.library.test(to) && from.startsWith(PARSER.user)) return;
    return WITHOUT_LIBRARIES.includes(source)
      ? wrong(`${source} imports no library`)
      : undefined;
  }
  const target = moduleOf(to);
  if (target === source) {
    if (!as.startsWith(".")) return wrong("inside a module import the file");
    if (source !== "tensor") return;
    const [here, there] = [tensorRoom(from), tensorRoom(to)];
    return there.name === here.name || there.floor < here.floor
      ? undefined
      : wrong(`${here.name} may not see ${there.name}`);
  }
  if (!allowed.includes(target)) {
    return wrong(`${source} may not import ${target}`);
  }
  return as.startsWith("@heddle/")
    ? undefined
    : wrong("across modules import the published name");
}

/** Circles that pass through more than one room, each as its sorted files. */
function circles(edges: readonly Edge[]): string[] {
  const next = new Map<string, string[]>();
  for (const { from, to } of edges) {
    next.set(from, [...next.get(from) ?? [], to]);
  }
  const reach = (start: string): Set<string> => {
    const seen = new Set<string>();
    const todo = [...next.get(start) ?? []];
    for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      todo.push(...next.get(path) ?? []);
    }
    return seen;
  };
  const reached = new Map([...next.keys()].map((path) => [path, reach(path)]));
  const found = new Set<string>();
  for (const [path, seen] of reached) {
    const circle = [...seen].filter((p) => reached.get(p)?.has(path)).sort();
    if (new Set(circle.map(roomOf)).size > 1) {
      found.add(`a circle: ${circle.join(", ")}`);
    }
  }
  return [...found];
}

function wrongs(edges: readonly Edge[]): string[] {
  return [...edges.flatMap((edge) => wrongEdge(edge) ?? []), ...circles(edges)];
}

/** Every TypeScript file below a folder, as a path from the root. */
function sources(root: string, folder: string): string[] {
  return [...Deno.readDirSync(`${root}/${folder}`)].flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) return sources(root, path);
    return entry.isFile && entry.name.endsWith(".ts") ? [path] : [];
  });
}

interface Info {
  readonly modules: readonly {
    readonly specifier: string;
    readonly error?: string;
    readonly dependencies?: readonly {
      readonly specifier: string;
      readonly code?: { readonly specifier?: string };
      readonly type?: { readonly specifier?: string };
    }[];
  }[];
}

/** The imports of every file, also of those that no `mod.ts` reaches. */
async function readEdges(root: string): Promise<Edge[]> {
  const files = Object.keys(MODULES).flatMap((name) => sources(root, name));
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(
      entry,
      ["mod.ts", ...files].map((path) =>
        `import ${JSON.stringify(toFileUrl(`${root}/${path}`))};\n`
      ).join(""),
    );
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--config", `${root}/deno.json`, entry],
    }).output();
    const text = new TextDecoder();
    if (code !== 0) throw new Error(`deno info: ${text.decode(stderr)}`);
    const { modules } = JSON.parse(text.decode(stdout)) as Info;
    const path = (url: string) =>
      url.startsWith("file:") ? relative(root, fromFileUrl(url)) : url;
    const entryUrl = toFileUrl(entry).href;
    return modules.flatMap(({ specifier, error, dependencies = [] }) => {
      if (error !== undefined) throw new Error(error);
      if (specifier === entryUrl || path(specifier).startsWith(".")) return [];
      return dependencies.map((dependency) => {
        const found = dependency.code?.specifier ?? dependency.type?.specifier;
        const to = path(found ?? dependency.specifier);
        const library = to.startsWith("."); // .jsr/, which stands for @std
        return {
          from: path(specifier),
          to: library ? dependency.specifier : to,
          as: dependency.specifier,
        };
      });
    });
  } finally {
    await Deno.remove(entry);
  }
}

Deno.test("imports go down between modules and between the rooms of tensor/", async () => {
  const edges = await readEdges(fromFileUrl(new URL("..", import.meta.url)));
  assertEquals(wrongs(edges), []);
  // The root's own show that the graph was read at all.
  const root = await Deno.readTextFile(new URL("../mod.ts", import.meta.url));
  const exports = root.match(/^export \*/gm)!.length;
  const found = edges.filter(({ from }) => from === "mod.ts").length;
  assertEquals(found, exports);
});

Deno.test("imports in the wrong direction are found", () => {
  const edge = (from: string, to: string, as = "./x.ts"): Edge => ({
    from,
    to,
    as,
  });
  const planted: readonly (readonly [Edge, string])[] = [
    [
      edge("tensor/ops/a.ts", "nn/mod.ts", "@heddle/nn"),
      "tensor may not import nn",
    ],
    [edge("nn/a.ts", "tests/a.ts"), "nn may not import tests"],
    [edge("tasks/a.ts", "mod.ts"), "tasks may not import root"],
    [edge("losses/a.ts", "tensor/mod.ts"), "import the published name"],
    [edge("nn/a.ts", "nn/mod.ts", "@heddle/nn"), "import the file"],
    [edge("nn/a.ts", "npm:x@1.0.0", "npm:x@1"), "nn imports no library"],
    [edge("losses/a.ts", "node:fs", "node:fs"), "losses imports no library"],
    [edge("attention/a.ts", "@std/csv", "@std/csv"), "imports no library"],
    [edge("tensor/shape.ts", "tensor/graph/a.ts"), "shapes may not see graph"],
    [edge("tensor/graph/a.ts", "tensor/kernel/a.ts"), "may not see kernel"],
    [edge("tensor/wgsl/a.ts", "tensor/wasm/a.ts"), "wgsl may not see wasm"],
    [edge("tensor/wasm/a.ts", "tensor/wgsl/a.ts"), "wasm may not see wgsl"],
    [edge("tensor/device/a.ts", "tensor/ops/a.ts"), "may not see front"],
    [edge("tensor/mod.ts", "tensor/jit/mod.ts"), "front may not see jit"],
    [edge("tensor/ops/a.ts", "npm:acorn@8.1.0", "acorn"), "no library"],
    [edge("nn/jit/a.ts", "npm:acorn@8.1.0", "acorn"), "no library"],
    [edge("tensor/jit/a.ts", "npm:acorns@8.1.0", "acorns"), "no library"],
  ];
  for (const [wrong, why] of planted) {
    const [first = "nothing", ...others] = wrongs([wrong]);
    assertEquals([first.includes(why), others], [true, []], `${why}: ${first}`);
  }
  const circle = [
    edge("nn/a.ts", "nn/layers/b.ts"),
    edge("nn/layers/b.ts", "nn/c.ts"),
    edge("nn/c.ts", "nn/a.ts"),
  ];
  assertEquals(wrongs(circle), ["a circle: nn/a.ts, nn/c.ts, nn/layers/b.ts"]);
  assertEquals(wrongs(circle.slice(1)), []);
});

Deno.test("imports in the right direction pass", () => {
  assertEquals(
    wrongs([
      { from: "nn/a.ts", to: "tensor/mod.ts", as: "@heddle/tensor" },
      { from: "data/a.ts", to: "@std/csv", as: "@std/csv" },
      { from: "tests/a.ts", to: "tensor/graph/a.ts", as: "../tensor/graph" },
      { from: "tensor/device/a.ts", to: "tensor/wgsl/a.ts", as: "../wgsl/a" },
      { from: "tensor/ops/a.ts", to: "tensor/tensor.ts", as: "../tensor.ts" },
      { from: "tensor/jit/a.ts", to: "npm:/acorn@8.1.0", as: "acorn" },
      { from: "tensor/jit/a.ts", to: "tensor/wasm/a.ts", as: "../wasm/a.ts" },
      { from: "tensor/tensor.ts", to: "tensor/ops/a.ts", as: "./ops/a.ts" },
    ]),
    [],
  );
});
