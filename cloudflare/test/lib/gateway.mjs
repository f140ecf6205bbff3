// The gateway alone in workerd, in front of a bucket of miniflare's R2; no container. Requests are sent by node:http,
// which leaves paths as they are written.
import { createHash } from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";
import { Miniflare } from "miniflare";

const HERE = path.dirname(fileURLToPath(import.meta.url));

// The entrypoint as the Worker exports it, reached by HTTP here alone. R2 fails with what `x-test-fault` says.
const WORKER = `
import { Gateway as Whole } from "../../src/gateway";
let fault = "";
const failing = (bucket) => new Proxy(bucket, {
  get: (target, name) => async (...given) => {
    if (fault) throw new Error(name + ": " + fault);
    return target[name](...given);
  },
});
// As a platform might hand a request on: with its Content-Length, but with a body of which R2 can't see the length.
const withoutLength = (request) => new Request(request, { body: request.body.pipeThrough(new TransformStream()) });
const TASKS = {
  fill: async (bucket, keys) => {
    while (keys.length > 0) await Promise.all(keys.splice(0, 200).map((key) => bucket.put(key, "x".repeat(key.length % 5))));
  },
  // For each writer whether its body was taken.
  race: async (bucket, { key, bodies }) => {
    const onlyIf = new Headers({ "if-none-match": "*" });
    const stored = await Promise.all(bodies.map((body) => bucket.put(key, body, { onlyIf })));
    return stored.map((object) => object !== null);
  },
};
export class Gateway extends Whole {
  constructor(ctx, env) { super(ctx, { ...env, STORE: env.STORE && failing(env.STORE) }); }
}
export default {
  async fetch(request, env, ctx) {
    fault = request.headers.get("x-test-fault") ?? "";
    const own = TASKS[request.headers.get("x-test-task")];
    if (own) return Response.json((await own(env.STORE, await request.json())) ?? null);
    const gateway = ctx.exports.Gateway({ props: { place: env.PLACE, pass: env.PASS } });
    return gateway.fetch(request.headers.has("x-test-lengthless") ? withoutLength(request) : request);
  },
};
`;

const PASS = "0123456789abcdef0123456789abcdef";

// What holdfast would send; a signature is not looked at.
export function authorization(pass = PASS) {
  return `AWS4-HMAC-SHA256 Credential=${pass}/20261121/auto/s3/aws4_request,SignedHeaders=host;x-amz-date,Signature=00`;
}

let bundle;

function script() {
  bundle ??= build({
    stdin: { contents: WORKER, resolveDir: HERE, loader: "ts" },
    bundle: true,
    format: "esm",
    target: "es2022",
    external: ["cloudflare:*"],
    write: false,
  }).then((built) => built.outputFiles[0].text);
  return bundle;
}

export function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

export class GatewayStage {
  // `store` is HOLDFAST_STORE today, `place` where the container was told to go when it started.
  static async open(context, { store = "s3://convex/app", place = { bucket: "convex", prefix: "app/" } } = {}) {
    const stage = new GatewayStage();
    stage.folder = fs.mkdtempSync(path.join(os.tmpdir(), "gateway-"));
    stage.miniflare = new Miniflare({
      modules: true,
      script: await script(),
      compatibilityDate: "2026-04-01",
      bindings: { HOLDFAST_STORE: store, PLACE: place, PASS },
      r2Buckets: { STORE: "convex" },
      r2Persist: stage.folder,
    });
    stage.url = await stage.miniflare.ready;
    stage.bucket = await stage.miniflare.getR2Bucket("STORE");
    context.after(() => stage.close());
    return stage;
  }

  async close() {
    await this.miniflare.dispose();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  target() {
    return { hostname: this.url.hostname, port: this.url.port };
  }

  // Resolves to {status, headers, body, code}; `code` is the one of the error document.
  ask(method, target, { headers = {}, body } = {}) {
    const length = body === undefined || "content-length" in headers ? {} : { "content-length": Buffer.byteLength(body) };
    return new Promise((resolve, reject) => {
      const request = http.request({ ...this.target(), method, path: target, agent: false, headers: { authorization: authorization(), ...length, ...headers } });
      request.on("error", reject).on("response", (response) => {
        const pieces = [];
        response.on("data", (piece) => pieces.push(piece)).on("error", reject);
        response.on("end", () => {
          const bytes = Buffer.concat(pieces);
          const code = /<Error><Code>(\w+)<\/Code>/.exec(String(bytes.subarray(0, 1024)))?.[1];
          resolve({ status: response.statusCode, headers: response.headers, body: bytes, code });
        });
      });
      request.end(body);
    });
  }

  put(target, body, headers = {}) {
    return this.ask("PUT", target, { body, headers: { "x-amz-content-sha256": sha256(body), ...headers } });
  }

  create(target, body) {
    return this.put(target, body, { "if-none-match": "*" });
  }

  // One of TASKS, in the Worker and without the gateway.
  async run(task, given) {
    const { status, body } = await this.ask("POST", "/", { body: JSON.stringify(given), headers: { "x-test-task": task } });
    if (status !== 200) throw new Error(String(body));
    return JSON.parse(body);
  }

  async keys() {
    const found = [];
    let page;
    do {
      page = await this.bucket.list({ cursor: page?.cursor });
      found.push(...page.objects.map(({ key }) => key));
    } while (page.truncated);
    return found;
  }
}
