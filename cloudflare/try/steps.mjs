// The seven steps. Each does one thing to a deployment, looks whether that ended as docs/CLOUDFLARE.md says, and tells the
// reader what the same thing is on Cloudflare. `try` holds what they share: stage, image, oracle, settings, deployment, spoils.
import fs from "node:fs";

import { until } from "../test/lib/stage.mjs";
import { readListing } from "./oracle.mjs";
import { bytes, count, next, saw, what } from "./say.mjs";
import { beginUpload, nextValue, statusOf, upload, Writer } from "./traffic.mjs";

const ROWS = 40;
const FILE_BYTES = 1_000_000;
const SMALL_DISK = "size=2m";
const FENCED = 76;
const KILLED = 137;
const DRAINING_UNTIL = { offset: 184, length: 8 }; // of a record, docs/FORMAT.md; 0 until its owner is told to stop

const LOOK = ["On Cloudflare the Worker's answer says the same, and the container's log stands in the dashboard under Containers.",
  "health-and-logs"];
const DISTRUST = ["Don't keep data in a store that loses what it has confirmed. What is damaged or missing in the middle is found by " +
  "`holdfast verify` and by HOLDFAST_DRILL_INTERVAL; the loss of the newest records only shows against a list kept elsewhere.",
  "what-is-not-known"];

// A sentence for the reader: the run ends with it, and with what to do next.
export class Failure extends Error {
  constructor(sentence, remedy) {
    super(sentence);
    this.remedy = remedy;
  }
}

function must(condition, sentence, remedy = LOOK) {
  if (!condition) throw new Failure(sentence, remedy);
}

// --- what several steps do ----------------------------------------------------------------------------------------

function deploy({ stage, image, settings }, objects) {
  return stage.deploy({ bindings: settings, objects, logged: () => {}, ...image.deployment() });
}

// holdfast's own lines of the log; what else is there is the backend's, or what says why no holdfast came to be.
function linesOf(log) {
  const lines = log.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line));
}

function said(deployment, process, beginning) {
  return linesOf(deployment.log(process)).find(({ message }) => message.startsWith(beginning))?.message ?? "";
}

// What the newest container said about its failure.
export function lastWords(deployment) {
  if (!deployment.process()) return [];
  const log = deployment.log();
  const lines = linesOf(log);
  const words = lines.length > 0 ? lines.filter(({ level }) => level === "error").map(({ message }) => message) : log.trim().split("\n");
  return words.slice(-3);
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// Asks for /version and does what a client would: after a crash the Worker lets a moment pass and says how long. Any other
// refusal is a failure. Gives the whole time, and how much of it was that moment.
async function firstAnswer(deployment) {
  const begun = Date.now();
  let rest = 0;
  for (;;) {
    const response = await deployment.fetch("/version");
    const text = await response.text();
    if (response.status === 200) return { ms: Date.now() - begun, rest };
    const { code, message, exit_code: exitCode } = JSON.parse(text);
    must(exitCode === KILLED && rest === 0, `the Worker answered ${response.status} ${code}: ${message}`);
    rest = Number(response.headers.get("retry-after")) * 1000;
    await pause(rest);
  }
}

async function writeRows({ oracle, deployment }, number) {
  for (let at = 0; at < number; at++) {
    const value = nextValue();
    oracle.acknowledged(await deployment.write(value), value);
  }
}

// Until everything that was acknowledged is in the bucket; how long that took.
async function shipped({ oracle, deployment }) {
  const begun = Date.now();
  await until(async () => {
    const status = await statusOf(deployment.process());
    oracle.learn(status);
    return oracle.unshipped() === 0 && status.position === status.durable_position;
  }, "everything to be shipped");
  return Date.now() - begun;
}

// Compares all that the container has with what was acknowledged.
async function compare({ oracle, deployment }) {
  const verdict = oracle.judge(await readListing(deployment));
  const more = verdict.faults.length > 1 ? ` (and ${count(verdict.faults.length - 1, "more fault")})` : "";
  must(verdict.faults.length === 0, `what came back is not what was written: ${verdict.faults[0]}${more}`, DISTRUST);
  const integrity = await (await deployment.fetch("/integrity")).text();
  must(integrity === "ok\n", `the backend's own check finds: ${integrity}`);
  return verdict;
}

async function bucketOf({ stage }) {
  const bucket = await stage.bucket();
  const objects = [];
  for (let cursor; ; ) {
    const page = await bucket.list({ cursor });
    objects.push(...page.objects);
    if (!page.truncated) return { bucket, objects };
    cursor = page.cursor;
  }
}

// Keys of the log sort from the newest record to the oldest.
async function newestRecord(attempt) {
  const { bucket, objects } = await bucketOf(attempt);
  const { key } = objects.find((object) => object.key.includes("/log/"));
  return { bucket, key };
}

async function isDraining(attempt) {
  const { bucket, key } = await newestRecord(attempt);
  const field = await (await bucket.get(key, { range: DRAINING_UNTIL })).arrayBuffer();
  return new DataView(field).getBigUint64(0, true) > 0n;
}

// --- the steps ----------------------------------------------------------------------------------------------------

export async function lookAtImage({ image }) {
  what("The Dockerfile, built on a stand-in for the Convex image: its folder layout, a run_backend.sh of the same shape, and a " +
    "backend that takes the same command line.");
  const changed = image.changedFiles();
  must(changed.length === 0, `${changed.join(", ")} of the base image were changed`);
  saw(`holdfast is in one folder of ${bytes(image.bytesOf("opt/holdfast"))} and is the entrypoint, in front of ` +
    "run_backend.sh. No file that the base image had was changed.");
  next("Nothing: `npm run deploy` builds the same Dockerfile on the official image.", "from-nothing-to-a-deployment");
}

export async function startFirst(attempt) {
  what("Runs the Worker in workerd with an empty R2 bucket and the settings of wrangler.jsonc, and asks it for /version. It starts " +
    "the image as a container: PID 1, a read-only root, an empty disk.");
  attempt.deployment = await deploy(attempt, "one");
  const { ms } = await firstAnswer(attempt.deployment);
  const process = attempt.deployment.process();
  saw(`An answer after ${ms} ms. holdfast said: "${said(attempt.deployment, process, "nothing to fetch")}" and ` +
    `"${said(attempt.deployment, process, "the backend answers")}".`);
  next("`npx wrangler login`, `npx wrangler r2 bucket create my-convex`, three times `npx wrangler secret put`, " +
    "`npm run deploy`, `curl https://convex.YOUR-SUBDOMAIN.workers.dev/version`.", "from-nothing-to-a-deployment");
}

export async function write(attempt) {
  what(`Writes ${ROWS} rows and uploads a file of ${bytes(FILE_BYTES)} through the Worker, and notes outside of it what was ` +
    "acknowledged.");
  await writeRows(attempt, ROWS);
  attempt.oracle.uploaded(await upload(attempt.deployment, FILE_BYTES));
  const ms = await shipped(attempt);
  const { objects } = await bucketOf(attempt);
  saw(`${ms} ms after the last answer everything was in R2: ${count(objects.length, "object")}, ` +
    `${bytes(objects.reduce((sum, { size }) => sum + size, 0))}. HOLDFAST_SYNC_INTERVAL, 1s, is how often changes are shipped.`);
  next("Set WORKER_DIAGNOSTICS_TOKEN, then `curl -H 'Authorization: Bearer TOKEN' …/_worker/diagnostics` and `npx wrangler tail`.",
    "health-and-logs");
}

export async function redeployTold(attempt) {
  what("Deploys again while a client writes all the time and an upload is under way. The old container gets SIGTERM, and the new " +
    "one starts while it is still there.");
  const old = attempt.deployment;
  const process = old.process();
  const ended = process.exited.then(() => Date.now());
  const writer = new Writer(attempt.oracle, old);
  await until(() => writer.acknowledged >= 10, "the writer to get going");
  const slow = await beginUpload(old, FILE_BYTES);
  process.send("SIGTERM"); // as the platform does, past the Worker
  await until(() => isDraining(attempt), "the old container to say that it stops");
  const refused = await until(() => writer.refusals[0], "the old container to refuse new work");

  attempt.deployment = await deploy(attempt, "two");
  const answered = firstAnswer(attempt.deployment);
  answered.catch(() => {}); // looked at below
  const begun = await until(() => attempt.deployment.process()?.begun, "the new container to start");
  await writer.redirect(attempt.deployment);
  must(process.exitCode === undefined, "the old container had ended before the new one started, so nothing overlapped");
  attempt.oracle.uploaded(await slow.finish());
  const overlapMs = (await ended) - begun;
  await answered;
  await until(() => writer.resumedAt, "the writer to go on");
  await writer.stop();
  must(process.exitCode === 0, `the old container ended with exit code ${process.exitCode} and not 0`);
  must(said(old, process, "everything is shipped"), "the old container didn't say that everything is shipped");
  const { lost, rows, files } = await compare(attempt);
  must(lost === 0, `${count(lost, "row")} of those that the old container had acknowledged did not come back`);
  await old.close();

  saw(`Both ran for ${overlapMs} ms. The old one let the upload end, shipped everything, closed the log and ended with exit ` +
    `code 0; only then the new one took over. New requests got ${refused.status} with Retry-After meanwhile, for ` +
    `${writer.resumedAt - refused.at} ms. All of ${rows} rows and ${count(files, "file")} came back, that upload too.`);
  next("`npm run deploy`; the platform waits up to 15 minutes after SIGTERM, so keep HOLDFAST_SHUTDOWN_TIMEOUT below.",
    "deploying-again-and-rolling-back");
}

export async function redeployUntold(attempt) {
  what("Deploys again, and nobody tells the old container: it lives on and is written to. A platform does that when it has lost " +
    "sight of it.");
  const old = attempt.deployment;
  const process = old.process();
  const ended = process.exited.then(() => Date.now());
  const writer = new Writer(attempt.oracle, old);
  await until(() => writer.acknowledged >= 50, "the writer to get going");

  attempt.deployment = await deploy(attempt, "three");
  const { ms } = await firstAnswer(attempt.deployment);
  const { begun } = attempt.deployment.process();
  const overlapMs = (await ended) - begun;
  await writer.stop();
  must(overlapMs > 0 && writer.acknowledgedAt > begun, "the old container was gone before the new one came");
  must(process.exitCode === FENCED, `the old container ended with exit code ${process.exitCode} and not ${FENCED}`);
  const told = await old.json("/version");
  must(told.status === 503 && told.body.exit_code === FENCED, `the old Worker answered ${told.status} and not that it was fenced`);
  must(old.engine.processes.length === 1, "the old Worker started another container, and the two fight for the store");
  const { lost, rows, files } = await compare(attempt);
  await old.close();

  saw(`The new one took over and answered after ${ms} ms. The old one lived beside it for ${overlapMs} ms, until its next ` +
    `append to the log was refused, and ended with exit code ${FENCED}. Its Worker says: "${told.body.message}" Every row that ` +
    `had been shipped came back: ${rows} rows, ${count(files, "file")}. ${count(lost, "row")} that the old one had acknowledged ` +
    "since its last append ended with it: under HOLDFAST_DURABILITY=async that is the price of a container that nobody tells " +
    "to stop, and HOLDFAST_SYNC_INTERVAL bounds it.");
  next("Never change the object's name in src/index.ts; `npx wrangler containers instances` shows whether two run.",
    "deploying-again-and-rolling-back");
}

// What was asked for to see it fail, while no container runs.
async function spoil(attempt) {
  if (attempt.spoils === "disk") {
    attempt.image.disk = SMALL_DISK;
    saw(`As asked for, the next container gets a small disk (${SMALL_DISK}).`);
  } else {
    await loseObject(attempt);
  }
}

async function loseObject(attempt) {
  const { bucket, objects } = await bucketOf(attempt);
  const isNewest = attempt.spoils === "newest";
  const { key } = isNewest ? await newestRecord(attempt) : objects.find((object) => object.key.includes("/part/"));
  await bucket.delete(key);
  saw(`As asked for, the bucket has lost ${key}.`);
}

export async function wipe(attempt) {
  what(`Writes ${ROWS} more rows and a file, waits until they are shipped, kills the container (kill -9) and throws its disk ` +
    "away. Then asks the same Worker again.");
  await writeRows(attempt, ROWS);
  attempt.oracle.uploaded(await upload(attempt.deployment, FILE_BYTES));
  await shipped(attempt);
  const process = attempt.deployment.process();
  process.send("SIGKILL");
  await process.exited;
  must(process.exitCode === KILLED, `the container ended with exit code ${process.exitCode} and not ${KILLED}`);
  must(!fs.existsSync(process.directory), "the disk of the container is still there");
  if (attempt.spoils) await spoil(attempt);

  const { ms, rest } = await firstAnswer(attempt.deployment);
  const { rows, files } = await compare(attempt);
  saw(`The Worker said that the container was killed, and let ${rest} ms pass (Retry-After). Then a new one answered within ` +
    `${ms - rest} ms; holdfast said: "${said(attempt.deployment, attempt.deployment.process(), "restored")}". ` +
    `All of ${rows} rows and ${count(files, "file")} are what was acknowledged, and the database's own check passes.`);
  next("Nothing: this happens by itself. Going back to an earlier point is HOLDFAST_RESTORE_AT in vars, and `npm run deploy`.",
    "deploying-again-and-rolling-back");
}

export async function stopAndProve({ deployment, image, stage }) {
  what("Stops the container through the Worker (POST /_worker/stop), then has `holdfast verify` read the whole bucket.");
  const process = deployment.process();
  const { status } = await deployment.stop();
  must(status === 200 && process.exitCode === 0, `the stop was answered by ${status}, with exit code ${process.exitCode}`);
  const closed = said(deployment, process, "everything is shipped");
  const store = Object.fromEntries(Object.entries(process.given).filter(([name]) => /^(HOLDFAST_(STORE|S3_)|AWS_)/.test(name)));
  const scratch = fs.mkdtempSync(`${stage.folder}/scratch-`);
  const proof = image.run(scratch, store, "/opt/holdfast/bin/holdfast", "verify").trim().split("\n").at(-1);
  saw(`Exit code 0: "${closed}". verify: "${proof}".`);
  next("Choose an instance type and look at the cost; `holdfast verify` works from any machine with the bucket's token.",
    "instance-types-and-what-they-cost");
}
