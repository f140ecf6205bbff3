// Each operation of the gateway, by itself: what it answers, what it refuses, what can't be reached.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import http from "node:http";
import { test } from "node:test";

import { authorization, GatewayStage, sha256 } from "./lib/gateway.mjs";

const NOTHING = sha256("");

test("what is written is read back, byte for byte, with its length, an ETag and the time", async (context) => {
  const stage = await GatewayStage.open(context);
  for (const size of [0, 1, 65_537, 9 << 20]) {
    const bytes = randomBytes(size);
    const key = `/convex/app/part/${size}`;
    const written = await stage.put(key, bytes);
    assert.equal(written.status, 200, String(written.body));
    const read = await stage.ask("GET", key);
    assert.equal(read.status, 200);
    assert.equal(read.headers["content-length"], String(size));
    assert.ok(read.body.equals(bytes));
    const looked = await stage.ask("HEAD", key);
    assert.equal(looked.status, 200);
    assert.equal(looked.headers["content-length"], String(size));
    assert.equal(looked.body.length, 0);
    for (const answer of [written, read, looked]) {
      assert.match(answer.headers.etag, /^"[0-9a-f]{32}"$/);
      assert.ok(Math.abs(Date.parse(answer.headers.date) - Date.now()) < 60_000, answer.headers.date);
    }
  }
});

test("64 MB pass through", async (context) => {
  const stage = await GatewayStage.open(context);
  const bytes = randomBytes(64 << 20);
  assert.equal((await stage.put("/convex/app/part/1", bytes)).status, 200);
  assert.ok((await stage.ask("GET", "/convex/app/part/1")).body.equals(bytes));
});

test("an absent key: 404 NoSuchKey, for HEAD without a document; deleting it succeeds", async (context) => {
  const stage = await GatewayStage.open(context);
  const read = await stage.ask("GET", "/convex/app/absent");
  assert.deepEqual([read.status, read.code], [404, "NoSuchKey"]);
  assert.equal(read.headers["content-type"], "application/xml");
  assert.equal((await stage.ask("HEAD", "/convex/app/absent")).status, 404);
  await stage.put("/convex/app/present", "x");
  assert.equal((await stage.ask("DELETE", "/convex/app/present")).status, 204);
  assert.equal((await stage.ask("DELETE", "/convex/app/present")).status, 204);
  assert.deepEqual(await stage.keys(), []);
});

test("a key is created once: then 412 PreconditionFailed, and what was there stays", async (context) => {
  const stage = await GatewayStage.open(context);
  assert.equal((await stage.create("/convex/app/log/1", "first")).status, 200);
  const again = await stage.create("/convex/app/log/1", "second");
  assert.deepEqual([again.status, again.code], [412, "PreconditionFailed"]);
  assert.equal(String((await stage.ask("GET", "/convex/app/log/1")).body), "first");
  assert.equal((await stage.put("/convex/app/log/1", "third")).status, 200, "without the condition it is written");
  assert.equal(String((await stage.ask("GET", "/convex/app/log/1")).body), "third");
});

test("a body that is not what its SHA-256 says is not stored", async (context) => {
  const stage = await GatewayStage.open(context);
  const answer = await stage.ask("PUT", "/convex/app/x", { body: "flipped", headers: { "x-amz-content-sha256": sha256("right") } });
  assert.deepEqual([answer.status, answer.code], [400, "BadDigest"]);
  assert.deepEqual(await stage.keys(), []);
});

test("an upload that is cut off is not stored", async (context) => {
  const stage = await GatewayStage.open(context);
  const headers = { "content-length": 1 << 20, "x-amz-content-sha256": sha256("never the whole") };
  await new Promise((resolve) => {
    const request = http.request({ ...stage.target(), method: "PUT", path: "/convex/app/x", headers: { authorization: authorization(), ...headers } });
    request.on("error", resolve).on("close", resolve);
    request.write(Buffer.alloc(1 << 16), () => request.destroy());
  });
  assert.equal((await stage.put("/convex/app/y", "after it")).status, 200);
  assert.deepEqual(await stage.keys(), ["app/y"]);
});

test("a body of which only Content-Length tells the length", async (context) => {
  const stage = await GatewayStage.open(context);
  const bytes = randomBytes(100_000);
  const answer = await stage.put("/convex/app/x", bytes, { "x-test-lengthless": "1" });
  assert.equal(answer.status, 200, String(answer.body));
  assert.ok((await stage.ask("GET", "/convex/app/x")).body.equals(bytes));
});

test("whoever doesn't say the pass is refused, whatever is asked", async (context) => {
  const stage = await GatewayStage.open(context);
  await stage.put("/convex/app/x", "kept");
  const wrong = [
    "", authorization("none"), authorization(""), authorization("0123456789abcdef0123456789abcde"), authorization("0123456789abcdef0123456789abcdef0"),
    authorization("0123456789ABCDEF0123456789ABCDEF"), "Bearer 0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef",
  ];
  for (const value of wrong)
    for (const [method, target] of [["GET", "/convex/app/x"], ["PUT", "/convex/app/x"], ["DELETE", "/convex/app/x"], ["GET", "/convex?prefix=app/"], ["POST", "/nowhere"]]) {
      const answer = await stage.ask(method, target, { headers: { authorization: value, "content-length": 0, "x-amz-content-sha256": NOTHING } });
      assert.deepEqual([answer.status, answer.code], [403, "InvalidAccessKeyId"], `${method} ${target} ${value}`);
      assert.doesNotMatch(String(answer.body), /0123456789/);
    }
  assert.equal((await stage.ask("HEAD", "/convex/app/x", { headers: { authorization: "" } })).status, 403);
  assert.equal(String((await stage.ask("GET", "/convex/app/x")).body), "kept");
});

test("no key leads out of the prefix, whatever it looks like", async (context) => {
  const stage = await GatewayStage.open(context);
  await stage.bucket.put("other/secret", "not for the container");
  await stage.bucket.put("secret", "nor this");
  await stage.bucket.put("application/secret", "nor this");
  const outside = [403, "AccessDenied"];
  const noKey = [400, "InvalidArgument"];
  const noPath = [400, "InvalidURI"];
  const noBucket = [404, "NoSuchBucket"];
  const cases = {
    "/convex/other/secret": outside,
    "/convex/secret": outside,
    "/convex/application/secret": outside,
    "/convex/app": outside,
    "/convex/app/../other/secret": outside,
    "/convex/app/%2e%2E/other/secret": outside,
    "/convex/app/./../secret": outside,
    "/convex/app/../../convex/secret": outside,
    "/convex/app/../../other/secret": noBucket,
    "/convex/app\\..\\other\\secret": outside,
    "/convex/app/..%2fother/secret": noKey,
    "/convex/app%2f..%2fother%2fsecret": noKey,
    "/convex/app/%2e%2e%2fsecret": noKey,
    "/convex/app/..%5csecret": noKey,
    "/convex/app//secret": noKey,
    "/convex/app/": noKey,
    "/convex/app/x/": noKey,
    "/convex/app/.hidden": noKey,
    "/convex/app/a%00b": noKey,
    "/convex/app/a%0ab": noKey,
    "/convex/app/a%26b%3cc%3e": noKey,
    "/convex/app/%C3%A9": noKey,
    "/convex/app/a%20b": noKey,
    "/convex/app/a+b": noKey,
    "/convex/app/%252e%252e/secret": noKey,
    [`/convex/app/${"a".repeat(513)}`]: noKey,
    "/convex/app/%": noPath,
    "/convex/app/%zz": noPath,
    "/convex/app/%ff%fe": noPath,
    "/convex/app/%c0%ae%c0%ae/secret": noPath,
    "//convex/app/x": noBucket,
    "/other/app/x": noBucket,
    "/convex%2fother/app/x": noBucket,
    "/": noBucket,
  };
  for (const [target, expected] of Object.entries(cases)) {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const answer = await stage.ask(method, target, method === "PUT" ? { body: "", headers: { "x-amz-content-sha256": NOTHING } } : {});
      const bucketItself = target === "/" && method !== "GET";
      assert.deepEqual([answer.status, answer.code], bucketItself ? noBucket : expected, `${method} ${target} ${answer.body}`);
    }
    assert.equal((await stage.ask("HEAD", target)).status, expected === noBucket ? 403 : expected[0], `HEAD ${target}`);
  }
  assert.deepEqual(await stage.keys(), ["application/secret", "other/secret", "secret"]);
});

test("what holdfast does not send is refused by its name", async (context) => {
  const stage = await GatewayStage.open(context);
  await stage.put("/convex/app/x", "kept");
  const fields = {
    range: "bytes=0-1", "if-match": '"x"', "if-modified-since": "Sat, 21 Nov 2026 00:00:00 GMT", "content-md5": "AAAAAAAAAAAAAAAAAAAAAA==",
    "content-encoding": "aws-chunked", "x-amz-copy-source": "/convex/other", "x-amz-tagging": "a=b", "x-amz-meta-a": "b", "x-amz-checksum-sha256": "x",
  };
  for (const [name, value] of Object.entries(fields)) {
    for (const method of ["GET", "PUT"]) {
      const answer = await stage.ask(method, "/convex/app/x", { headers: { [name]: value, "x-amz-content-sha256": NOTHING, "content-length": 0 } });
      assert.deepEqual([answer.status, answer.code], [501, "NotImplemented"], name);
      assert.ok(String(answer.body).includes(name), name);
    }
  }
  const others = [
    ["PUT", "/convex/app/x", { "if-none-match": '"etag"', "content-length": 0, "x-amz-content-sha256": NOTHING }, 501, "NotImplemented"],
    ["GET", "/convex/app/x", { "if-none-match": "*" }, 501, "NotImplemented"],
    ["PUT", "/convex/app/x", { "content-length": 0 }, 400, "InvalidRequest"],
    ["PUT", "/convex/app/x", { "content-length": 0, "x-amz-content-sha256": "UNSIGNED-PAYLOAD" }, 400, "InvalidRequest"],
    ["PUT", "/convex/app/x", { "transfer-encoding": "chunked", "x-amz-content-sha256": NOTHING }, 411, "MissingContentLength"],
    ["PUT", "/convex/app/x?partNumber=1&uploadId=2", { "content-length": 0, "x-amz-content-sha256": NOTHING }, 501, "NotImplemented"],
    ["DELETE", "/convex/app/x?versionId=1", {}, 501, "NotImplemented"],
    ["GET", "/convex/app/x?acl", {}, 501, "NotImplemented"],
    ["GET", "/convex?list-type=2&prefix=app/", {}, 501, "NotImplemented"],
    ["GET", "/convex?prefix=app/&delimiter=/", {}, 501, "NotImplemented"],
    ["GET", "/convex?prefix=app/&max-keys=0", {}, 400, "InvalidArgument"],
    ["GET", "/convex?prefix=app/&max-keys=ten", {}, 400, "InvalidArgument"],
    ["DELETE", "/convex", {}, 501, "NotImplemented"],
    ["PUT", "/convex", { "content-length": 0 }, 501, "NotImplemented"],
    ["POST", "/convex?delete", { "content-length": 0 }, 405, "MethodNotAllowed"],
    ["PATCH", "/convex/app/x", { "content-length": 0 }, 405, "MethodNotAllowed"],
    ["OPTIONS", "/convex/app/x", {}, 405, "MethodNotAllowed"],
  ];
  for (const [method, target, headers, status, code] of others) {
    const answer = await stage.ask(method, target, { headers });
    assert.deepEqual([answer.status, answer.code], [status, code], `${method} ${target}`);
  }
  assert.equal(String((await stage.ask("GET", "/convex/app/x")).body), "kept");
  assert.deepEqual(await stage.keys(), ["app/x"]);
});

test("a fault of R2 is an error that is tried again, or says what is wrong, and never means absent", async (context) => {
  const stage = await GatewayStage.open(context);
  await stage.put("/convex/app/x", "kept");
  const cases = {
    "We encountered an internal error. Please try again. (10001)": [500, "InternalError"],
    "Reduce your rate of simultaneous requests on the same object. (10058)": [429, "TooManyRequests"],
    "Service unavailable. (10043)": [503, "ServiceUnavailable"],
    "The specified bucket does not exist. (10006)": [404, "NoSuchBucket"],
    "The object is locked. (10069)": [403, "ObjectLockedByBucketPolicy"],
    "something that nobody has seen & <that> is new (19999)": [503, "ServiceUnavailable"],
    "Network connection lost.": [503, "ServiceUnavailable"],
  };
  for (const [fault, [status, code]] of Object.entries(cases)) {
    const headers = { "x-test-fault": fault, "x-amz-content-sha256": NOTHING };
    for (const [method, target] of [["GET", "/convex/app/x"], ["PUT", "/convex/app/x"], ["DELETE", "/convex/app/x"], ["GET", "/convex?prefix=app/"]]) {
      const answer = await stage.ask(method, target, { headers, ...(method === "PUT" ? { body: "" } : {}) });
      assert.deepEqual([answer.status, answer.code], [status, code], `${method} ${fault}`);
    }
    assert.equal((await stage.ask("HEAD", "/convex/app/x", { headers })).status, status === 404 ? 403 : status);
  }
  assert.equal(String((await stage.ask("GET", "/convex/app/x")).body), "kept");
});

test("a container that was started with another bucket is refused, not let into this one", async (context) => {
  const stage = await GatewayStage.open(context, { store: "r2://account/newer/app" });
  const answer = await stage.create("/convex/app/log/1", "of the older bucket's log");
  assert.deepEqual([answer.status, answer.code], [404, "NoSuchBucket"]);
  assert.deepEqual(await stage.keys(), []);
});

test("a prefix that was changed since holds for the next container; the running one stays in its own", async (context) => {
  const stage = await GatewayStage.open(context, { store: "r2://account/convex/newer" });
  assert.equal((await stage.create("/convex/app/log/1", "x")).status, 200);
  assert.equal((await stage.create("/convex/newer/log/1", "x")).status, 403);
});

test("a bucket without a prefix", async (context) => {
  const stage = await GatewayStage.open(context, { store: "s3://convex", place: { bucket: "convex", prefix: "" } });
  assert.equal((await stage.create("/convex/log/1", "x")).status, 200);
  assert.match(String((await stage.ask("GET", "/convex?max-keys=1000&prefix=log/")).body), /<Key>log\/1<\/Key>/);
  assert.equal((await stage.ask("GET", "/convex/../secret")).status, 404);
});

test("a prefix with characters that have to be escaped", async (context) => {
  const prefix = "my app/ü&<b>'\"+/";
  const stage = await GatewayStage.open(context, { store: `s3://convex/${prefix}`, place: { bucket: "convex", prefix } });
  const target = `/convex/${prefix.split("/").map(encodeURIComponent).join("/")}log/1`;
  assert.equal((await stage.create(target, "x")).status, 200);
  assert.deepEqual(await stage.keys(), [`${prefix}log/1`]);
  const listing = String((await stage.ask("GET", `/convex?prefix=${encodeURIComponent(prefix)}`)).body);
  assert.match(listing, /<Key>my app\/ü&amp;&lt;b&gt;&apos;&quot;\+\/log\/1<\/Key>/);
});
