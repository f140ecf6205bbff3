// Convex on Cloudflare, tried on this machine: the real image, the real Worker in workerd, R2 from miniflare, no account.
//
//   ./bootstrap try-cloudflare                  builds the image and runs this (as root)
//   ./bootstrap try-cloudflare --lose-part      … and the bucket loses an object that the restore needs
//   ./bootstrap try-cloudflare --lose-newest    … or its newest record: nothing in the bucket shows that
//   ./bootstrap try-cloudflare --small-disk     … or the new container has a disk that is too small for the data
//
// Exit code 0: everything that was shipped was found again, in every step. 1: a step failed, and a sentence says how.
import fs from "node:fs";

import { Stage } from "../test/lib/stage.mjs";
import { Failure, lastWords } from "./attempt.mjs";
import { Image } from "./image.mjs";
import { Oracle } from "./oracle.mjs";
import { next, saw, title } from "./say.mjs";
import * as steps from "./steps.mjs";

const STEPS = [
  ["The image", steps.lookAtImage],
  ["The first start", steps.startFirst],
  ["Data", steps.write],
  ["Deploy again: the old container is told to stop", steps.redeployTold],
  ["Deploy again: the old container is not told", steps.redeployUntold],
  ["The disk is lost", steps.wipe],
  ["No key in the container", steps.withoutKey],
  ["The end", steps.stopAndProve],
];

// Those of wrangler.jsonc that have a meaning here.
function ownSettings() {
  const text = fs.readFileSync(new URL("../wrangler.jsonc", import.meta.url), "utf8").replace(/^\s*\/\/.*$/gm, "");
  const { HOLDFAST_SHUTDOWN_TIMEOUT, WORKER_HOLD, WORKER_SLEEP_AFTER } = JSON.parse(text).vars;
  return { HOLDFAST_SHUTDOWN_TIMEOUT, WORKER_HOLD, WORKER_SLEEP_AFTER, HOLDFAST_SYNC_INTERVAL: undefined }; // its default
}

// A failure has its own words; anything else is a fault of this run and is shown as it is.
function explain(error, { deployment }) {
  const isFailure = error instanceof Failure;
  saw(`FAILED: ${error.message}`);
  if (!isFailure) console.log(error.stack);
  for (const line of deployment ? lastWords(deployment) : []) saw(`The container's log: "${line}".`);
  if (isFailure) next(...error.remedy);
}

// What is spoiled shows when a disk is lost; deploying before that would change nothing.
function isNeeded(step, { spoils }) {
  return !spoils || (step !== steps.redeployTold && step !== steps.redeployUntold);
}

async function run(attempt) {
  for (const [at, [name, step]] of STEPS.entries()) {
    if (!isNeeded(step, attempt)) continue;
    title(`${at + 1}. ${name}`);
    try {
      await step(attempt);
    } catch (error) {
      explain(error, attempt);
      title(`FAILED in step ${at + 1} of ${STEPS.length}.`);
      return 1;
    }
  }
  title("Everything that was shipped was found again, in every step.");
  return 0;
}

const [folder, wish = ""] = process.argv.slice(2);
const spoils = { "": "", "--lose-part": "part", "--lose-newest": "newest", "--small-disk": "disk" }[wish];
if (!folder || spoils === undefined) {
  console.error("usage: try.mjs FOLDER [--lose-part|--lose-newest|--small-disk]    FOLDER is what tests/image/build.sh has filled");
  process.exit(64);
}
if (!fs.existsSync(`${folder}/convex-holdfast.json`)) {
  console.error(`try: there is no image in ${folder}: \`./bootstrap try-cloudflare\` builds it`);
  process.exit(64);
}
const closing = [];
const close = async () => {
  for (const each of closing.splice(0)) await each();
};
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void close().then(() => process.exit(1)));
const stage = await Stage.open({ after: (each) => closing.push(each) });
const code = await run({ stage, image: new Image(folder), oracle: new Oracle(), settings: ownSettings(), spoils });
await close();
process.exit(code); // a step that failed may have left a client that goes on trying
