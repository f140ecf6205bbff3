// The run fails where it has to, and says why. Needs the image in build/image; `make image` runs it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const IMAGES = path.resolve(HERE, "../../build/image");

// The words of one run, with the line breaks of its paragraphs undone.
function run(...wishes) {
  const { status, stdout } = spawnSync(path.join(HERE, "try.sh"), [IMAGES, ...wishes], { encoding: "utf8", timeout: 120_000 });
  return { status, text: stdout.replace(/\s+/g, " ") };
}

test("a bucket that has lost a part: the Worker refuses, the log names the object, the run fails", () => {
  const { status, text } = run("--lose-part");
  const [, lost] = /the bucket has lost app\/(part\/[0-9a-f-]+)\./.exec(text) ?? [];
  assert.equal(status, 1, text);
  assert.ok(lost, text);
  assert.match(text, /FAILED: the Worker answered 503 StartFailed: The container ended with exit code 65/);
  assert.ok(text.includes(`The container's log: "restore: ${lost}`), text);
  assert.match(text, /FAILED in step 6 of 8\.\s*$/);
});

test("a bucket that has lost its newest record: only the list kept outside knows, and the run fails", () => {
  const { status, text } = run("--lose-newest");
  assert.equal(status, 1, text);
  assert.match(text, /FAILED: what came back is not what was written: row \d+ was acknowledged and shipped, and is missing/);
  assert.match(text, /next Don't keep data in a store that loses what it has confirmed\./);
});

test("a disk that is too small for the data: the Worker says what is needed and the remedy, the run fails", () => {
  const { status, text } = run("--small-disk");
  assert.equal(status, 1, text);
  assert.match(text, /503 StartFailed: The container ended with exit code 64: not enough disk: the restore needs \d+ MiB and HOLDFAST_DATA_DIR has 2 MiB free; use a larger disk \(on Cloudflare, a larger instance_type\)\./);
  assert.match(text, /FAILED in step 6 of 8\.\s*$/);
});

test("a folder that has no image is refused in one sentence", () => {
  const { status, stderr } = spawnSync(path.join(HERE, "try.sh"), [HERE], { encoding: "utf8", timeout: 60_000 });
  assert.equal(status, 64);
  assert.match(stderr, /^try: there is no image in \S+: `\.\/bootstrap try-cloudflare` builds it\n$/);
});
