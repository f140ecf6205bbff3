// What `npm run deploy` says before it deploys: one sentence for each setting that will not do what its author thinks.
import fs from "node:fs";

const text = fs.readFileSync(new URL("wrangler.jsonc", import.meta.url), "utf8").replace(/^\s*\/\/.*$/gm, "");

const warnings = [];
if (/"instance_type"\s*:\s*"lite"/.test(text))
  warnings.push(
    'instance_type is "lite": 256 MB of memory and 2 GB of disk for the image, the database and a restore of it, which is too little for Convex; take "basic" or larger.',
  );
if (/"HOLDFAST_STORE"\s*:\s*"[^"]*[<>]/.test(text))
  warnings.push("HOLDFAST_STORE is as it came: put your account id and bucket into it, or the Worker will answer nothing else.");
const instances = Number(/"max_instances"\s*:\s*(\d+)/.exec(text)?.[1] ?? 1);
if (instances > 1) warnings.push(`max_instances is ${instances}: only one container at a time can own the store, so the others are never of use.`);

for (const warning of warnings) console.error(`warning: ${warning}`);
