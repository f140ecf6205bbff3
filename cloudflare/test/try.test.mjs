// What judges the run of cloudflare/try: the oracle, and the places that it sends its reader to.
import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";

import { digest, Oracle } from "../try/oracle.mjs";

function listingOf(rows, files = {}, faults = []) {
  const digests = Object.entries(rows).map(([id, value]) => [Number(id), digest(value)]);
  return { rows: new Map(digests), files: new Map(Object.entries(files)), faults };
}

function oracleOf(rows) {
  const oracle = new Oracle();
  for (const [id, value] of Object.entries(rows)) oracle.acknowledged(Number(id), value);
  return oracle;
}

test("what came back as it was acknowledged is no fault", () => {
  const oracle = oracleOf({ 1: "a", 2: "b" });
  oracle.uploaded({ file: "f", sha256: "5", size: 1 });
  assert.deepEqual(oracle.judge(listingOf({ 1: "a", 2: "b" }, { f: "5" })), { faults: [], lost: 0, rows: 2, files: 1 });
});

test("a row that was not shipped may be lost, one that was may not", () => {
  const oracle = oracleOf({ 1: "a" });
  oracle.learn({ position: 7, durable_position: 6 });
  assert.equal(oracle.unshipped(), 1);
  oracle.learn({ position: 9, durable_position: 7 });
  assert.equal(oracle.unshipped(), 0);
  oracle.acknowledged(2, "b");
  oracle.learn({ position: 10, durable_position: 9 });
  const { faults, lost } = oracle.judge(listingOf({}));
  assert.deepEqual(faults, ["row 1 was acknowledged and shipped, and is missing"]);
  assert.equal(lost, 1);
});

test("another value is a fault, shipped or not", () => {
  const { faults } = oracleOf({ 1: "a" }).judge(listingOf({ 1: "b" }));
  assert.deepEqual(faults, ["row 1 has another value than the one that was acknowledged"]);
});

test("a row that nobody wrote is a fault; one without an answer may be there, once", () => {
  const oracle = oracleOf({});
  oracle.doubted("a");
  assert.deepEqual(oracle.judge(listingOf({ 1: "a", 2: "a" })).faults, ["row 2 was written by nobody"]);
});

test("a file that is missing, different or damaged on the disk is a fault", () => {
  const oracle = oracleOf({});
  oracle.uploaded({ file: "f", sha256: "5", size: 1 });
  oracle.uploaded({ file: "g", sha256: "6", size: 1 });
  const { faults } = oracle.judge(listingOf({}, { f: "7" }, ["file h is named, but not there"]));
  assert.deepEqual(faults, ["file h is named, but not there", "file f is different", "file g is missing"]);
});

test("what came back is in the bucket: it may not get lost later", () => {
  const oracle = oracleOf({ 1: "a" });
  oracle.judge(listingOf({ 1: "a" }));
  assert.equal(oracle.judge(listingOf({})).faults.length, 1);
});

test("every section of docs/CLOUDFLARE.md that a step names is there", () => {
  const read = (name) => fs.readFileSync(new URL(name, import.meta.url), "utf8");
  const anchors = [...read("../../docs/CLOUDFLARE.md").matchAll(/^## (.*)$/gm)].map(([, heading]) =>
    heading.toLowerCase().replace(/[^a-z0-9 -]/g, "").replaceAll(" ", "-"));
  const named = [...(read("../try/steps.mjs") + read("../try/attempt.mjs")).matchAll(/,\s*"([a-z]+(?:-[a-z]+)+)"[\])]/g)].map(([, anchor]) => anchor);
  assert.ok(named.length >= 8, named.join(" "));
  for (const anchor of named) assert.ok(anchors.includes(anchor), anchor);
});
