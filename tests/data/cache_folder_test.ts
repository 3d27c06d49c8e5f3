import { cacheFolder } from "@heddle/data";
import { assertEquals } from "@std/assert";

const NAMES = ["HEDDLE_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"];

/** What `cacheFolder()` gives with these variables and no others of its own. */
function folderWith(variables: Record<string, string>): string | null {
  const before = NAMES.map((name) => [name, Deno.env.get(name)] as const);
  try {
    for (const name of NAMES) Deno.env.delete(name);
    for (const [name, value] of Object.entries(variables)) {
      Deno.env.set(name, value);
    }
    return cacheFolder();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
}

Deno.test({
  name: "cacheFolder() prefers its own variable, then the platform's",
  ignore: Deno.build.os === "windows",
  fn: () => {
    const all = { HEDDLE_CACHE: "/a", XDG_CACHE_HOME: "/b", HOME: "/c" };
    assertEquals(folderWith(all), "/a");
    assertEquals(folderWith({ ...all, HEDDLE_CACHE: "" }), "/b/heddle");
    assertEquals(folderWith({ HOME: "/c" }), "/c/.cache/heddle");
    const relative = { XDG_CACHE_HOME: "b", HOME: "/c" };
    assertEquals(folderWith(relative), "/c/.cache/heddle");
    assertEquals(folderWith({}), null);
  },
});

Deno.test("cacheFolder() takes variables that may not be read as unset", async () => {
  const code = `import { cacheFolder } from "${
    import.meta.resolve("@heddle/data")
  }"; console.log(cacheFolder());`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--ext=ts", code],
    env: { HEDDLE_CACHE: "/a" },
  }).output();
  // `deno eval` grants everything: the positive control.
  assertEquals(new TextDecoder().decode(stdout).trim(), "/a");
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(path, code);
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const run = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--config", config, path],
    env: { HEDDLE_CACHE: "/a" },
  }).output();
  await Deno.remove(path);
  assertEquals(new TextDecoder().decode(run.stdout).trim(), "null");
});
