// From nothing to an answer, and what a client is told when that takes long or fails.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Stage, until } from "./lib/stage.mjs";

const JSON_TYPE = /^application\/json/;

test("a cold start answers, and what was written is there after the disk is gone", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy();
  const id = await deployment.write("kept");
  const first = deployment.process();
  assert.equal((await deployment.stop()).status, 200);
  assert.equal(first.exitCode, 0);
  assert.equal(await deployment.read(id), "kept");
  assert.notEqual(deployment.process().directory, first.directory);
  assert.match(deployment.log(), /"restored /);
});

test("concurrent first requests share one start", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy();
  const answers = await Promise.all(Array.from({ length: 20 }, () => deployment.fetch("/version").then((response) => response.status)));
  assert.deepEqual(new Set(answers), new Set([200]));
  assert.equal(deployment.engine.processes.length, 1);
});

test("what the Worker says about itself starts no container", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy();
  const health = await deployment.json("/_worker/health");
  assert.equal(health.status, 503);
  assert.deepEqual(health.body, { serving: false, running: false });
  assert.equal((await deployment.diagnostics()).status, 200);
  assert.equal((await deployment.diagnostics("guess")).status, 401);
  assert.equal((await deployment.fetch("/_holdfast/ready")).status, 404);
  assert.equal(deployment.engine.processes.length, 0);
});

test("diagnostics name no secret", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy();
  await deployment.write("x");
  const text = JSON.stringify((await deployment.diagnostics()).body);
  for (const secret of ["AKLOCAL", "odd=characters", "0123456789abcdef", "tell-me"]) assert.ok(!text.includes(secret), secret);
});

test("routes, the host of the HTTP actions, and forwarded fields", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy({ bindings: { WORKER_ROUTES: undefined, WORKER_SITE_HOST: "actions.example" } });
  assert.equal((await deployment.fetch("/version")).status, 200);
  assert.equal((await deployment.fetch("/instance_name")).status, 200);
  assert.equal((await deployment.fetch("/headers")).status, 404);
  assert.equal(await (await deployment.fetch("/http/hook?a=1")).text(), "GET /http/hook?a=1\n");
  const action = await deployment.miniflare.dispatchFetch("http://actions.example/hook?a=1", { method: "POST", body: "x" });
  assert.equal(await action.text(), "POST /http/hook?a=1\n");
  assert.equal((await deployment.miniflare.dispatchFetch("http://actions.example/_holdfast/live")).status, 404);
});

test("the backend sees the public host and the client's address", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy();
  const response = await deployment.miniflare.dispatchFetch("https://my.example/headers", {
    headers: { "cf-connecting-ip": "192.0.2.7", "x-forwarded-for": "203.0.113.9" },
  });
  const text = await response.text();
  assert.match(text, /^x-forwarded-host: my\.example\r?$/im);
  assert.match(text, /^x-forwarded-proto: https\r?$/im);
  assert.match(text, /^x-forwarded-for: 192\.0\.2\.7/im);
  assert.doesNotMatch(text, /203\.0\.113\.9/);
});

test("a start that takes too long: a program gets JSON, a person a page, both Retry-After", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy({ bindings: { HOLDFAST_S3_ENDPOINT: "http://127.0.0.1:9", WORKER_HOLD: "300ms" } });
  const program = await deployment.json("/version");
  assert.equal(program.status, 503);
  assert.equal(program.headers.get("retry-after"), "2");
  assert.match(program.headers.get("content-type"), JSON_TYPE);
  assert.equal(program.body.code, "Starting");
  const person = await deployment.fetch("/version", { headers: { accept: "text/html,*/*" } });
  assert.equal(person.status, 503);
  assert.equal(person.headers.get("retry-after"), "2");
  assert.match(await person.text(), /<meta http-equiv="refresh" content="2">/);
  assert.equal(deployment.engine.processes.length, 1);
});

test("a restore that fails is shown to the client, and not tried again at once", async (context) => {
  const stage = await Stage.open(context);
  const first = await stage.deploy();
  await first.write("precious");
  await first.stop();
  await first.close();
  const bucket = await stage.bucket();
  const { objects } = await bucket.list();
  const parts = objects.filter(({ key }) => /\/part\//.test(key));
  assert.ok(parts.length > 0, objects.map(({ key }) => key).join(" "));
  for (const { key } of parts) await bucket.delete(key);

  const second = await stage.deploy();
  const { status, headers, body } = await second.json("/read?id=1");
  assert.equal(status, 503, JSON.stringify(body));
  assert.equal(body.code, "StartFailed");
  assert.equal(body.exit_code, 65);
  const [, sentence] = /"level":"error","message":"(.*?)"}/.exec(second.log());
  assert.match(sentence, /part\/[0-9a-f]+/);
  assert.equal(body.message, `The container ended with exit code 65: ${sentence}.`, "not holdfast's own sentence");
  assert.ok(Number(headers.get("retry-after")) > 1);
  assert.equal((await second.json("/write", { method: "POST", body: "on nothing" })).body.code, "StartFailed");
  const page = await second.fetch("/", { headers: { accept: "text/html" } });
  assert.ok((await page.text()).includes(sentence));
  assert.equal((await second.diagnostics()).body.process.end.reason, sentence);
  assert.equal(second.engine.processes.length, 1);
});

test("a command that is not there is said, too", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy({ command: ["/nowhere/holdfast"] });
  const { status, body } = await deployment.json("/version");
  assert.equal(status, 503);
  assert.match(body.message, /container/);
});

test("a Worker without its secrets says which and how to set them, and starts nothing", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy({ bindings: { AWS_SECRET_ACCESS_KEY: undefined } });
  for (const target of ["/version", "/_worker/health", "/nowhere"]) {
    const { status, body } = await deployment.json(target);
    assert.equal(status, 503);
    assert.equal(body.code, "MissingSecret");
    assert.match(body.message, /^The secret AWS_SECRET_ACCESS_KEY is missing; .*npx wrangler secret put AWS_SECRET_ACCESS_KEY$/);
  }
  assert.equal(deployment.engine.processes.length, 0);
});

test("the cron starts the container, and starts it again when it has ended", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy();
  const worker = await deployment.miniflare.getWorker();
  await worker.scheduled();
  assert.equal((await deployment.json("/_worker/health")).status, 200);
  await deployment.stop();
  await worker.scheduled();
  await until(() => deployment.engine.processes.length === 2, "a second process");
});
