// Containers of the Convex image that tests/image/build.sh has unpacked, as a container engine would start them: as PID 1 on
// a read-only root, with the image's own entrypoint, variables and working directory. Only the network is the machine's.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { until } from "../test/lib/stage.mjs";

const CONTAIN = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../../tests/image/contain.py");
const DATA = "/convex/data";

function childrenOf(pid) {
  return fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}

function isZombie(pid) {
  return fs.readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "").startsWith("Z");
}

// For PID 1 of the container, not for unshare(1) around it. That one tells an end by SIGKILL as exit code 1, so it has to stand
// still until everything inside is gone, and to end in the same way.
async function send(outside, signal) {
  const [inside] = childrenOf(outside.pid);
  if (!inside) return outside.kill(signal);
  if (signal === "SIGKILL") outside.kill("SIGSTOP");
  process.kill(inside, signal);
  if (signal !== "SIGKILL") return true;
  await until(() => isZombie(inside), "the container to end");
  return outside.kill("SIGKILL");
}

// All that runs in a container, each with its name and its environment as it is in memory.
export function processesIn(outside) {
  const pids = childrenOf(outside.pid);
  for (let at = 0; at < pids.length; at++) pids.push(...childrenOf(pids[at]));
  return pids.map((pid) => ({
    name: fs.readFileSync(`/proc/${pid}/comm`, "utf8").trim(),
    environment: fs.readFileSync(`/proc/${pid}/environ`, "utf8"),
  }));
}

export class Image {
  constructor(folder) {
    this.base = path.join(folder, "convex/convex"); // as it was before holdfast came
    this.disk = ""; // "size=2m": what a new container has instead of as much room as there is
    this.root = fs.realpathSync(path.join(folder, "convex-holdfast"));
    this.config = JSON.parse(fs.readFileSync(path.join(folder, "convex-holdfast.json"), "utf8")).Docker.config;
    this.variables = Object.fromEntries(this.config.Env.map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
  }

  entrypoint() {
    return this.config.Entrypoint;
  }

  // What Stage.deploy() wants to know.
  deployment() {
    return {
      environment: { HOLDFAST_DATA_DIR: DATA, HOLDFAST_STOP_SIGNAL: this.variables.HOLDFAST_STOP_SIGNAL },
      container: (directory, names) => ({ command: this.command(directory, names, this.entrypoint()), send }),
    };
  }

  command(directory, names, program) {
    const inherited = Object.fromEntries(names.map((name) => [name, null]));
    return [
      "unshare", "--mount", "--pid", "--fork", "--kill-child", CONTAIN, this.root, "0", this.config.WorkingDir,
      JSON.stringify([[this.disk || directory, DATA]]), JSON.stringify({ ...this.variables, ...inherited }), ...program,
    ];
  }

  // The output of another command in a container of its own.
  run(directory, environment, ...program) {
    const [command, ...words] = this.command(directory, Object.keys(environment), program);
    const given = { PATH: process.env.PATH, ...environment };
    return execFileSync(command, words, { env: given, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 });
  }

  // The scripts of the base that differ in the image: none.
  changedFiles() {
    const same = (name) => fs.readFileSync(path.join(this.base, name)).equals(fs.readFileSync(path.join(this.root, "convex", name)));
    return fs.readdirSync(this.base).filter((name) => name !== "data" && !same(name));
  }

  bytesOf(folder) {
    return Number(execFileSync("du", ["--summarize", "--bytes", path.join(this.root, folder)], { encoding: "utf8" }).split("\t")[0]);
  }
}
