import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { barChart } from "../../tasks/_charts.ts";
import { renderReport } from "../../tasks/_report.ts";
import { decodePng } from "./decode_png.ts";

const IMAGE = { pixels: [0, 255, 128, 64], width: 2, height: 2 };

Deno.test("renderReport() holds title, cards, charts, tables, images and settings", async () => {
  const chart = await barChart({ bars: [{ label: "both", value: 1 }] });
  const html = renderReport({
    title: "Digits",
    subtitle: "today",
    cards: [{ label: "Accuracy", value: "94 %", note: "± 1" }],
    sections: [{
      title: "Results",
      blocks: [
        { kind: "text", text: "A paragraph." },
        { kind: "code", text: "a  b\n1 <2", caption: "Some code." },
        { kind: "charts", charts: [chart], caption: "A chart." },
        {
          kind: "table",
          columns: ["name", "value"],
          rows: [["a", 1], ["b", "–"]],
          stressed: [1],
        },
        {
          kind: "gallery",
          items: [{
            images: [IMAGE, IMAGE],
            caption: "3 ≤ 5\nsure",
            verdict: "wrong",
          }],
        },
      ],
    }],
    settings: { epochs: 20, out: undefined, sizes: [1, 2] },
    footer: "the end",
  });
  for (
    const part of [
      "<title>Digits</title>",
      "<h1>Digits</h1>",
      "<dt>Accuracy</dt><dd>94 %<small>± 1</small></dd>",
      "<h2>Results</h2>",
      "<p>A paragraph.</p>",
      "<pre>a  b\n1 &#60;2</pre>",
      "<figcaption>Some code.</figcaption>",
      chart.svg,
      "<figcaption>A chart.</figcaption>",
      '<th>name</th><th class="number">value</th>',
      '<tr class="stressed"><td>b</td><td class="number">–</td></tr>',
      'alt="3 ≤ 5 sure" width="84" height="84"',
      '<b title="wrong">✗</b> 3 ≤ 5\nsure',
      "<td>epochs</td><td>20</td>",
      "<td>out</td><td>–</td>",
      "<td>sizes</td><td>[1,2]</td>",
      "<footer>the end</footer>",
    ]
  ) assertStringIncludes(html, part);
});

Deno.test("renderReport() embeds images whose pixels are those given", () => {
  const html = renderReport({
    title: "t",
    sections: [{
      title: "s",
      blocks: [{ kind: "gallery", items: [{ images: [IMAGE], caption: "" }] }],
    }],
  });
  const data = /data:image\/png;base64,([^"]+)"/.exec(html)![1]!;
  const { pixels } = decodePng(Uint8Array.fromBase64(data));
  assertEquals([...pixels], IMAGE.pixels);
});

Deno.test("renderReport() escapes every text", () => {
  const bad = `"><script>alert('x')</script>&`;
  const html = renderReport({
    title: bad,
    subtitle: bad,
    cards: [{ label: bad, value: bad, note: bad }],
    sections: [{
      title: bad,
      blocks: [
        { kind: "text", text: bad },
        { kind: "charts", charts: [], caption: bad },
        { kind: "table", columns: [bad], rows: [[bad]], caption: bad },
        {
          kind: "gallery",
          items: [{ images: [IMAGE], caption: bad }],
          caption: bad,
        },
      ],
    }],
    settings: { [bad]: bad },
    footer: bad,
  });
  assert(!html.includes("<script") && !html.includes(`"><s`));
  assertEquals(html.match(/alert\(&#39;x&#39;\)/g)!.length, 18);
});

Deno.test("renderReport() loads nothing and forbids scripts", () => {
  const html = renderReport({ title: "t", sections: [] });
  assertStringIncludes(html, "default-src 'none'");
  assert(!/https?:|<link|@import|url\(/.test(html), html);
});
