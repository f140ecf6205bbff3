// How a container ends, and what comes after: a crash, sleep, a redeployment, a second owner.
import assert from "node:assert/strict";
import { test } from "node:test";

import { beginUpload } from "../try/traffic.mjs";
import { Stage, until } from "./lib/stage.mjs";

const ANSWER_MS = 10_000;

async function shipped(deployment) {
  const { ports } = deployment.process();
  await until(async () => {
    const status = await (await fetch(`http://127.0.0.1:${ports.admin}/status`)).json();
    return status.position === status.durable_position;
  }, "everything to be shipped");
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ANSWER_MS} ms`)), ANSWER_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

test("a crash in mid-request: told at once, a mutation is never sent again, the next request starts anew", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy();
  const id = await deployment.write("before");
  await shipped(deployment);
  const mutation = deployment.json("/hold?ms=30000", { method: "POST" });
  const query = deployment.json("/sleep?ms=30000");
  const first = deployment.process();
  await until(async () => (await deployment.diagnostics()).body.busy === 2, "both requests to be under way");
  await deployment.engine.kill(first, "SIGKILL");

  const lost = await within(mutation, "the answer to the mutation");
  assert.equal(lost.status, 502);
  assert.equal(lost.body.code, "BackendLost");
  assert.equal(lost.body.exit_code, 137);
  assert.match(lost.body.message, /not sent again/);
  const asked = await within(query, "the answer to the query");
  assert.equal(asked.status, 503);
  assert.ok(asked.headers.get("retry-after"));
  assert.equal(deployment.engine.processes.length, 1, "nothing is sent again");

  await until(async () => (await deployment.fetch("/version")).status === 200, "the next process");
  assert.equal(await deployment.read(id), "before");
  assert.equal(deployment.engine.processes.length, 2);
  assert.equal(deployment.process().given.HOLDFAST_PREDECESSOR, "gone");
});

test("the first start is told nothing about a predecessor", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy();
  await deployment.fetch("/version");
  assert.equal(deployment.process().given.HOLDFAST_PREDECESSOR, undefined);
});

test("an idle container is put to sleep with everything shipped, and wakes with the next request", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy({ bindings: { WORKER_SLEEP_AFTER: "500ms", HOLDFAST_SYNC_INTERVAL: "1h" } });
  const id = await deployment.write("only the flush ships this");
  const first = deployment.process();
  await until(() => first.exitCode !== undefined, "sleep");
  assert.equal(first.exitCode, 0);
  await (await deployment.miniflare.getWorker()).scheduled();
  assert.equal(deployment.engine.processes.length, 1, "the cron wakes nobody");
  assert.equal(await deployment.read(id), "only the flush ships this");
  assert.equal(deployment.engine.processes.length, 2);
  assert.equal(deployment.process().given.HOLDFAST_PREDECESSOR, "gone");
});

test("a response that is still being sent keeps the container awake", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy({ bindings: { WORKER_SLEEP_AFTER: "300ms" } });
  await deployment.fetch("/version");
  const signals = [];
  deployment.engine.told = ({ event }) => event === "signal" && signals.push(Date.now());
  const text = await (await deployment.fetch("/stream?ms=150&n=10")).text();
  const whole = Date.now();
  assert.equal(text.trim().split("\n").length, 10);
  await until(() => signals.length > 0, "sleep");
  assert.ok(signals[0] > whole, "it was not stopped before the last byte");
});

test("requests that come while it goes to sleep wait for the next start", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy();
  const id = await deployment.write("kept");
  const first = deployment.process();
  const stop = deployment.stop();
  await until(async () => first.exitCode !== undefined || (await deployment.diagnostics()).body.stopping, "the stop to begin");
  assert.deepEqual(await Promise.all([deployment.read(id), deployment.read(id)]), ["kept", "kept"]);
  await stop;
  assert.equal(first.exitCode, 0);
  assert.equal(deployment.engine.processes.length, 2);
});

test("a redeployment finds everything, and tells the new container that the old one is gone", async (context) => {
  const stage = await Stage.open(context);
  const first = await stage.deploy();
  const id = await first.write("one");
  await first.stop();
  await first.close();
  const second = await stage.deploy();
  assert.equal(await second.read(id), "one");
  assert.equal(second.process().given.HOLDFAST_PREDECESSOR, "gone");
});

test("an object that comes to another place while its container is being stopped there tells the new one to wait", async (context) => {
  const stage = await Stage.open(context);
  const older = await stage.deploy({ bindings: { HOLDFAST_SHUTDOWN_TIMEOUT: "5m" } });
  const id = await older.write("one");
  const process = older.process();
  const slow = await beginUpload(older, 100_000); // which the old container lets end
  process.send("SIGTERM"); // the platform's, past the object
  const refused = await until(async () => {
    const answer = await older.json("/version");
    return answer.status === 503 && answer;
  }, "the old container to refuse new work");
  assert.equal(refused.headers.get("x-holdfast"), "1");
  assert.ok((await older.diagnostics()).body.process.leaving, "the object doesn't know that its container ends");

  const newer = await stage.deploy({ objects: "elsewhere", inherits: "objects" });
  const read = newer.read(id);
  await until(() => newer.process(), "the new container to start");
  assert.equal(process.exitCode, undefined, "nothing overlapped");
  assert.equal(newer.process().given.HOLDFAST_PREDECESSOR, "alive");
  const { sha256 } = await slow.finish();
  assert.equal(sha256, slow.sha256);
  assert.equal(await read, "one");
  await process.exited;
  assert.equal(process.exitCode, 0, "the new one did not wait, and the old one was fenced");
});

test("an object that comes to another place knowing of no end leaves it to the log, and the old container is fenced", async (context) => {
  const stage = await Stage.open(context);
  const older = await stage.deploy();
  const id = await older.write("one");
  await shipped(older);
  const newer = await stage.deploy({ objects: "elsewhere", inherits: "objects" });
  assert.equal(await newer.read(id), "one");
  assert.equal(newer.process().given.HOLDFAST_PREDECESSOR, undefined);
  assert.equal((await newer.diagnostics()).body.process.number, 2, "the object has forgotten its first container");
  await until(async () => {
    await older.fetch("/write", { method: "POST", body: "too late" });
    return older.process().exitCode !== undefined;
  }, "the older one to notice");
  assert.equal(older.process().exitCode, 76);
});

test("two owners at once: the newer one has the data, the older one ends, says why and doesn't fight", async (context) => {
  const stage = await Stage.open(context);
  const older = await stage.deploy();
  const id = await older.write("by the older");
  await shipped(older);
  const newer = await stage.deploy({ objects: "others" });
  assert.equal(await newer.read(id), "by the older");
  const another = await newer.write("by the newer");

  const process = older.process();
  await until(async () => {
    await older.fetch("/write", { method: "POST", body: "too late" });
    return process.exitCode !== undefined;
  }, "the older one to notice");
  assert.equal(process.exitCode, 76);
  const { status, body } = await older.json("/write", { method: "POST", body: "too late" });
  assert.equal(status, 503);
  assert.equal(body.exit_code, 76);
  assert.match(body.message, /another container has taken over/);
  assert.equal(older.engine.processes.length, 1);
  assert.equal(await newer.read(another), "by the newer");

  await newer.stop();
  assert.equal(await newer.read(another), "by the newer");
  assert.equal((await newer.json("/count")).body.writes, 2);
});
