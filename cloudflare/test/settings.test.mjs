// What the variables and secrets say; no workerd here.
import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const source = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../src/settings.ts");
const built = await build({ entryPoints: [source], bundle: true, format: "esm", write: false });
const settings = await import(`data:text/javascript,${encodeURIComponent(built.outputFiles[0].text)}`);

const whole = { HOLDFAST_STORE: "r2://account/bucket/app", AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret" };

test("durations", () => {
  const cases = { "250ms": 250, "20s": 20_000, "10m": 600_000, "2h": 7_200_000, "1d": 86_400_000, 0: 0 };
  for (const [text, ms] of Object.entries(cases)) assert.equal(settings.durationOf("X", text), ms, text);
});

test("what is no duration is refused by the name of its variable", () => {
  for (const text of ["", "10", "-1s", "1.5s", "ten", "10 s", "10sec"])
    assert.throws(() => settings.durationOf("WORKER_HOLD", text), /WORKER_HOLD/, text);
});

test("a route is a path, or the beginning of one", () => {
  assert.ok(settings.routeFits("/version", "/version"));
  assert.ok(!settings.routeFits("/version", "/versions"));
  assert.ok(settings.routeFits("/api/*", "/api/sync"));
  assert.ok(!settings.routeFits("/api/*", "/api"));
  assert.ok(settings.routeFits("/*", "/anything"));
});

test("a whole configuration is complete", () => {
  settings.requireComplete(whole);
  settings.requireComplete({ ...whole, AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined,
    HOLDFAST_S3_ACCESS_KEY_ID: "id", HOLDFAST_S3_SECRET_ACCESS_KEY: "secret" });
});

test("each secret that is missing is named with the command that sets it", () => {
  for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
    assert.throws(() => settings.requireComplete({ ...whole, [name]: "" }), (error) => {
      assert.equal(error.code, "MissingSecret");
      assert.match(error.message, new RegExp(`^The secret ${name} is missing.*npx wrangler secret put ${name}$`));
      return true;
    });
});

test("half of the other pair of names is not enough", () => {
  assert.throws(() => settings.requireComplete({ ...whole, HOLDFAST_S3_ACCESS_KEY_ID: "id" }), /HOLDFAST_S3_SECRET_ACCESS_KEY/);
});

test("a store that was left as it came, is missing or is a directory", () => {
  for (const store of [undefined, "", "r2://<ACCOUNT_ID>/<BUCKET>/convex", "file:///data"])
    assert.throws(() => settings.requireComplete({ ...whole, HOLDFAST_STORE: store }), /HOLDFAST_STORE.*r2:\/\//, String(store));
});

test("the container gets everything but what is the Worker's own", () => {
  const environment = settings.environmentOf({ ...whole, WORKER_HOLD: "1s", CONVEX_CLOUD_ORIGIN: "https://a", BACKEND: {}, HOLDFAST_LISTEN: "0.0.0.0:80" });
  assert.equal(environment.CONVEX_CLOUD_ORIGIN, "https://a");
  assert.equal(environment.AWS_ACCESS_KEY_ID, "id");
  assert.equal(environment.HOLDFAST_TRUST_FORWARDED, "1");
  assert.equal(environment.HOLDFAST_LISTEN, "0.0.0.0:80");
  assert.ok(!("WORKER_HOLD" in environment) && !("BACKEND" in environment));
});

test("a shutdown that takes longer than the platform allows is warned about", () => {
  const warnings = (timeout) => settings.warningsOf({ INSTANCE_SECRET: "s", HOLDFAST_SHUTDOWN_TIMEOUT: timeout });
  assert.match(warnings("16m")[0], /HOLDFAST_SHUTDOWN_TIMEOUT is 16m.*15m.*12m/);
  assert.match(warnings("15m")[0], /HOLDFAST_SHUTDOWN_TIMEOUT is 15m/);
  assert.deepEqual(warnings("899s"), []);
});

const bucket = { put() {}, get() {}, list() {} };
const keyless = { HOLDFAST_STORE: "r2://account/bucket/app", STORE: bucket, WORKER_GATEWAY: "on" };

test("with the gateway no secret is missing", () => settings.requireComplete(keyless));

test("the gateway without a bucket, a bucket without the gateway, and what is neither on nor off", () => {
  assert.throws(() => settings.requireComplete({ ...keyless, STORE: undefined }), /no R2 binding STORE.*"bucket_name": "bucket"/);
  for (const off of [undefined, "", "off"])
    assert.throws(() => settings.requireComplete({ ...keyless, WORKER_GATEWAY: off }), /AWS_ACCESS_KEY_ID.*WORKER_GATEWAY to on/);
  assert.throws(() => settings.requireComplete({ ...keyless, HOLDFAST_STORE: "https://bucket/app" }), /HOLDFAST_STORE names no bucket/);
  assert.throws(() => settings.requireComplete({ ...keyless, WORKER_GATEWAY: "yes" }), /WORKER_GATEWAY is "yes" and neither on nor off/);
});

test("bucket and prefix are read as holdfast reads them", () => {
  const cases = {
    "r2://account/bucket/app": ["bucket", "app/"],
    "s3://bucket/app/deep/": ["bucket", "app/deep/"],
    "s3://bucket/app//": ["bucket", "app/"],
    "s3://bucket": ["bucket", ""],
    "r2://account/bucket/": ["bucket", ""],
    "s3://bucket/my app": ["bucket", "my app/"],
  };
  for (const [store, [name, prefix]] of Object.entries(cases))
    assert.deepEqual(settings.placeOf({ HOLDFAST_STORE: store }), { bucket: name, prefix }, store);
  for (const store of ["r2://account", "s3:///app", "https://bucket/app", "s3://KEY:SECRET@bucket/app"])
    assert.throws(() => settings.placeOf({ HOLDFAST_STORE: store }), (error) => {
      assert.match(error.message, /^HOLDFAST_STORE names no bucket/);
      assert.doesNotMatch(error.message, /SECRET/);
      return true;
    }, store);
});

test("behind the gateway the container gets the way there, and neither keys nor another way", () => {
  const more = { AWS_ACCESS_KEY_ID: "id", AWS_SESSION_TOKEN: "t", HOLDFAST_S3_ENDPOINT: "https://elsewhere", HOLDFAST_S3_SECRET_ACCESS_KEY: "s", AWS_REGION: "eu" };
  const access = settings.accessOf({ ...keyless, ...more });
  assert.deepEqual(access.place, { bucket: "bucket", prefix: "app/" });
  assert.match(access.pass, /^[0-9a-f]{32}$/);
  assert.notEqual(settings.accessOf(keyless).pass, access.pass);
  assert.equal(settings.accessOf({ ...keyless, WORKER_GATEWAY: "off" }), undefined);
  const environment = settings.environmentOf({ ...keyless, ...more }, access);
  assert.deepEqual(
    Object.fromEntries(Object.entries(environment).filter(([name]) => /S3|AWS|GATEWAY|STORE/.test(name))),
    {
      AWS_REGION: "eu", HOLDFAST_STORE: keyless.HOLDFAST_STORE, HOLDFAST_S3_ENDPOINT: "http://gateway.holdfast.internal",
      HOLDFAST_S3_PATH_STYLE: "1", HOLDFAST_S3_REGION: "auto", HOLDFAST_S3_ACCESS_KEY_ID: access.pass, HOLDFAST_S3_SECRET_ACCESS_KEY: "none",
    },
  );
  assert.deepEqual(settings.warningsOf({ ...keyless, INSTANCE_SECRET: "s" }), []);
  const warned = settings.warningsOf({ ...keyless, ...more, INSTANCE_SECRET: "s" }).map((warning) => warning.split(" ")[0]);
  assert.deepEqual(warned.sort(), ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "HOLDFAST_S3_ENDPOINT", "HOLDFAST_S3_SECRET_ACCESS_KEY"]);
});
