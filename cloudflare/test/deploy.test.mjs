// What wrangler makes of wrangler.jsonc: as far as a deployment goes without an account and without Docker.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const PROJECT = path.resolve(HERE, "..");
const WRANGLER = path.join(PROJECT, "node_modules/wrangler/bin/wrangler.js");

// A copy, so that neither the project's Dockerfile nor anything that a user has set up here takes part.
function copy(change = (text) => text) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "wrangler-"));
  fs.cpSync(path.join(PROJECT, "src"), path.join(folder, "cloudflare/src"), { recursive: true });
  for (const name of ["wrangler.jsonc", "tsconfig.json"])
    fs.writeFileSync(path.join(folder, "cloudflare", name), change(fs.readFileSync(path.join(PROJECT, name), "utf8")));
  fs.writeFileSync(path.join(folder, "Dockerfile"), "FROM scratch\n");
  return folder;
}

function configuration() {
  const text = fs.readFileSync(path.join(PROJECT, "wrangler.jsonc"), "utf8");
  return JSON.parse(text.replace(/^\s*\/\/.*$/gm, ""));
}

function dryRun(context, change) {
  const folder = copy(change);
  context.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  const ran = spawnSync(process.execPath, [WRANGLER, "deploy", "--dry-run", "--containers-rollout=none", "--outdir", "out"], {
    cwd: path.join(folder, "cloudflare"),
    encoding: "utf8",
    timeout: 90_000,
    env: { PATH: process.env.PATH, HOME: folder, WRANGLER_SEND_METRICS: "false", CI: "1" },
  });
  const output = ran.stdout + ran.stderr;
  assert.equal(ran.status, 0, output);
  assert.ok(fs.statSync(path.join(folder, "cloudflare/out/index.js")).size > 1000);
  assert.doesNotMatch(output, /WARNING/);
  return output;
}

test("wrangler deploy --dry-run takes the configuration and bundles the Worker", (context) => {
  const output = dryRun(context);
  assert.match(output, /env\.BACKEND \(Backend\)\s+Durable Object/);
  assert.match(output, /convex-backend \(.*Dockerfile\)/);
});

test("wrangler deploy --dry-run takes the configuration with the gateway", (context) => {
  assert.match(dryRun(context, (text) => keyless(on(bound("my-convex")(text)))), /env\.STORE \(my-convex\)\s+R2 Bucket/);
});

test("one container, a Durable Object with SQLite, logs, and the secrets by name only", () => {
  const { containers, migrations, observability, secrets, vars, triggers } = configuration();
  assert.equal(containers.length, 1);
  assert.equal(containers[0].max_instances, 1);
  assert.deepEqual(migrations, [{ tag: "v1", new_sqlite_classes: ["Backend"] }]);
  assert.equal(observability.enabled, true);
  assert.deepEqual(secrets.required, ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "INSTANCE_SECRET"]);
  for (const name of secrets.required) assert.ok(!(name in vars), name);
  assert.equal(vars.WORKER_SLEEP_AFTER, "0");
  assert.deepEqual(triggers.crons, ["* * * * *"]);
});

// What predeploy says about the project's own configuration, filled in and then changed.
function predeploy(context) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "predeploy-"));
  context.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  fs.copyFileSync(path.join(PROJECT, "predeploy.mjs"), path.join(folder, "predeploy.mjs"));
  return (change, status = 0) => {
    const text = fs.readFileSync(path.join(PROJECT, "wrangler.jsonc"), "utf8").replace("<ACCOUNT_ID>/<BUCKET>", "account/bucket");
    fs.writeFileSync(path.join(folder, "wrangler.jsonc"), change(text));
    const ran = spawnSync(process.execPath, [path.join(folder, "predeploy.mjs")], { encoding: "utf8" });
    assert.equal(ran.status, status, ran.stderr);
    return ran.stderr;
  };
}

test("a lite instance, a store that was left as it came, a second container and a shutdown beyond the grace are warned about", (context) => {
  const warningsFor = predeploy(context);
  assert.equal(warningsFor((text) => text), "");
  assert.match(warningsFor((text) => text.replace("standard-1", "lite")), /^warning: instance_type is "lite".*basic/);
  assert.match(warningsFor((text) => text.replace("account/bucket", "<ACCOUNT_ID>/<BUCKET>")), /^warning: HOLDFAST_STORE/);
  assert.match(warningsFor((text) => text.replace('"max_instances": 1', '"max_instances": 2')), /^warning: max_instances is 2/);
  const shutdown = (time) => (text) => text.replace('"HOLDFAST_SHUTDOWN_TIMEOUT": "5m"', `"HOLDFAST_SHUTDOWN_TIMEOUT": "${time}"`);
  assert.match(warningsFor(shutdown("15m")), /^warning: HOLDFAST_SHUTDOWN_TIMEOUT is 15m, but Cloudflare kills .* to 12m say\.\n$/);
  assert.match(warningsFor(shutdown("1h")), /^warning: HOLDFAST_SHUTDOWN_TIMEOUT is 1h/);
  assert.equal(warningsFor(shutdown("899s")), "");
});

const bound = (bucket) => (text) => text.replace('// "r2_buckets"', '"r2_buckets"').replace("<BUCKET>", bucket);
const on = (text) => text.replace('"WORKER_GATEWAY": "off"', '"WORKER_GATEWAY": "on"');
const keyless = (text) => text.replace('"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", ', "");

test("the gateway: what is missing is warned about, and another bucket than that of the store is refused", (context) => {
  const warningsFor = predeploy(context);
  assert.equal(warningsFor((text) => keyless(on(bound("bucket")(text)))), "");
  assert.match(warningsFor((text) => keyless(on(text))), /^warning: WORKER_GATEWAY is on, but r2_buckets.*"bucket_name": "bucket"/);
  assert.match(warningsFor(bound("bucket")), /^warning: r2_buckets has a binding STORE, but WORKER_GATEWAY is not on/);
  assert.match(warningsFor((text) => on(bound("bucket")(text))), /^warning: secrets\.required names AWS keys/);
  assert.match(warningsFor((text) => keyless(on(bound("another")(text))), 1), /^error: the binding STORE is the bucket another, but HOLDFAST_STORE names bucket/);
});
