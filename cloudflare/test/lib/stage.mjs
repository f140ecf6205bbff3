// A deployment for one test: the Worker in workerd, a container that is the real holdfast with the sample backend, and
// a bucket of miniflare's R2, which outlives every Worker and every container.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";
import { Miniflare } from "miniflare";

import { Engine } from "./engine.mjs";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.resolve(HERE, "../../..");
export const HOLDFAST = process.env.HOLDFAST ?? path.join(ROOT, "holdfast");
export const SAMPLE = process.env.BACKEND ?? path.join(ROOT, "build/gcc/backend");
export const CREDENTIALS = { accessKeyId: "AKLOCAL", secretAccessKey: "secret/with+odd=characters" };
const BUCKET = "convex";
const WAIT_MS = 30_000;

const bundles = new Map();

// The Worker as wrangler would bundle it, once for all tests of a file. `change` is TypeScript whose exports take the
// place of the Worker's own of the same name, as far as a test wants another one.
export function workerScript(change = "") {
  const handler = change.includes("export default") ? "" : 'export { default } from "../../src/index";';
  const contents = `export * from "../../src/index"; ${handler}\n${change}`;
  if (!bundles.has(change))
    bundles.set(change, build({
      stdin: { contents, resolveDir: HERE, loader: "ts" },
      bundle: true,
      format: "esm",
      target: "es2022",
      external: ["cloudflare:*"],
      write: false,
    }).then((built) => built.outputFiles[0].text));
  return bundles.get(change);
}

export async function until(look, what, limitMs = WAIT_MS) {
  for (const end = Date.now() + limitMs; Date.now() < end; ) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`waited ${limitMs} ms for ${what}`);
}

// One deployed Worker. Its answers carry `seconds`, for whoever measures.
export class Deployment {
  constructor(stage, miniflare, url, engine) {
    Object.assign(this, { stage, miniflare, url, engine });
  }

  // Each on a connection of its own: an answer that comes before the request's body was read ends the connection, and
  // a client that has just chosen it for its next request would fail.
  fetch(target, { headers, ...options } = {}) {
    return fetch(new URL(target, this.url), { redirect: "manual", ...options, headers: { ...headers, connection: "close" } });
  }

  async json(target, options) {
    const response = await this.fetch(target, options);
    return { status: response.status, headers: response.headers, body: await response.json() };
  }

  async write(value) {
    const { status, body } = await this.json("/write", { method: "POST", body: value });
    assert.equal(status, 200, JSON.stringify(body));
    return body.id;
  }

  async read(id) {
    const response = await this.fetch(`/read?id=${id}`);
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return text;
  }

  diagnostics(token = "tell-me") {
    return this.json("/_worker/diagnostics", { headers: { authorization: `Bearer ${token}` } });
  }

  stop(token = "tell-me") {
    return this.json("/_worker/stop", { method: "POST", headers: { authorization: `Bearer ${token}` } });
  }

  // Another version of the Worker takes the place of this one, while the container runs on.
  async replace(bindings) {
    this.options = { ...this.options, bindings: { ...this.options.bindings, ...bindings } };
    await this.miniflare.setOptions(this.options);
    this.url = await this.miniflare.ready;
  }

  endpoint() {
    return new URL("/cdn-cgi/local/r2/s3", this.url).href;
  }

  // The newest process.
  process() {
    return this.engine.processes.at(-1);
  }

  log(process = this.process()) {
    return fs.readFileSync(process.log, "utf8");
  }

  // Runs a program as the newest process's container would, and resolves to {code, output}.
  async inContainer(command, environment = {}) {
    const child = spawn(command[0], command.slice(1), { env: { ...this.process().environment, ...environment }, stdio: ["ignore", "pipe", "pipe"] });
    const pieces = [];
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => pieces.push(piece));
    const [code] = await once(child, "close");
    return { code, output: String(Buffer.concat(pieces)) };
  }

  webSocket(target) {
    return new WebSocket(String(new URL(target, this.url)).replace(/^http/, "ws"));
  }

  async close() {
    if (this.closed) return;
    this.closed = true;
    await this.miniflare.dispose();
    await this.engine.close();
  }
}

export class Stage {
  static async open(context) {
    const stage = new Stage();
    stage.folder = fs.mkdtempSync(path.join(os.tmpdir(), "cloudflare-"));
    stage.deployments = [];
    stage.store = new Miniflare({
      modules: true,
      script: "export default { fetch() { return new Response(null, { status: 404 }); } };",
      compatibilityDate: "2026-04-01",
      r2Buckets: { BUCKET: { id: BUCKET, s3Credentials: CREDENTIALS } },
      r2Persist: stage.bucketFolder(),
    });
    stage.endpoint = new URL("/cdn-cgi/local/r2/s3", await stage.store.ready).href;
    context.after(() => stage.close());
    return stage;
  }

  // Ends the way a machine ends that is switched off: nobody is asked to flush.
  async close() {
    await Promise.all(this.deployments.map((deployment) => deployment.close()));
    await this.store.dispose();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  bucketFolder() {
    return path.join(this.folder, "bucket");
  }

  bucket() {
    return this.store.getR2Bucket("BUCKET");
  }

  // `objects` names the storage of the Durable Object, `inherits` one that it begins as a copy of: the same object in another
  // place, which knows what the one there knew at this moment, while that one may still live.
  // `bindings` are the Worker's variables and secrets; undefined takes one away. `backend` are options
  // of the sample backend, `environment` is what the image would set, `prepare` fills the directory of a new container.
  // `gateway`: the container has no key, and the Worker a binding of the same bucket, for which another workerd answers: one
  // of them at a time should be asked. `endpoint()` says where others reach it by S3 while the deployment is open.
  // `container(directory, names)`, if there is one, gives the command that runs instead of ./holdfast and the sample, and
  // how it is signalled; `names` are the variables that it finds set. The Worker's log goes to `logged`, if there is one.
  async deploy(wishes = {}) {
    const { bindings = {}, environment = {}, command, backend = [], objects = "objects", prepare = () => {} } = wishes;
    const { gateway = false, change, container, logged, inherits } = wishes;
    if (inherits) fs.cpSync(path.join(this.folder, inherits), path.join(this.folder, objects), { recursive: true });
    const folder = fs.mkdtempSync(path.join(this.folder, "deployment-"));
    const run = (ports, directory, found) => {
      prepare(directory);
      const set = {
        HOLDFAST_DATA_DIR: directory,
        HOLDFAST_STOP_SIGNAL: "INT",
        HOLDFAST_LISTEN: `127.0.0.1:${ports.front}`,
        HOLDFAST_SITE_LISTEN: `127.0.0.1:${ports.site}`,
        HOLDFAST_ADMIN_LISTEN: `127.0.0.1:${ports.admin}`,
        HOLDFAST_UPSTREAM: `127.0.0.1:${ports.upstream}`,
        ...environment,
      };
      return {
        command: command ?? [
          HOLDFAST, "run", "--", SAMPLE, "serve",
          "--port", String(ports.upstream), "--interface", "127.0.0.1", "--data", directory, ...backend,
        ],
        environment: set,
        ...container?.(directory, Object.keys({ ...found, ...set })),
      };
    };
    const engine = await new Engine({ socketPath: path.join(folder, "engine.sock"), folder, command: run }).open();
    const store = gateway ? { WORKER_GATEWAY: "on" } : {
      HOLDFAST_S3_ENDPOINT: this.endpoint,
      HOLDFAST_S3_REGION: "auto",
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
    };
    const all = {
      HOLDFAST_STORE: `s3://${BUCKET}/app`,
      HOLDFAST_SYNC_INTERVAL: "100ms",
      HOLDFAST_SHUTDOWN_TIMEOUT: "20s",
      ...store,
      INSTANCE_SECRET: "0123456789abcdef",
      WORKER_ROUTES: "/*",
      WORKER_DIAGNOSTICS_TOKEN: "tell-me",
      ...bindings,
    };
    const options = {
      modules: true,
      script: await workerScript(change),
      ...(logged && { handleStructuredLogs: logged }),
      compatibilityDate: "2026-04-01",
      bindings: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)),
      containerEngine: {
        localDocker: { socketPath: `unix:${engine.socketPath}`, containerEgressInterceptorImage: "none/egress:1" },
      },
      durableObjects: { BACKEND: { className: "Backend", useSQLite: true, container: { imageName: "holdfast:test" } } },
      // Where the object's storage is kept, so that a new Worker finds what the last one knew.
      durableObjectsPersist: path.join(this.folder, objects),
      ...(gateway ? { r2Buckets: { STORE: { id: BUCKET, s3Credentials: CREDENTIALS } }, r2Persist: this.bucketFolder() } : {}),
    };
    const miniflare = new Miniflare(options);
    const deployment = new Deployment(this, miniflare, await miniflare.ready, engine);
    deployment.options = options;
    this.deployments.push(deployment);
    return deployment;
  }
}
