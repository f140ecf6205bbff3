// What `npm run deploy` says before it deploys: one sentence for each setting that will not do what its author thinks.
// It ends the deployment where data would seem to be gone.
import fs from "node:fs";

const text = fs.readFileSync(new URL("wrangler.jsonc", import.meta.url), "utf8").replace(/^\s*\/\/.*$/gm, "");

const warnings = [];
const errors = [];
if (/"instance_type"\s*:\s*"lite"/.test(text))
  warnings.push(
    'instance_type is "lite": 256 MB of memory and 2 GB of disk for the image, the database and a restore of it, which is too little for Convex; take "basic" or larger.',
  );
if (/"HOLDFAST_STORE"\s*:\s*"[^"]*[<>]/.test(text))
  warnings.push("HOLDFAST_STORE is as it came: put your account id and bucket into it, or the Worker will answer nothing else.");
const instances = Number(/"max_instances"\s*:\s*(\d+)/.exec(text)?.[1] ?? 1);
if (instances > 1) warnings.push(`max_instances is ${instances}: only one container at a time can own the store, so the others are never of use.`);

const GRACE_S = 15 * 60; // the platform's, from SIGTERM to SIGKILL
const SECONDS = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };
const [, shutdown, count, unit] = /"HOLDFAST_SHUTDOWN_TIMEOUT"\s*:\s*"((\d+)(ms|s|m|h|d))"/.exec(text) ?? [];
if (shutdown && count * SECONDS[unit] >= GRACE_S)
  warnings.push(`HOLDFAST_SHUTDOWN_TIMEOUT is ${shutdown}, but Cloudflare kills a container 15m after SIGTERM, and what is left would not be shipped: set it below that, to 12m say.`);

const store = /"HOLDFAST_STORE"\s*:\s*"(?:s3:\/\/|r2:\/\/[^/"]+\/)([^/"]+)/.exec(text)?.[1] ?? "";
const [binding = ""] = /\{[^{}]*"binding"\s*:\s*"STORE"[^{}]*\}/.exec(text) ?? [];
const bucket = /"bucket_name"\s*:\s*"([^"]+)"/.exec(binding)?.[1];
const isOn = /"WORKER_GATEWAY"\s*:\s*"on"/.test(text);
if (isOn && !bucket)
  warnings.push(`WORKER_GATEWAY is on, but r2_buckets has no binding STORE: the Worker will answer nothing else; write { "binding": "STORE", "bucket_name": "${store}" }.`);
if (isOn && /"required"\s*:[^\]]*"AWS_/.test(text))
  warnings.push("secrets.required names AWS keys, which WORKER_GATEWAY makes needless: wrangler will refuse to deploy without them; take them out of the list.");
if (bucket && !isOn) warnings.push("r2_buckets has a binding STORE, but WORKER_GATEWAY is not on: new containers still need a key.");
if (bucket && bucket !== store)
  errors.push(`the binding STORE is the bucket ${bucket}, but HOLDFAST_STORE names ${store}: a container would begin anew in a bucket that you don't look into; make them the same.`);

for (const warning of warnings) console.error(`warning: ${warning}`);
for (const error of errors) console.error(`error: ${error}`);
if (errors.length > 0) process.exitCode = 1;
