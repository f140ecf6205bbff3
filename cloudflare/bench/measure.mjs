// What the way through workerd costs: `npm run bench [ROUNDS]`. Needs ./holdfast and build/gcc/backend.
//
// Cold start: from a client's request, with no container, to the last byte of the answer, after a restore of 50 MB
// from miniflare's R2; and what of that went where, by the moments that the engine and the container's log tell.
// Overhead: the same small GET, one after the other on one connection, through ever more layers.
import { performance } from "node:perf_hooks";
import { execFileSync } from "node:child_process";
import http from "node:http";
import os from "node:os";

import { SAMPLE, Stage, until } from "../test/lib/stage.mjs";

const ROUNDS = Number(process.argv[2] ?? 7);
const REQUESTS = 400;
const BYTES = "50MiB";

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
  const { ports } = first.process();
  await until(async () => {
    const status = await (await fetch(`http://127.0.0.1:${ports.admin}/status`)).json();
    return status.durable_position === status.position && status.durable_record > 0;
  }, "50 MB to be shipped", 120_000);
  await first.stop();
  const rounds = [];
  for (let at = 0; at < ROUNDS; at++) {
    rounds.push(await coldStart(first));
    if (at < ROUNDS - 1) await first.stop();
  }
  console.log(first.log().split("\n").find((line) => /"restored /.test(line)));
  show("cold start with a restore of 50 MB", rounds.map(({ total }) => total));
  show("… until the container's process runs (Worker, object, engine)", rounds.map(({ start }) => start));
  show("… holdfast: from its start to the restored directory", rounds.map(({ restore }) => restore));
  show("… the backend: launch to its first answer", rounds.map(({ backend }) => backend));
  show("… noticed by the object, asked, and back at the client", rounds.map(({ back }) => back));
  const front = first.process().ports;
  show("GET, the backend alone", await overhead(`http://127.0.0.1:${front.upstream}/version`));
  show("GET through holdfast", await overhead(`http://127.0.0.1:${front.front}/version`));
  show("GET through Worker, object and holdfast", await overhead(new URL("/version", first.url)));
} finally {
  for (const close of closing) await close();
}
