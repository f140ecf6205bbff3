// What several steps do: with `attempt`, which holds what they share (stage, image, oracle, settings, spoils; and the newest
// deployment, with the name of its object's storage).
import { until } from "../test/lib/stage.mjs";
import { readListing } from "./oracle.mjs";
import { count } from "./say.mjs";
import { nextValue, statusOf } from "./traffic.mjs";

export const FENCED = 76;
export const KILLED = 137;
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

export function must(condition, sentence, remedy = LOOK) {
  if (!condition) throw new Failure(sentence, remedy);
}

// The same Durable Object with new code, as `npm run deploy` makes it: it knows what it knew the moment before.
export async function deploy(attempt, objects, wishes = {}) {
  const { stage, image, settings, objects: inherits } = attempt;
  const bindings = { ...settings, ...wishes.bindings };
  attempt.deployment = await stage.deploy({ ...wishes, bindings, objects, inherits, logged: () => {}, ...image.deployment() });
  attempt.objects = objects;
}

// What the Durable Object told the newest container about the one before.
export function mustHaveSaid({ deployment }, predecessor) {
  const { HOLDFAST_PREDECESSOR: told } = deployment.process().given;
  must(told === predecessor, `the new container was given HOLDFAST_PREDECESSOR=${told ?? ""} and not "${predecessor ?? ""}"`);
}

// holdfast's own lines of the log; what else is there is the backend's, or what says why no holdfast came to be.
function linesOf(log) {
  const lines = log.split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line));
}

export function said(deployment, process, beginning) {
  return linesOf(deployment.log(process)).find(({ message }) => message.startsWith(beginning))?.message ?? "";
}

// What the newest container said about its failure.
export function lastWords(deployment) {
  if (!deployment.process()) return [];
  const log = deployment.log();
  const lines = linesOf(log);
  const words = lines.length > 0 ? lines.filter(({ level }) => level === "error").map(({ message }) => message) : log.trim().split("\n");
  return words.filter(Boolean).slice(-3);
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// Asks for /version and does what a client would: after a crash the Worker lets a moment pass and says how long. Any other
// refusal is a failure. Gives the whole time, and how much of it was that moment.
export async function firstAnswer(deployment) {
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

export async function writeRows({ oracle, deployment }, number) {
  for (let at = 0; at < number; at++) {
    const value = nextValue();
    oracle.acknowledged(await deployment.write(value), value);
  }
}

// Until everything that was acknowledged is in the bucket; how long that took.
export async function shipped({ oracle, deployment }) {
  const begun = Date.now();
  await until(async () => {
    const status = await statusOf(deployment.process());
    oracle.learn(status);
    return oracle.unshipped() === 0 && status.position === status.durable_position;
  }, "everything to be shipped");
  return Date.now() - begun;
}

// Compares all that the container has with what was acknowledged.
export async function compare({ oracle, deployment }) {
  const verdict = oracle.judge(await readListing(deployment));
  const more = verdict.faults.length > 1 ? ` (and ${count(verdict.faults.length - 1, "more fault")})` : "";
  must(verdict.faults.length === 0, `what came back is not what was written: ${verdict.faults[0]}${more}`, DISTRUST);
  const integrity = await (await deployment.fetch("/integrity")).text();
  must(integrity === "ok\n", `the backend's own check finds: ${integrity}`);
  return verdict;
}

export async function bucketOf({ stage }) {
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
export async function newestRecord(attempt) {
  const { bucket, objects } = await bucketOf(attempt);
  const { key } = objects.find((object) => object.key.includes("/log/"));
  return { bucket, key };
}

export async function isDraining(attempt) {
  const { bucket, key } = await newestRecord(attempt);
  const field = await (await bucket.get(key, { range: DRAINING_UNTIL })).arrayBuffer();
  return new DataView(field).getBigUint64(0, true) > 0n;
}
