// What the way through workerd costs: `npm run bench [ROUNDS]`. Needs ./holdfast and build/gcc/backend.
//
// Cold start: from a client's request, with no container, to the last byte of the answer, after a restore of 50 MB
// from miniflare's R2; and what of that went where, by the moments that the engine and the container's log tell.
// The gateway: the same, in turn with the direct way and from the same bucket, and what one record costs to create.
// Overhead: the same small GET, one after the other on one connection, through ever more layers.
import { performance } from "node:perf_hooks";
import { execFileSync } from "node:child_process";
import http from "node:http";
import os from "node:os";

import { CREDENTIALS, SAMPLE, Stage, until } from "../test/lib/stage.mjs";
import { signed } from "./sign.mjs";

const ROUNDS = Number(process.argv[2] ?? 7);
const REQUESTS = 400;
const BYTES = "50MiB";
const RECORD_BYTES = 2000;

function middle(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

function show(what, values) {
  const text = (value) => value.toFixed(value < 10 ? 2 : 0);
  console.log(`${what.padEnd(64)} ${text(middle(values))} (${text(Math.min(...values))} to ${text(Math.max(...values))}) ms`);
}

function saidAt(log, pattern) {
  const line = log.split("\n").find((text) => pattern.test(text));
  return Date.parse(JSON.parse(line).time);
}

// For the first container; the others have to restore it.
function generateOnce() {
  let done = false;
  return (directory) => {
    if (!done) execFileSync(SAMPLE, ["generate", "--data", directory, "--bytes", BYTES]);
    done = true;
  };
}

async function coldStart(deployment) {
  const begun = Date.now();
  await (await deployment.fetch("/version")).text();
  const total = Date.now() - begun;
  const process = deployment.process();
  const log = deployment.log();
  const restored = saidAt(log, /"restored /);
  const answers = saidAt(log, /the backend answers/);
  return {
    total,
    start: process.begun - begun,
    restore: restored - process.begun,
    backend: answers - restored,
    back: begun + total - answers,
  };
}

// Stopped again, for the next one.
async function coldStartAndStop(deployment) {
  const round = await coldStart(deployment);
  const { exitCode } = (await deployment.stop()).body.process.end;
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}: ${deployment.log()}`);
  return round;
}

const PARTS = [
  ["… until the container's process runs (Worker, object, engine)", "start"],
  ["… holdfast: from its start to the restored directory", "restore"],
  ["… the backend: launch to its first answer", "backend"],
  ["… noticed by the object, asked, and back at the client", "back"],
];

function showRounds(what, rounds) {
  show(what, rounds.map(({ total }) => total));
  for (const [text, name] of PARTS) show(text, rounds.map((round) => round[name]));
}

function create({ agent, hostname, port, path, host, keys }, body) {
  const headers = signed({ method: "PUT", host, path: new URL(path, `http://${host}`).pathname, body, headers: { "if-none-match": "*" }, ...keys });
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    const request = http.request({ agent, hostname, port, path, method: "PUT", headers }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${path}: ${response.statusCode}`));
      response.resume().on("end", () => resolve(performance.now() - begun));
    });
    request.on("error", reject).end(body);
  });
}

// Records as small as they mostly are, one after the other, in turn; each way on one connection.
async function creations(gateway) {
  const { http_proxy: proxyUrl, HOLDFAST_S3_ACCESS_KEY_ID: accessKeyId } = gateway.process().environment;
  const proxy = new URL(proxyUrl);
  const base = new URL(gateway.endpoint());
  const agents = [0, 1].map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }));
  const ways = {
    direct: { agent: agents[0], hostname: base.hostname, port: base.port, host: base.host, at: base.pathname, keys: CREDENTIALS },
    gateway: {
      agent: agents[1], hostname: proxy.hostname, port: proxy.port, host: "gateway.holdfast.internal", at: "http://gateway.holdfast.internal",
      keys: { accessKeyId, secretAccessKey: "none" },
    },
  };
  const spent = { direct: [], gateway: [] };
  for (let number = 0; number < REQUESTS + 20; number++)
    for (const [name, way] of Object.entries(ways))
      spent[name].push(await create({ ...way, path: `${way.at}/convex/app/bench/${name}-${number}` }, Buffer.alloc(RECORD_BYTES, number)));
  for (const agent of agents) agent.destroy();
  for (const [name, values] of Object.entries(spent)) show(`a record of 2 KB created, ${name}`, values.slice(20));
}

// Both from one bucket, so that only the way to it differs.
async function compareGateway() {
  const gateway = await stage.deploy({ gateway: true, prepare: generateOnce() });
  const direct = await stage.deploy({ bindings: { HOLDFAST_S3_ENDPOINT: gateway.endpoint() }, objects: "direct" });
  await (await gateway.fetch("/version")).text();
  await allShipped(gateway);
  await gateway.stop();
  const rounds = { direct: [], gateway: [] };
  for (let at = 0; at < ROUNDS; at++) {
    rounds.direct.push(await coldStartAndStop(direct));
    rounds.gateway.push(await coldStartAndStop(gateway));
  }
  console.log(gateway.log().split("\n").find((line) => /"restored /.test(line)));
  for (const [name, values] of Object.entries(rounds)) showRounds(`cold start with a restore of 50 MB, ${name}`, values);
  await (await gateway.fetch("/version")).text();
  await creations(gateway);
  await gateway.stop();
}

async function allShipped(deployment) {
  const { ports } = deployment.process();
  await until(async () => {
    const status = await (await fetch(`http://127.0.0.1:${ports.admin}/status`)).json();
    return status.durable_position === status.position && status.durable_record > 0;
  }, "50 MB to be shipped", 120_000);
}

function once(agent, url) {
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    http.get(url, { agent }, (response) => response.resume().on("end", () => resolve(performance.now() - begun))).on("error", reject);
  });
}

async function overhead(url) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const spent = [];
  for (let at = 0; at < REQUESTS + 50; at++) spent.push(await once(agent, url));
  agent.destroy();
  return spent.slice(50);
}

const closing = [];
const stage = await Stage.open({ after: (close) => closing.push(close) });
try {
  const revision = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  console.log(`${new Date().toISOString()}, commit ${revision}, load ${os.loadavg()[0].toFixed(1)}, ${ROUNDS} rounds`);
  const first = await stage.deploy({ prepare: generateOnce() });
  await (await first.fetch("/version")).text();
  await allShipped(first);
  await first.stop();
  const rounds = [];
  for (let at = 0; at < ROUNDS; at++) {
    rounds.push(await coldStart(first));
    if (at < ROUNDS - 1) await first.stop();
  }
  console.log(first.log().split("\n").find((line) => /"restored /.test(line)));
  showRounds("cold start with a restore of 50 MB", rounds);
  const front = first.process().ports;
  show("GET, the backend alone", await overhead(`http://127.0.0.1:${front.upstream}/version`));
  show("GET through holdfast", await overhead(`http://127.0.0.1:${front.front}/version`));
  show("GET through Worker, object and holdfast", await overhead(new URL("/version", first.url)));
  await first.stop();
  await compareGateway();
} finally {
  for (const close of closing) await close();
}
