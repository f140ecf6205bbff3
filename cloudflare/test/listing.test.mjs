// Listings of the gateway, read the way holdfast reads them: the next page begins behind the last key.
import assert from "node:assert/strict";
import { test } from "node:test";

import { GatewayStage } from "./lib/gateway.mjs";

const NAMES = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'" };

function entriesOf(document) {
  return [...document.matchAll(/<Contents><Key>([^<]*)<\/Key><Size>(\d+)<\/Size><\/Contents>/g)].map(([, key, size]) => ({
    key: key.replace(/&\w+;/g, (name) => NAMES[name]),
    size: Number(size),
  }));
}

async function page(stage, query) {
  const target = `/convex?${Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&")}`;
  const answer = await stage.ask("GET", target);
  assert.equal(answer.status, 200, String(answer.body));
  assert.equal(answer.headers["content-type"], "application/xml");
  const document = String(answer.body);
  assert.match(document, /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<ListBucketResult>.*<\/ListBucketResult>$/s);
  const [, truncated] = /<IsTruncated>(true|false)<\/IsTruncated>/.exec(document);
  return { entries: entriesOf(document), more: truncated === "true" };
}

async function all(stage, prefix, limit, after = "") {
  const found = [];
  for (let more = true, marker = after, pages = 0; more; pages++) {
    const query = { "max-keys": limit, prefix, ...(marker ? { marker } : {}) };
    const seen = await page(stage, query);
    assert.ok(seen.entries.length <= limit);
    assert.ok(!seen.more || seen.entries.length > 0, "a page is empty while more follow");
    assert.ok(pages < 10_000, "it ends");
    found.push(...seen.entries);
    marker = seen.entries.at(-1)?.key;
    more = seen.more;
  }
  return found;
}

test("1,234 keys come in order, each once, whatever the size of a page", async (context) => {
  const stage = await GatewayStage.open(context);
  const keys = Array.from({ length: 1234 }, (_, number) => `app/log/${String(number).padStart(16, "0")}`);
  await stage.run("fill", [...keys, "app/base/1", "app/logs", "application/log/1", "log/1", "zzz"]);
  for (const limit of [1000, 999, 100]) {
    const found = await all(stage, "app/log/", limit);
    assert.deepEqual(found.map(({ key }) => key), keys, `pages of ${limit}`);
    assert.ok(found.every(({ key, size }) => size === key.length % 5));
  }
  assert.equal((await page(stage, { prefix: "app/log/", "max-keys": 5000 })).entries.length, 1000);
  assert.deepEqual((await all(stage, "app/log/", 1000, keys[1230])).map(({ key }) => key), keys.slice(1231));
  assert.deepEqual((await all(stage, "app/log/", 1000, "app/log/0000000000001230x")).map(({ key }) => key), keys.slice(1231));
  assert.deepEqual(await all(stage, "app/log/", 1000, "app/log/9"), []);
  assert.deepEqual((await page(stage, { prefix: "app/none/" })), { entries: [], more: false });
});

test("the whole prefix can be listed, and nothing beside it", async (context) => {
  const stage = await GatewayStage.open(context);
  await stage.run("fill", ["app/holdfast.json", "app/log/1", "application/x", "ap", "other"]);
  assert.deepEqual((await all(stage, "app/", 1)).map(({ key }) => key), ["app/holdfast.json", "app/log/1"]);
  for (const query of ["prefix=app", "prefix=", "", "prefix=other", "prefix=application/", "prefix=/app/", "marker=app/"]) {
    const answer = await stage.ask("GET", `/convex?${query}`);
    assert.deepEqual([answer.status, answer.code], [403, "AccessDenied"], query);
  }
  assert.deepEqual((await all(stage, "app/", 1000, "a")).map(({ key }) => key), ["app/holdfast.json", "app/log/1"], "a marker before the prefix");
});

test("strange keys of others are written as XML has it, or left out where it has no way to", async (context) => {
  const stage = await GatewayStage.open(context);
  const written = ["app/a&b<c>\"d'", "app/é", "app/𝄞", "app/</Key><Key>x", "app/]]>", "app/ space ", "app/%41", "app/a+b"];
  const silent = ["app/a\u0001b", "app/line\nfeed", "app/tab\t", "app/\ufffe"];
  await stage.run("fill", [...written, ...silent]);
  const byBytes = [...written].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
  for (const limit of [1000, 1]) assert.deepEqual((await all(stage, "app/", limit)).map(({ key }) => key), byBytes, `pages of ${limit}`);
});

test("more keys that can't be written than a page holds don't end the listing", async (context) => {
  const stage = await GatewayStage.open(context);
  await stage.run("fill", [...Array.from({ length: 25 }, (_, number) => `app/a\u0001${number}`), "app/b", "app/c\u0001"]);
  assert.deepEqual((await all(stage, "app/", 10)).map(({ key }) => key), ["app/b"]);
});
