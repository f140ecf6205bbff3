// The real holdfast in a container without a key: its store is the Worker, in front of a bucket of miniflare's R2.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";
import { test } from "node:test";

import { freePort } from "./lib/engine.mjs";
import { HOLDFAST, SAMPLE, Stage, until } from "./lib/stage.mjs";

const STALE = { AWS_ACCESS_KEY_ID: "AKSTALE", AWS_SECRET_ACCESS_KEY: "stale+secret", HOLDFAST_S3_ENDPOINT: "http://127.0.0.1:9" };

async function statusOf({ ports }) {
  return (await fetch(`http://127.0.0.1:${ports.admin}/status`)).json();
}

async function shipped(deployment) {
  await until(async () => {
    const status = await statusOf(deployment.process());
    return status.position === status.durable_position;
  }, "everything to be shipped");
}

// The sample backend's own tools, which know what was acknowledged; `ended` resolves to {code, output}.
function sample(...given) {
  const child = spawn(SAMPLE, given, { stdio: ["ignore", "pipe", "pipe"] });
  const pieces = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => pieces.push(piece));
  const ended = once(child, "close").then(([code]) => ({ code, output: String(Buffer.concat(pieces)) }));
  return { ended, stop: () => child.kill("SIGTERM") };
}

test("a cold start, writes, and everything is there after the disk is gone; the container is given no key", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy({ gateway: true, bindings: STALE });
  const id = await deployment.write("kept");
  const first = deployment.process();
  assert.equal(first.given.HOLDFAST_S3_ENDPOINT, "http://gateway.holdfast.internal");
  assert.ok(!("AWS_ACCESS_KEY_ID" in first.given) && !("AWS_SECRET_ACCESS_KEY" in first.given));
  for (const secret of Object.values(STALE)) assert.ok(!Object.values(first.given).includes(secret), secret);
  const { body } = await deployment.diagnostics();
  assert.ok(!JSON.stringify(body).includes(first.given.HOLDFAST_S3_ACCESS_KEY_ID), "the pass is not shown");
  for (const name of Object.keys(STALE)) assert.ok(body.warnings.some((warning) => warning.startsWith(`${name} is set`)), name);
  await deployment.stop();
  assert.equal(first.exitCode, 0);
  assert.equal(await deployment.read(id), "kept");
  assert.match(deployment.log(), /"restored /);
  assert.notEqual(deployment.process().given.HOLDFAST_S3_ACCESS_KEY_ID, first.given.HOLDFAST_S3_ACCESS_KEY_ID);
});

// A request as any program in the container could send it.
function fromInside(deployment, target, headers = {}) {
  const { hostname, port } = new URL(deployment.process().environment.http_proxy);
  return new Promise((resolve, reject) => {
    const request = http.request({ hostname, port, path: `http://gateway.holdfast.internal${target}`, headers: { host: "gateway.holdfast.internal", ...headers }, agent: false }, async (response) => {
      resolve({ status: response.statusCode, text: String(Buffer.concat(await response.toArray())) });
    });
    request.on("error", reject).end();
  });
}

test("the backend beside holdfast, though in the same container, has no part in the store", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy({ gateway: true });
  await deployment.write("x");
  await shipped(deployment);
  const pass = deployment.process().given.HOLDFAST_S3_ACCESS_KEY_ID;
  const { pid } = deployment.process().child;
  const [backend] = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
  const environment = fs.readFileSync(`/proc/${backend}/environ`, "utf8");
  assert.match(environment, /INSTANCE_SECRET=/);
  assert.ok(!environment.includes(pass));
  for (const target of ["/convex/app/holdfast.json", "/convex?prefix=app/"]) {
    const stranger = await fromInside(deployment, target);
    assert.equal(stranger.status, 403, stranger.text);
    assert.match(stranger.text, /<Code>InvalidAccessKeyId<\/Code>/);
    const { status } = await fromInside(deployment, target, { authorization: `AWS4-HMAC-SHA256 Credential=${pass}/20261121/auto/s3/aws4_request` });
    assert.equal(status, 200, "the test asks where holdfast asks");
  }
});

test("killed under load on a wiped disk: what was shipped is restored; verify and doctor find nothing wrong", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy({ gateway: true });
  await deployment.fetch("/version");
  const oracle = path.join(stage.folder, "oracle");
  const url = deployment.url.href.replace(/\/$/, "");
  const load = sample("load", "--url", url, "--oracle", oracle, "--rate", "100", "--seconds", "0");
  context.after(load.stop);
  await until(async () => fs.existsSync(oracle) && fs.readFileSync(oracle, "utf8").split("\n").length > 100, "some load");
  const durable = Date.now();
  const killed = deployment.process();
  const position = (await statusOf(killed)).position;
  await until(async () => (await statusOf(killed)).durable_position >= position, "what was acknowledged so far to be shipped");
  await deployment.engine.kill(killed, "SIGKILL");
  load.stop();
  await load.ended;
  await until(async () => (await deployment.fetch("/version")).status === 200, "the next process");
  assert.notEqual(deployment.process().directory, killed.directory);
  const checked = await sample("check", "--url", url, "--oracle", oracle, "--allow-lost-after", String(durable)).ended;
  assert.equal(checked.code, 0, checked.output);

  await shipped(deployment);
  const verified = await deployment.inContainer([HOLDFAST, "verify", "--deep"]);
  assert.equal(verified.code, 0, verified.output);
  const apart = { HOLDFAST_DATA_DIR: fs.mkdtempSync(path.join(stage.folder, "data-")) };
  for (const name of ["", "_SITE", "_ADMIN"]) apart[`HOLDFAST${name}_LISTEN`] = `127.0.0.1:${await freePort()}`;
  const doctor = await deployment.inContainer([HOLDFAST, "doctor"], apart);
  assert.equal(doctor.code, 0, doctor.output);
});

test("two owners at once, one with the gateway and one with a key: the newer one has the data, both ways", async (context) => {
  const stage = await Stage.open(context);
  const keyless = await stage.deploy({ gateway: true });
  const id = await keyless.write("by the one without a key");
  await shipped(keyless);
  const process = keyless.process();
  const keyed = await stage.deploy({ bindings: { HOLDFAST_S3_ENDPOINT: keyless.endpoint() }, objects: "others" });
  assert.equal(await keyed.read(id), "by the one without a key");
  const another = await keyed.write("by the one with a key");
  await until(async () => {
    await keyless.fetch("/write", { method: "POST", body: "too late" });
    return process.exitCode !== undefined;
  }, "the older one to notice");
  assert.equal(process.exitCode, 76);

  await shipped(keyed);
  const older = keyed.process();
  await keyless.close();
  const newer = await stage.deploy({ gateway: true, objects: "thirds" });
  assert.equal(await newer.read(another), "by the one with a key");
  assert.equal((await newer.json("/count")).body.writes, 2);
  await keyed.engine.kill(older, "SIGKILL");
});

const TWO_OBJECTS = `
export default { fetch: (request, env) => env.BACKEND.getByName(request.headers.get("x-object")).fetch(request) };
`;

test("two owners at once, both without a key: the newer one has the data, the older one ends", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy({ gateway: true, change: TWO_OBJECTS });
  const ask = (object, target, body) => deployment.json(target, { headers: { "x-object": object }, ...(body ? { method: "POST", body } : {}) });
  const { id } = (await ask("older", "/write", "by the older")).body;
  const [older] = deployment.engine.processes;
  await shipped(deployment);
  assert.equal((await ask("newer", "/count")).body.writes, 1);
  assert.equal((await ask("newer", "/write", "by the newer")).status, 200);
  await until(async () => {
    await ask("older", "/write", "too late");
    return older.exitCode !== undefined;
  }, "the older one to notice");
  assert.equal(older.exitCode, 76);
  const read = await deployment.fetch(`/read?id=${id}`, { headers: { "x-object": "newer" } });
  assert.equal(await read.text(), "by the older");
  assert.equal((await ask("newer", "/count")).body.writes, 2);
});

// Every third request to R2 fails, and of those every other one although R2 has done what it was asked for.
const FAULTY = `
import { Gateway as Whole } from "../../src/gateway";
const messages = ["internal error (10001)", "too many requests (10058)", "Network connection lost."];
let asked = 0;
const faulty = (bucket) => new Proxy(bucket, {
  get: (target, name) => async (...given) => {
    const number = asked++;
    if (number % 3 !== 2) return target[name](...given);
    if (number % 2 === 0) await target[name](...given);
    throw new Error(name + ": " + messages[number % 9 / 3 | 0]);
  },
});
export class Gateway extends Whole {
  constructor(ctx, env) { super(ctx, { ...env, STORE: faulty(env.STORE) }); }
}
`;

test("faults of R2 are tried again, also where it had done what was asked", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy({ gateway: true, change: FAULTY });
  const ids = [];
  for (let number = 0; number < 20; number++) ids.push(await deployment.write(`value ${number}`));
  const first = deployment.process();
  await deployment.stop();
  assert.equal(first.exitCode, 0, deployment.log(first));
  for (const [number, id] of ids.entries()) assert.equal(await deployment.read(id), `value ${number}`);
  assert.equal((await deployment.json("/count")).body.writes, 20);
});

test("nobody but the container reaches the gateway", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy({ gateway: true });
  await deployment.write("secret enough");
  await shipped(deployment);
  const paths = ["/convex/app/holdfast.json", "/convex?prefix=app/", "/convex/app/probe", "/app/holdfast.json"];
  for (const host of ["gateway.holdfast.internal", "gateway.holdfast.internal:80", "convex.gateway.holdfast.internal"])
    for (const target of paths) {
      const response = await deployment.miniflare.dispatchFetch(`http://${host}${target}`, { headers: { host } });
      const text = await response.text();
      assert.notEqual(response.status, 200, `${host} ${target}`);
      assert.doesNotMatch(text, /lineage|ListBucketResult|NoSuchKey|<Error>/, `${host} ${target}`);
    }
});

test("half of the settings is said in a sentence, and starts nothing", async (context) => {
  const stage = await Stage.open(context);
  const unbound = await stage.deploy({ bindings: { WORKER_GATEWAY: "on" } });
  const { status, body } = await unbound.json("/version");
  assert.deepEqual([status, body.code], [503, "MissingSetting"]);
  assert.match(body.message, /^WORKER_GATEWAY is on, but there is no R2 binding STORE: .*"bucket_name": "convex"/);
  const off = await stage.deploy({ gateway: true, bindings: { WORKER_GATEWAY: undefined }, objects: "others" });
  const other = (await off.json("/version")).body;
  assert.equal(other.code, "MissingSecret");
  assert.match(other.message, /or set WORKER_GATEWAY to on/);
  assert.equal(unbound.engine.processes.length + off.engine.processes.length, 0);
});

const ABORTABLE = `
import { Backend as Whole } from "../../src/backend";
export class Backend extends Whole {
  fetch(request) {
    if (new URL(request.url).pathname === "/abort") this.ctx.abort("as an eviction");
    return super.fetch(request);
  }
}
`;

test("an object that is evicted while the container runs gives it the gateway again", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy({ gateway: true, change: ABORTABLE });
  await deployment.write("before");
  const given = [];
  deployment.engine.told = ({ names = [] }) => given.push(...names);
  await deployment.fetch("/abort");
  const id = await deployment.write("after");
  assert.equal(deployment.engine.processes.length, 1, "the container ran on");
  assert.deepEqual(given, ["gateway.holdfast.internal"]);
  const first = deployment.process();
  await deployment.stop();
  assert.equal(first.exitCode, 0);
  assert.equal(await deployment.read(id), "after");
});

test("a Worker that turns it off: the container of the last one still ships what it has to where it was told", async (context) => {
  const stage = await Stage.open(context);
  const deployment = await stage.deploy({ gateway: true, bindings: { HOLDFAST_SYNC_INTERVAL: "1h" } });
  const id = await deployment.write("not shipped yet");
  const first = deployment.process();
  await deployment.replace({ WORKER_GATEWAY: "off", AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret", HOLDFAST_STORE: "s3://convex/elsewhere" });
  await deployment.stop();
  assert.equal(first.exitCode, 0, deployment.log(first));
  await deployment.replace({ WORKER_GATEWAY: "on", HOLDFAST_STORE: "s3://convex/app" });
  assert.equal(await deployment.read(id), "not shipped yet");
  assert.equal(deployment.engine.processes.length, 2);
});
