// The store of a container that has no key: an S3 endpoint inside the Worker, in front of an R2 binding.
//
// Who may ask: only holdfast in the container. This entrypoint has no address; the Durable Object gives it to the
// platform as the handler of the container's requests to GATEWAY_HOST, and neither the Worker's routes nor a URL lead
// here. But the backend is in the container too, and may be talked into asking for a URL, so each start has a pass,
// which holdfast sends as its access key id and keeps from the backend. It is of no use anywhere else or later, so it is
// compared, and the signatures made with it are not verified.
//
// What it must keep: one condition of R2 for one condition of S3, never "look, then write"; no body in memory, and
// none stored that is cut off or differs from its SHA-256; and a fault of R2 is never an answer such as "absent".
import { WorkerEntrypoint } from "cloudflare:workers";

import { type Access, answerOf, isWritable, listingAnswer, passOf, type Place, type Question, questionOf, Refusal, refusalAnswer } from "./s3";
import { isSame } from "./secrets";
import { type Env, placeOf } from "./settings";

type Put = Extract<Question, { operation: "put" }>;
type List = Extract<Question, { operation: "list" }>;

// R2's own codes at the end of its messages: https://developers.cloudflare.com/r2/api/error-codes/. What is not here
// is answered with 503, which holdfast tries again.
const FAULTS: Record<string, [status: number, code: string]> = {
  10001: [500, "InternalError"],
  10003: [403, "AccessDenied"],
  10006: [404, "NoSuchBucket"],
  10013: [400, "IncompleteBody"],
  10020: [400, "InvalidArgument"],
  10031: [412, "PreconditionFailed"],
  10037: [400, "BadDigest"],
  10042: [403, "NotEntitled"],
  10058: [429, "TooManyRequests"],
  10069: [403, "ObjectLockedByBucketPolicy"],
  100100: [400, "EntityTooLarge"],
};

const IF_ABSENT = new Headers({ "if-none-match": "*" });

function absent(): Refusal {
  return new Refusal(404, "NoSuchKey", "The key does not exist.");
}

// R2 takes a stream only if its length is known; and one that ends early has to fail instead of being stored.
function bodyOf(request: Request, length: number): ReadableStream | string {
  if (!request.body) return "";
  const whole = new FixedLengthStream(length);
  request.body.pipeTo(whole.writable).catch(() => undefined); // the reading end fails with it
  return whole.readable;
}

async function put(bucket: R2Bucket, question: Put, request: Request): Promise<Response> {
  const { key, length, sha256, onlyIfAbsent } = question;
  const stored = await bucket.put(key, bodyOf(request, length), onlyIfAbsent ? { sha256, onlyIf: IF_ABSENT } : { sha256 });
  if (!stored) throw new Refusal(412, "PreconditionFailed", "The key exists.");
  return answerOf(200, null, { etag: stored.httpEtag });
}

async function get(bucket: R2Bucket, key: string): Promise<Response> {
  const object = await bucket.get(key);
  if (!object) throw absent();
  return answerOf(200, object.body, { etag: object.httpEtag, "content-length": String(object.size) });
}

async function head(bucket: R2Bucket, key: string): Promise<Response> {
  const object = await bucket.head(key);
  if (!object) throw absent();
  return answerOf(200, null, { etag: object.httpEtag, "content-length": String(object.size) });
}

// A page may be short, but not empty while more follow: its reader goes on behind the last key.
async function list(bucket: R2Bucket, place: Place, question: List): Promise<Response> {
  const { prefix, after, limit } = question;
  let page: R2Objects;
  let entries: R2Object[];
  let cursor: string | undefined;
  do {
    page = await bucket.list({ prefix, limit, ...(cursor ? { cursor } : after ? { startAfter: after } : {}) });
    entries = page.objects.filter(({ key }) => isWritable(key));
    cursor = page.truncated ? page.cursor : undefined;
  } while (entries.length === 0 && cursor);
  return listingAnswer(place, question, entries, cursor !== undefined);
}

async function ask(bucket: R2Bucket, place: Place, question: Question, request: Request): Promise<Response> {
  switch (question.operation) {
    case "put":
      return put(bucket, question, request);
    case "get":
      return get(bucket, question.key);
    case "head":
      return head(bucket, question.key);
    case "delete":
      await bucket.delete(question.key);
      return answerOf(204, null);
    case "list":
      return list(bucket, place, question);
  }
}

function refusalOf(request: Request, error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  const message = String((error as Error).message ?? error);
  const [status, code] = FAULTS[/\((\d+)\)$/.exec(message)?.[1] ?? ""] ?? [503, "ServiceUnavailable"];
  console.warn(JSON.stringify({ event: "store-fault", method: request.method, path: new URL(request.url).pathname, status, message }));
  return new Refusal(status, code, message);
}

// The place is that of the container's start. The binding follows the settings of today: if they name another bucket,
// it is that one's, and the container is refused rather than let loose on a store that it has never seen.
function bucketFor(place: Place, env: Env): R2Bucket {
  if (!env.STORE || placeOf(env).bucket !== place.bucket)
    throw new Refusal(404, "NoSuchBucket", "The Worker's binding STORE is not the bucket that this container was started with.");
  return env.STORE;
}

export class Gateway extends WorkerEntrypoint<Env, Access> {
  override async fetch(request: Request): Promise<Response> {
    const { place, pass } = this.ctx.props;
    try {
      if (!(await isSame(passOf(request), pass))) throw new Refusal(403, "InvalidAccessKeyId", "This is not the pass of this container's start.");
      return await ask(bucketFor(place, this.env), place, questionOf(request, place), request);
    } catch (error) {
      return refusalAnswer(request, refusalOf(request, error));
    }
  }
}
