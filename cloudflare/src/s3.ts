// The part of S3 that holdfast speaks (snapshot/store/s3.c), as questions and answers; no bucket is asked here.
//
// What holdfast doesn't send is refused by name and never ignored: a condition, a range or a checksum that is passed
// over would be answered with a success that means something else. Keys are taken from an allow-list, so there is
// none that another program that looks at the bucket could read as a path out of the prefix.

// Where the container's store is. Every key that leaves this module begins with the prefix.
export interface Place {
  bucket: string; // the name in HOLDFAST_STORE
  prefix: string; // "" or ends in a slash
}

// What a start of the container is given: its store, and the pass with which it asks for it.
export interface Access {
  place: Place;
  pass: string;
}

export type Question =
  | { operation: "put"; key: string; length: number; sha256: string; onlyIfAbsent: boolean }
  | { operation: "get" | "head" | "delete"; key: string }
  | { operation: "list"; prefix: string; after: string; limit: number };

export interface Entry {
  key: string;
  size: number;
}

// An answer that is no success. HEAD gets it without the document.
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const PAGE_KEYS_MAX = 1000;
const KEY_SIZE_MAX = 512; // below the prefix, as in store.h
const LIST_PARAMETERS = ["marker", "max-keys", "prefix"];
const METHODS: Record<string, "get" | "head" | "put" | "delete"> = { GET: "get", HEAD: "head", PUT: "put", DELETE: "delete" };

// Header fields that would change what a request means, other than those that are obeyed.
const MEANINGFUL = /^(x-amz-(?!(?:content-sha256|date|security-token)$).*|if-.*|range|content-md5|content-encoding)$/;

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Refusal(400, "InvalidURI", "The path is not percent-encoded UTF-8.");
  }
}

// As store_key_is_valid() has it.
function isKey(key: string): boolean {
  return key.length <= KEY_SIZE_MAX && /^[A-Za-z0-9._/-]+$/.test(key) && key.split("/").every((part) => part !== "" && !part.startsWith("."));
}

function within(place: Place, key: string): string {
  if (!key.startsWith(place.prefix)) throw new Refusal(403, "AccessDenied", "The key is outside of the prefix that this container may use.");
  return key;
}

function keyOf(place: Place, key: string): string {
  if (!isKey(within(place, key).slice(place.prefix.length))) throw new Refusal(400, "InvalidArgument", "A key of holdfast does not look like that.");
  return key;
}

function checkHeaders(request: Request, obeyed: string[]): void {
  for (const [name] of request.headers)
    if (MEANINGFUL.test(name) && !obeyed.includes(name)) throw new Refusal(501, "NotImplemented", `The header field ${name} is not implemented here.`);
}

function checkParameters(url: URL, known: string[]): void {
  for (const name of url.searchParams.keys())
    if (!known.includes(name)) throw new Refusal(501, "NotImplemented", `The parameter ${name} is not implemented here.`);
}

function listQuestion(place: Place, url: URL): Question {
  checkParameters(url, LIST_PARAMETERS);
  const limit = url.searchParams.get("max-keys") ?? String(PAGE_KEYS_MAX);
  if (!/^[1-9]\d{0,8}$/.test(limit)) throw new Refusal(400, "InvalidArgument", "max-keys has to be a number above 0.");
  return {
    operation: "list",
    prefix: within(place, url.searchParams.get("prefix") ?? ""),
    after: url.searchParams.get("marker") ?? "",
    limit: Math.min(Number(limit), PAGE_KEYS_MAX),
  };
}

function putQuestion(request: Request, key: string): Question {
  const length = request.headers.get("content-length") ?? "";
  const sha256 = request.headers.get("x-amz-content-sha256") ?? "";
  const condition = request.headers.get("if-none-match");
  checkHeaders(request, ["if-none-match"]);
  if (condition !== null && condition !== "*") throw new Refusal(501, "NotImplemented", "If-None-Match is implemented for * only.");
  if (!/^\d{1,15}$/.test(length)) throw new Refusal(411, "MissingContentLength", "Content-Length has to say how long the body is.");
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new Refusal(400, "InvalidRequest", "x-amz-content-sha256 has to be the SHA-256 of the body in hex.");
  return { operation: "put", key, length: Number(length), sha256, onlyIfAbsent: condition !== null };
}

// What a request asks for, or throws why it is refused.
export function questionOf(request: Request, place: Place): Question {
  const url = new URL(request.url);
  const [, bucket = "", rest = ""] = /^\/([^/]*)\/?(.*)$/.exec(url.pathname) ?? [];
  const method = METHODS[request.method];
  if (!method) throw new Refusal(405, "MethodNotAllowed", `${request.method} is not implemented here.`);
  if (decoded(bucket) !== place.bucket) throw new Refusal(404, "NoSuchBucket", "This is not the bucket of HOLDFAST_STORE.");
  if (rest === "" && method !== "get") throw new Refusal(501, "NotImplemented", "Of a bucket only its listing is implemented here.");
  if (method !== "put") checkHeaders(request, []);
  if (rest === "") return listQuestion(place, url);
  checkParameters(url, []);
  const key = keyOf(place, decoded(rest));
  return method === "put" ? putQuestion(request, key) : { operation: method, key };
}

// The access key id in the signature's head: "AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/s3/aws4_request,…".
export function passOf(request: Request): string {
  return /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\//.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
}

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" };

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (found) => ENTITIES[found] ?? "");
}

// XML has no way to write control characters and halves of surrogate pairs.
export function isWritable(text: string): boolean {
  return !/[\u0000-\u001f\u007f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text);
}

// Date is holdfast's clock for records, so no answer goes without it.
export function answerOf(status: number, body: BodyInit | null, fields: Record<string, string> = {}): Response {
  return new Response(body, { status, headers: { date: new Date().toUTCString(), ...fields } });
}

function xml(status: number, document: string): Response {
  return answerOf(status, `<?xml version="1.0" encoding="UTF-8"?>\n${document}`, { "content-type": "application/xml" });
}

export function refusalAnswer(request: Request, refusal: Refusal): Response {
  // Without the document, 404 would say that the key is absent.
  if (request.method === "HEAD") return answerOf(refusal.code === "NoSuchBucket" ? 403 : refusal.status, null);
  return xml(refusal.status, `<Error><Code>${refusal.code}</Code><Message>${escaped(refusal.message)}</Message></Error>`);
}

export function listingAnswer(place: Place, question: { prefix: string; after: string; limit: number }, entries: Entry[], more: boolean): Response {
  const contents = entries.map(({ key, size }) => `<Contents><Key>${escaped(key)}</Key><Size>${size}</Size></Contents>`);
  return xml(
    200,
    `<ListBucketResult><Name>${escaped(place.bucket)}</Name><Prefix>${escaped(question.prefix)}</Prefix>` +
      `<Marker>${escaped(question.after)}</Marker><MaxKeys>${question.limit}</MaxKeys><IsTruncated>${more}</IsTruncated>` +
      `${contents.join("")}</ListBucketResult>`,
  );
}
