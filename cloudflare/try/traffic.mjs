// Clients that don't know of deployments: one that writes all the time, one that is in the middle of an upload.
import { createHash, randomBytes } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";

import { until } from "../test/lib/stage.mjs";

const PAUSE_MS = 20;
const RETRY_MS = 100;

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

let serial = 0;

export function nextValue() {
  return `row ${++serial} ${randomBytes(16).toString("hex")}`;
}

// The container's own /status, which nobody outside reaches on the platform.
export async function statusOf({ ports }) {
  return (await fetch(`http://127.0.0.1:${ports.admin}/status`, { headers: { connection: "close" } })).json();
}

// One row after the other, each told to the oracle as what it is: acknowledged, or in doubt.
export class Writer {
  constructor(oracle, deployment) {
    Object.assign(this, { oracle, deployment, process: deployment.process() });
    this.acknowledged = 0;
    this.refusals = []; // {at, status, code, message}
    this.acknowledgedAt = 0;
    this.going = true;
    this.done = this.loop();
  }

  async loop() {
    while (this.going) {
      this.underWay = this.writeOne();
      const wait = await this.underWay;
      await pause(wait);
    }
  }

  async writeOne() {
    const { deployment, oracle } = this;
    const value = nextValue();
    try {
      const { status, body } = await deployment.json("/write", { method: "POST", body: value });
      if (status === 200) return await this.acknowledge(deployment, body.id, value);
      this.refusals.push({ at: Date.now(), status, ...body });
    } catch (error) {
      this.refusals.push({ at: Date.now(), status: 0, message: String(error.cause ?? error) });
    }
    oracle.doubted(value);
    return RETRY_MS;
  }

  async acknowledge(deployment, id, value) {
    this.oracle.acknowledged(id, value);
    this.acknowledged++;
    this.acknowledgedAt = Date.now();
    this.resumedAt ??= this.refusals.length > 0 ? this.acknowledgedAt : undefined;
    const status = await statusOf(deployment.process()).catch(() => undefined);
    if (status) this.oracle.learn(status);
    return PAUSE_MS;
  }

  // As when the address begins to lead to a new Worker. Resolves when nothing is under way to the old one any more.
  async redirect(deployment) {
    this.deployment = deployment;
    await this.underWay;
  }

  async stop() {
    this.going = false;
    await this.done;
  }
}

// Half of an upload, which has arrived in the backend; `finish()` sends the rest and gives the answer.
export async function beginUpload(deployment, size) {
  const content = randomBytes(size);
  const storage = path.join(deployment.process().directory, "storage/files");
  const before = fs.readdirSync(storage).length;
  const request = http.request(new URL("/upload", deployment.url), {
    method: "POST",
    headers: { "content-length": content.length, connection: "close" },
  });
  const answer = new Promise((resolve, reject) => {
    request.on("error", reject);
    request.on("response", async (response) => {
      const text = (await response.toArray()).join("");
      resolve({ status: response.statusCode, text });
    });
  });
  answer.catch(() => {}); // looked at in finish()
  request.write(content.subarray(0, size / 2));
  await until(() => fs.readdirSync(storage).length > before, "the upload to arrive in the backend");
  return {
    sha256: createHash("sha256").update(content).digest("hex"),
    async finish() {
      request.end(content.subarray(size / 2));
      const { status, text } = await answer;
      if (status !== 200) throw new Error(`the upload was answered by ${status}: ${text}`);
      return JSON.parse(text);
    },
  };
}

export async function upload(deployment, size) {
  return (await beginUpload(deployment, size)).finish();
}
