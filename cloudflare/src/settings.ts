// What the Worker's variables and secrets say.
//
// The rule that a user has to know is short: every variable and secret reaches the container, except those whose names
// begin with WORKER_, which are for the Worker itself.
import type { Backend } from "./backend";
import type { Access, Place } from "./s3";
import { newPass } from "./secrets";

export interface Env {
  BACKEND: DurableObjectNamespace<Backend>;
  STORE?: R2Bucket; // the bucket of HOLDFAST_STORE; without it there is no gateway
  [name: string]: unknown;
}

export interface Settings {
  routes: string[];
  siteHost: string; // requests to this host name are HTTP actions; "": none has one
  holdMs: number; // how long a request waits for the container
  sleepAfterMs: number; // 0: the container is kept running
  diagnosticsToken: string; // "": there are no diagnostics
}

// A sentence for whoever set the Worker up.
export class SettingsError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

// Cloudflare ends a container for good 15 minutes after SIGTERM.
const PLATFORM_GRACE_MS = 15 * 60_000;

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export function durationOf(name: string, text: string): number {
  const [, count, unit] = /^(\d+)(ms|s|m|h|d)$/.exec(text) ?? [];
  if (text === "0") return 0;
  if (!count || !unit) throw new SettingsError("BadSetting", `${name} is "${text}" and not a duration such as 20s or 10m.`);
  return Number(count) * (UNITS[unit] ?? 0);
}

export function textOf(env: Env, name: string, otherwise = ""): string {
  const value = env[name];
  return typeof value === "string" && value !== "" ? value : otherwise;
}

export function settingsOf(env: Env): Settings {
  return {
    routes: textOf(env, "WORKER_ROUTES", "/api/* /version /instance_name /http/*").split(/\s+/).filter(Boolean),
    siteHost: textOf(env, "WORKER_SITE_HOST").toLowerCase(),
    holdMs: durationOf("WORKER_HOLD", textOf(env, "WORKER_HOLD", "20s")),
    sleepAfterMs: durationOf("WORKER_SLEEP_AFTER", textOf(env, "WORKER_SLEEP_AFTER", "0")),
    diagnosticsToken: textOf(env, "WORKER_DIAGNOSTICS_TOKEN"),
  };
}

// A name that no DNS server knows (.internal is reserved): what is not intercepted reaches nobody.
export const GATEWAY_HOST = "gateway.holdfast.internal";

// What would let the container past the gateway, and is of no use with it.
const KEYS = /^(HOLDFAST_S3_|AWS_ACCESS_KEY_ID$|AWS_SECRET_ACCESS_KEY$|AWS_SESSION_TOKEN$)/;

function isOn(env: Env): boolean {
  const value = textOf(env, "WORKER_GATEWAY", "off");
  if (value !== "on" && value !== "off") throw new SettingsError("BadSetting", `WORKER_GATEWAY is "${value}" and neither on nor off.`);
  return value === "on";
}

// Bucket and prefix in HOLDFAST_STORE, as snapshot/store/url.c reads them. The text may hold what should not be shown.
export function placeOf(env: Env): Place {
  const store = textOf(env, "HOLDFAST_STORE");
  const [, bucket, rest = ""] = /^(?:s3:\/\/|r2:\/\/[^/]+\/)([^/@]+)(?:\/(.*))?$/.exec(store) ?? [];
  if (!bucket)
    throw new SettingsError("BadSetting", "HOLDFAST_STORE names no bucket: write r2://ACCOUNT_ID/BUCKET/PREFIX into vars of wrangler.jsonc.");
  const prefix = rest.replace(/\/+$/, "");
  return { bucket, prefix: prefix && `${prefix}/` };
}

// For a container that is started now; undefined: it has keys and needs no gateway.
export function accessOf(env: Env): Access | undefined {
  return isOn(env) ? { place: placeOf(env), pass: newPass() } : undefined;
}

function requireBinding(env: Env): void {
  const { bucket } = placeOf(env);
  if (env.STORE) return;
  throw new SettingsError(
    "MissingSetting",
    `WORKER_GATEWAY is on, but there is no R2 binding STORE: write { "binding": "STORE", "bucket_name": "${bucket}" } into r2_buckets of wrangler.jsonc and deploy again.`,
  );
}

// A route is a path, or the beginning of one and a star.
export function routeFits(route: string, path: string): boolean {
  return route.endsWith("*") ? path.startsWith(route.slice(0, -1)) : path === route;
}

// Throws what has to be done before a container can be started.
export function requireComplete(env: Env): void {
  const store = textOf(env, "HOLDFAST_STORE");
  if (!store || /[<>]/.test(store))
    throw new SettingsError(
      "MissingSetting",
      "HOLDFAST_STORE is not set: write r2://ACCOUNT_ID/BUCKET/PREFIX into vars of wrangler.jsonc and deploy again.",
    );
  if (store.startsWith("file:"))
    throw new SettingsError(
      "BadSetting",
      "HOLDFAST_STORE is a directory, and a container's disk is thrown away: write r2://ACCOUNT_ID/BUCKET/PREFIX instead.",
    );
  if (isOn(env)) return requireBinding(env);
  const pair = textOf(env, "HOLDFAST_S3_ACCESS_KEY_ID") ? "HOLDFAST_S3_" : "AWS_";
  const missing = [`${pair}ACCESS_KEY_ID`, `${pair}SECRET_ACCESS_KEY`].filter((name) => !textOf(env, name));
  if (missing.length === 0) return;
  const commands = missing.map((name) => `npx wrangler secret put ${name}`).join(" && ");
  const subject = missing.length === 1 ? `The secret ${missing[0]} is` : `The secrets ${missing.join(" and ")} are`;
  const instead = env.STORE ? "; or set WORKER_GATEWAY to on, so that the container needs no key" : "";
  throw new SettingsError("MissingSecret", `${subject} missing; to set what is missing, run: ${commands}${instead}`);
}

// What works, but not as its author thinks.
export function warningsOf(env: Env): string[] {
  const shutdown = textOf(env, "HOLDFAST_SHUTDOWN_TIMEOUT", "25s");
  const warnings = [];
  if (durationOf("HOLDFAST_SHUTDOWN_TIMEOUT", shutdown) >= PLATFORM_GRACE_MS)
    warnings.push(`HOLDFAST_SHUTDOWN_TIMEOUT is ${shutdown}, but the platform kills a container 15m after SIGTERM: set it below that, to 12m say.`);
  if (!textOf(env, "INSTANCE_SECRET"))
    warnings.push("INSTANCE_SECRET is not set: Convex makes one up on its first start, and you need it for admin keys.");
  if (isOn(env))
    for (const name of Object.keys(env).filter((name) => KEYS.test(name)))
      warnings.push(`${name} is set, but WORKER_GATEWAY is too: it is not given to the container and can be deleted.`);
  return warnings;
}

function gatewayEnvironment(pass: string): Record<string, string> {
  return {
    HOLDFAST_S3_ENDPOINT: `http://${GATEWAY_HOST}`,
    HOLDFAST_S3_PATH_STYLE: "1",
    HOLDFAST_S3_REGION: "auto",
    HOLDFAST_S3_ACCESS_KEY_ID: pass,
    HOLDFAST_S3_SECRET_ACCESS_KEY: "none", // has to be there for holdfast to sign with; nobody looks at the signatures
  };
}

// The container's environment, apart from what changes with every start.
export function environmentOf(env: Env, access: Access | undefined): Record<string, string> {
  const environment: Record<string, string> = {
    HOLDFAST_LISTEN: "0.0.0.0:3210",
    HOLDFAST_SITE_LISTEN: "0.0.0.0:3211",
    HOLDFAST_LOG_FORMAT: "json", // one line is one entry in the dashboard
    HOLDFAST_TRUST_FORWARDED: "1", // the Worker writes these fields
    HOLDFAST_SHUTDOWN_TIMEOUT: "5m",
  };
  for (const [name, value] of Object.entries(env))
    if (typeof value === "string" && !name.startsWith("WORKER_") && !(access && KEYS.test(name))) environment[name] = value;
  return access ? { ...environment, ...gatewayEnvironment(access.pass) } : environment;
}
