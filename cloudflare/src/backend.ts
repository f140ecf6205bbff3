// The Durable Object: it has the container, and every request for it passes here.
import { DurableObject } from "cloudflare:workers";

import { answer, type Problem } from "./answers";
import { type End, meaningOf } from "./exits";
import { Machine, StartFailed } from "./machine";
import { relay } from "./relay";
import type { Access } from "./s3";
import { type Env, requireComplete, type Settings, settingsOf, warningsOf } from "./settings";

const SITE_PORT = 3211;
const KEEP_ALIVE_MIN_MS = 60 * 60_000;
const WAITED_TOO_LONG = Symbol("waited too long");

export class Backend extends DurableObject<Env> {
  private readonly settings: Settings;
  private readonly machine: Machine | undefined;
  private busy = 0; // requests and sockets
  private active = Date.now(); // when there was last something to do
  private readonly cuts = new Set<() => void>(); // of the open sockets

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.settings = settingsOf(env);
    const keepAliveMs = Math.max(2 * this.settings.sleepAfterMs, KEEP_ALIVE_MIN_MS);
    const gatewayFor = (access: Access): Fetcher => ctx.exports.Gateway({ props: access });
    if (ctx.container) this.machine = new Machine(ctx.container, ctx.storage, env, keepAliveMs, gatewayFor);
  }

  override async fetch(request: Request): Promise<Response> {
    if (!this.machine)
      return answer(request, {
        status: 503,
        code: "NoContainer",
        message: "This Durable Object has no container: wrangler.jsonc names it under containers.",
        retryAfterS: 0,
      });
    const release = this.begin();
    try {
      const problem = await this.wait(this.machine);
      if (problem) return answer(request, problem);
      return await this.forward(this.machine, request, release);
    } finally {
      release.unlessTaken();
    }
  }

  // The cron's part: without it a container that nobody asks sleeps, and the backend's own schedules with it.
  async keepWarm(): Promise<void> {
    if (this.settings.sleepAfterMs > 0 || !this.machine) return;
    requireComplete(this.env);
    await this.wait(this.machine);
  }

  // Ships everything and ends the process; the next request starts another.
  async stop(): Promise<Record<string, unknown>> {
    await this.machine?.stop();
    return this.describe();
  }

  describe(): Record<string, unknown> {
    return {
      ...this.machine?.describe(),
      busy: this.busy,
      idle_s: Math.round((Date.now() - this.active) / 1000),
      sleep_after_s: this.settings.sleepAfterMs / 1000,
      warnings: warningsOf(this.env),
    };
  }

  override async alarm(): Promise<void> {
    const { sleepAfterMs } = this.settings;
    if (sleepAfterMs === 0 || !this.machine?.isRunning()) return;
    if (this.busy > 0 || Date.now() - this.active < sleepAfterMs) {
      await this.scheduleSleep(this.busy > 0 ? Date.now() : this.active);
      return;
    }
    console.log(JSON.stringify({ event: "sleep", idle_ms: Date.now() - this.active }));
    await this.machine.stop();
  }

  private async scheduleSleep(from: number): Promise<void> {
    if (this.settings.sleepAfterMs > 0) await this.ctx.storage.setAlarm(from + this.settings.sleepAfterMs);
  }

  // Something to do, until the returned value says that it is done.
  private begin(): Release {
    this.busy++;
    this.active = Date.now();
    return new Release(() => {
      this.busy--;
      this.active = Date.now();
    });
  }

  // Waits for the container, not longer than a client would. The start goes on by itself.
  private async wait(machine: Machine): Promise<Problem | undefined> {
    const ready = machine.ready();
    this.ctx.waitUntil(ready.catch(() => undefined));
    try {
      const limit = scheduler.wait(this.settings.holdMs).then(() => WAITED_TOO_LONG);
      if ((await Promise.race([ready, limit])) === WAITED_TOO_LONG) return stillStarting(machine);
      if (this.settings.sleepAfterMs > 0 && (await this.ctx.storage.getAlarm()) === null) await this.scheduleSleep(Date.now());
      return undefined;
    } catch (error) {
      return startProblem(error);
    }
  }

  private async forward(machine: Machine, request: Request, release: Release): Promise<Response> {
    const { inside, port } = this.target(machine, request);
    const ended = machine.ended();
    let response: Response | End;
    try {
      // A fetch under way when the process dies may stay pending for ever, hence the race.
      response = await Promise.race([ended, port.fetch(inside)]);
    } catch (error) {
      response = await Promise.race([ended, scheduler.wait(250).then(() => connectionLost(error))]);
    }
    if (!(response instanceof Response)) return answer(request, lostProblem(request, response));
    if (response.webSocket) return this.relay(response.webSocket, ended, release);
    if (response.status === 503 && response.headers.get("x-holdfast") === "1") await machine.refused();
    return this.settings.sleepAfterMs > 0 ? tracked(response, release) : response;
  }

  private target(machine: Machine, request: Request): { inside: Request; port: Fetcher } {
    const outside = new URL(request.url);
    const headers = new Headers(request.headers);
    const client = request.headers.get("cf-connecting-ip");
    headers.delete("host");
    headers.set("x-forwarded-host", outside.host);
    headers.set("x-forwarded-proto", outside.protocol.slice(0, -1));
    if (client) headers.set("x-forwarded-for", client);
    const isSite = this.settings.siteHost !== "" && outside.hostname === this.settings.siteHost;
    const changed = new Request(request, { headers, redirect: "manual" });
    return {
      inside: new Request(`http://container${outside.pathname}${outside.search}`, changed),
      port: isSite ? machine.port(SITE_PORT) : machine.port(),
    };
  }

  private relay(inside: WebSocket, ended: Promise<End>, release: Release): Response {
    const done = release.take();
    const seen = (): void => {
      this.active = Date.now();
    };
    const { response, cut } = relay(inside, seen, () => {
      this.cuts.delete(cut);
      done();
    });
    this.cuts.add(cut);
    void ended.then(cut);
    return response;
  }
}

// Done once, either when the handler returns or, if somebody has taken it, when that one says so.
class Release {
  private taken = false;
  private done = false;

  constructor(private readonly finish: () => void) {}

  take(): () => void {
    this.taken = true;
    return () => {
      if (!this.done) this.finish();
      this.done = true;
    };
  }

  unlessTaken(): void {
    if (!this.taken) this.take()();
  }
}

// The same response, which counts as something to do until its last byte is sent.
function tracked(response: Response, release: Release): Response {
  if (!response.body) return response;
  const length = response.headers.get("content-length");
  const through = length === null ? new IdentityTransformStream() : new FixedLengthStream(Number(length));
  const done = release.take();
  void response.body.pipeTo(through.writable).catch(() => undefined).finally(done);
  return new Response(through.readable, response);
}

function connectionLost(error: unknown): End {
  return { at: new Date().toISOString(), error: String((error as Error).message ?? error) };
}

function stillStarting(machine: Machine): Problem {
  const progress = machine.progress();
  const percent = Math.floor((progress?.progress ?? 0) * 100);
  const message = progress?.state === "restore"
    ? `The data is being restored (${percent} %); please try again in a moment.`
    : "The container is starting; please try again in a moment.";
  return { status: 503, code: "Starting", message, retryAfterS: 2, details: { ...progress } };
}

function startProblem(error: unknown): Problem {
  if (error instanceof StartFailed)
    return {
      status: 503,
      code: "StartFailed",
      message: error.message,
      retryAfterS: error.restS,
      details: { exit_code: error.end.exitCode ?? null },
    };
  const message = String((error as Error).message ?? error);
  return { status: 503, code: "NoInstance", message: `No container could be started: ${message}.`, retryAfterS: 10 };
}

// Whether the request took effect is unknown, so nobody here sends it again.
function lostProblem(request: Request, end: End): Problem {
  const safe = ["GET", "HEAD", "OPTIONS"].includes(request.method);
  const cause = end.exitCode === undefined ? `the connection to the container was lost (${end.error ?? "no reason given"})` : meaningOf(end).message;
  const advice = safe ? "try again" : "whether it took effect is unknown, so it was not sent again";
  return {
    status: safe ? 503 : 502,
    code: "BackendLost",
    message: `The request was under way when this happened: ${cause.replace(/\.$/, "")}; ${advice}.`,
    retryAfterS: 2,
    details: { exit_code: end.exitCode ?? null },
  };
}
