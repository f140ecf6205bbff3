// A WebSocket through all layers: client, Worker, Durable Object, holdfast, backend.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";

import { Stage, until } from "./lib/stage.mjs";

async function open(deployment) {
  const socket = deployment.webSocket("/api/sync");
  socket.binaryType = "arraybuffer";
  await once(socket, "open");
  return socket;
}

async function ask(socket, message) {
  const answer = once(socket, "message");
  socket.send(message);
  const [{ data }] = await answer;
  return data;
}

test("it starts the container; texts and bytes come back, and a commit through it stays", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy({ bindings: { WORKER_ROUTES: undefined } });
  const socket = await open(deployment);
  assert.equal(await ask(socket, "hello"), "hello");
  const bytes = Uint8Array.from({ length: 100_000 }, (_, at) => at % 251);
  assert.ok(Buffer.from(bytes).equals(Buffer.from(await ask(socket, bytes))), "the same bytes");
  const { id } = JSON.parse(await ask(socket, "write through the socket"));
  assert.ok(id > 0);
  const closed = once(socket, "close");
  socket.close(1000, "done");
  assert.equal((await closed)[0].code, 1000);
});

test("messages arrive without being asked for, in order", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy();
  const socket = await open(deployment);
  const got = [];
  socket.addEventListener("message", ({ data }) => got.push(data));
  socket.send("push 20 5");
  await until(() => got.length === 20, "20 messages");
  assert.deepEqual(got, Array.from({ length: 20 }, (_, at) => `push ${at + 1}`));
  socket.close();
});

test("the backend's close code reaches the client", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy();
  const socket = await open(deployment);
  const closed = once(socket, "close");
  socket.send("close 4001");
  assert.equal((await closed)[0].code, 4001);
  await until(async () => (await deployment.diagnostics()).body.busy === 0, "nothing to be busy with");
});

test("the client's close reaches the backend", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy();
  const socket = await open(deployment);
  socket.close(4002, "enough");
  await until(() => /websocket closed by the client with 4002/.test(deployment.log()), "the backend to see 4002");
});

test("when the container dies the client is told at once, and can come again", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy();
  const socket = await open(deployment);
  const closed = once(socket, "close");
  await deployment.engine.kill(deployment.process(), "SIGKILL");
  assert.equal((await closed)[0].code, 1012);
  await until(async () => (await deployment.fetch("/version")).status === 200, "the next process");
  const again = await open(deployment);
  assert.equal(await ask(again, "hello again"), "hello again");
  again.close();
});

test("a clean stop closes it with 1001", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy();
  const socket = await open(deployment);
  const closed = once(socket, "close");
  await deployment.stop();
  assert.equal((await closed)[0].code, 1001);
  assert.equal(deployment.process().exitCode, 0);
});

test("an open socket keeps the container awake", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy({ bindings: { WORKER_SLEEP_AFTER: "300ms" } });
  const socket = await open(deployment);
  const process = deployment.process();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.equal(process.exitCode, undefined);
  assert.equal(await ask(socket, "awake"), "awake");
  socket.close();
  await until(() => process.exitCode !== undefined, "sleep after the close");
  assert.equal(process.exitCode, 0);
});
