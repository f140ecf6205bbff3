// The eight steps. Each does one thing to a deployment, looks whether that ended as docs/CLOUDFLARE.md says, and tells the
// reader what the same thing is on Cloudflare.
import fs from "node:fs";

import { CREDENTIALS, until } from "../test/lib/stage.mjs";
import {
  bucketOf, compare, deploy, FENCED, firstAnswer, isDraining, KILLED, must, mustHaveSaid, newestRecord, said, shipped, writeRows,
} from "./attempt.mjs";
import { processesIn } from "./image.mjs";
import { bytes, count, next, saw, what } from "./say.mjs";
import { beginUpload, upload, Writer } from "./traffic.mjs";

const ROWS = 40;
const FILE_BYTES = 1_000_000;
const SMALL_DISK = "size=2m";

export async function lookAtImage({ image }) {
  what("The Dockerfile, built on a stand-in for the Convex image: its folder layout, a run_backend.sh of the same shape, and a " +
    "backend that takes the same command line.");
  const changed = image.changedFiles();
  must(changed.length === 0, `${changed.join(", ")} of the base image were changed`);
  saw(`holdfast is in one folder of ${bytes(image.bytesOf("opt/holdfast"))} and is the entrypoint, in front of ` +
    "run_backend.sh. No file that the base image had was changed.");
  next("Nothing: `npm run deploy` builds the same Dockerfile on the official image.", "from-nothing-to-a-deployment");
}

// The names of the processes in the newest container that have one of the values in their environment.
function holdersOf({ deployment }, ...values) {
  const processes = processesIn(deployment.process().child);
  const holders = processes.filter(({ environment }) => values.some((value) => environment.includes(value)));
  return holders.map(({ name }) => name);
}

function mustBeHoldfastAlone(attempt, what, ...values) {
  const [first, ...others] = holdersOf(attempt, ...values);
  must(first === "holdfast" && others.length === 0, `${what} is in the environment of ${[first, ...others].join(", ") || "nobody"}`);
}

export async function startFirst(attempt) {
  what("Runs the Worker in workerd with an empty R2 bucket and the settings of wrangler.jsonc, and asks it for /version. It starts " +
    "the image as a container: PID 1, a read-only root, an empty disk.");
  await deploy(attempt, "one");
  const { ms } = await firstAnswer(attempt.deployment);
  const process = attempt.deployment.process();
  mustBeHoldfastAlone(attempt, "the bucket's key", CREDENTIALS.accessKeyId, CREDENTIALS.secretAccessKey);
  saw(`An answer after ${ms} ms. holdfast said: "${said(attempt.deployment, process, "nothing to fetch")}" and ` +
    `"${said(attempt.deployment, process, "the backend answers")}". The bucket's key is in holdfast's environment alone, not in ` +
    "the backend's.");
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
  what("Deploys again while a client writes all the time and an upload is under way: the same Durable Object with new code. The " +
    "old container gets SIGTERM, and the new one starts while it is still there.");
  const old = attempt.deployment;
  const process = old.process();
  const ended = process.exited.then(() => Date.now());
  const writer = new Writer(attempt.oracle, old);
  await until(() => writer.acknowledged >= 10, "the writer to get going");
  const slow = await beginUpload(old, FILE_BYTES);
  process.send("SIGTERM"); // as the platform does, past the Worker
  await until(() => isDraining(attempt), "the old container to say that it stops");
  const refused = await until(() => writer.refusals[0], "the old container to refuse new work");

  await deploy(attempt, "two");
  const answered = firstAnswer(attempt.deployment);
  answered.catch(() => {}); // looked at below
  const begun = await until(() => attempt.deployment.process()?.begun, "the new container to start");
  await writer.redirect(attempt.deployment);
  mustHaveSaid(attempt, "alive");
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

  saw(`The object had heard from the old container that it stops, and told the new one to wait (HOLDFAST_PREDECESSOR=alive). ` +
    `Both ran for ${overlapMs} ms. The old one let the upload end, shipped everything, closed the log and ended with exit ` +
    `code 0; only then the new one took over. New requests got ${refused.status} with Retry-After meanwhile, for ` +
    `${writer.resumedAt - refused.at} ms. All of ${rows} rows and ${count(files, "file")} came back, that upload too.`);
  next("`npm run deploy`; the platform waits up to 15 minutes after SIGTERM, so keep HOLDFAST_SHUTDOWN_TIMEOUT below.",
    "deploying-again-and-rolling-back");
}

export async function redeployUntold(attempt) {
  what("Deploys again, and nobody tells the old container: it lives on and is written to. A platform does that when it has lost " +
    "sight of it. The object, once more the same one, has seen no end of it.");
  const old = attempt.deployment;
  const process = old.process();
  const ended = process.exited.then(() => Date.now());
  const writer = new Writer(attempt.oracle, old);
  await until(() => writer.acknowledged >= 50, "the writer to get going");

  await deploy(attempt, "three");
  const { ms } = await firstAnswer(attempt.deployment);
  mustHaveSaid(attempt, undefined);
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
  mustHaveSaid(attempt, "gone");
  const { rows, files } = await compare(attempt);
  saw(`The Worker said that the container was killed, and let ${rest} ms pass (Retry-After). Then a new one answered within ` +
    `${ms - rest} ms; holdfast said: "${said(attempt.deployment, attempt.deployment.process(), "restored")}". ` +
    `All of ${rows} rows and ${count(files, "file")} are what was acknowledged, and the database's own check passes.`);
  next("Nothing: this happens by itself. Going back to an earlier point is HOLDFAST_RESTORE_AT in vars, and `npm run deploy`.",
    "deploying-again-and-rolling-back");
}

// The key stays among the Worker's secrets at first, as docs/CLOUDFLARE.md says.
export async function withoutKey(attempt) {
  what("Stops the container and deploys again with WORKER_GATEWAY and an R2 binding of the same bucket: now the Worker asks R2 for " +
    "the container. Writes through it, stops, and starts once more.");
  await stopped(attempt.deployment);
  await attempt.deployment.close();
  const { accessKeyId, secretAccessKey } = CREDENTIALS;
  await deploy(attempt, "four", { gateway: true, bindings: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } });
  const { ms } = await firstAnswer(attempt.deployment);
  const holders = holdersOf(attempt, accessKeyId, secretAccessKey, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=");
  must(holders.length === 0, `a key to the bucket is in the environment of ${holders.join(", ")}`);
  mustBeHoldfastAlone(attempt, "the pass of this start", attempt.deployment.process().given.HOLDFAST_S3_ACCESS_KEY_ID);
  const all = processesIn(attempt.deployment.process().child).length;
  await compare(attempt);
  await writeRows(attempt, ROWS);
  attempt.oracle.uploaded(await upload(attempt.deployment, FILE_BYTES));
  await stopped(attempt.deployment);
  await firstAnswer(attempt.deployment);
  const { rows, files } = await compare(attempt);

  saw(`An answer after ${ms} ms, with everything restored through the Worker. None of the ${all} processes in the container has a ` +
    "key to the bucket in its environment; holdfast alone has a pass, of no use elsewhere, which ends with the container. What was " +
    `written came back as well: ${rows} rows, ${count(files, "file")}.`);
  next("Optional: WORKER_GATEWAY and r2_buckets in wrangler.jsonc, `npm run deploy`; when it serves, delete the token and its two " +
    "secrets.", "without-a-key-in-the-container");
}

async function stopped(deployment) {
  const process = deployment.process();
  const { status } = await deployment.stop();
  must(status === 200 && process.exitCode === 0, `the stop was answered by ${status}, with exit code ${process.exitCode}`);
  return said(deployment, process, "everything is shipped");
}

export async function stopAndProve({ deployment, image, stage }) {
  what("Stops the container through the Worker (POST /_worker/stop), then has `holdfast verify` read the whole bucket, from " +
    "elsewhere and with a key.");
  const { HOLDFAST_STORE } = deployment.process().given;
  const closed = await stopped(deployment);
  const token = {
    HOLDFAST_STORE,
    HOLDFAST_S3_ENDPOINT: deployment.endpoint(),
    HOLDFAST_S3_REGION: "auto",
    AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
  };
  const scratch = fs.mkdtempSync(`${stage.folder}/scratch-`);
  const proof = image.run(scratch, token, "/opt/holdfast/bin/holdfast", "verify").trim();
  saw(`Exit code 0: "${closed}". verify: "${proof}".`);
  next("Choose an instance type and look at the cost; `holdfast verify` works from any machine with the bucket's token.",
    "instance-types-and-what-they-cost");
}
