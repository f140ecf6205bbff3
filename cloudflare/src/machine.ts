// The one container of this Durable Object: its start, its readiness, its end.
//
// Invariants: at most one start is under way, whoever asks; nothing is sent to the backend before holdfast has answered
// 200 on /_holdfast/ready; what is known about a process (that it began, that it was told to stop, how it ended) is in
// the object's storage before anybody acts on it, since the object may be evicted while its container runs on.
import { type End, meaningOf } from "./exits";
import type { Access } from "./s3";
import { accessOf, type Env, environmentOf, GATEWAY_HOST } from "./settings";

const PORT = 3210;
const READY = "http://container/_holdfast/ready";
const PROBE_TIMEOUT_MS = 1000;
const PROBE_PAUSE_MS = 50;
const START_LIMIT_MS = 15 * 60_000; // after that, whoever asks next begins to look again
const STOP_LIMIT_MS = 15 * 60_000; // the platform kills it then
const SIGTERM = 15;

interface Life {
  number: number; // of this object's starts
  began: string;
  predecessor: string;
  ready?: string;
  stopping?: string; // SIGTERM was sent
  leaving?: string; // it said that it ends, whoever wants it to: it may still be shipping
  access?: Access; // to its store, if that is the gateway; not for showing
  end?: End;
}

// Of /_holdfast/ready, as far as it came.
export interface Progress {
  state: string;
  progress: number;
  reason: string;
  exit_code?: number; // the start has failed, for that reason: the process is about to end
}

// The process ended before it was ready, or it can't be started.
export class StartFailed extends Error {
  constructor(
    readonly end: End,
    readonly restS: number,
    message: string,
  ) {
    super(message);
  }
}

export class Machine {
  private becoming: Promise<void> | undefined;
  private stopping: Promise<void> | undefined;
  private exit: Promise<End> | undefined; // of the running process; never rejects
  private serving = false;
  private failure: StartFailed | undefined;
  private failureUntil = 0;
  private seen: Progress | undefined;

  constructor(
    private readonly container: Container,
    private readonly storage: DurableObjectStorage,
    private readonly env: Env,
    private readonly keepAliveMs: number,
    private readonly gatewayFor: (access: Access) => Fetcher,
  ) {
    if (!container.running) return;
    this.watch();
    // This may be a new version of the Worker, which has other settings or no gateway any more: the container that
    // the last one started still has to ship what it has, to where it was told.
    void this.openGateway(this.life()?.access).catch((error: unknown) => {
      console.warn(JSON.stringify({ event: "no-gateway", error: String(error) }));
    });
  }

  // Resolves when the backend may be asked. All callers share one start.
  ready(): Promise<void> {
    if (this.serving && !this.stopping) return Promise.resolve();
    this.becoming ??= this.become().finally(() => (this.becoming = undefined));
    return this.becoming;
  }

  // The end of the process that runs now.
  ended(): Promise<End> {
    return this.exit ?? Promise.resolve(this.life()?.end ?? { at: new Date().toISOString() });
  }

  port(number = PORT): Fetcher {
    return this.container.getTcpPort(number);
  }

  // Lets holdfast ship what is left and waits for its exit. Never kills: the platform does that in the end.
  stop(): Promise<void> {
    this.stopping ??= this.terminate().finally(() => (this.stopping = undefined));
    return this.stopping;
  }

  // holdfast itself refused a request. A platform that replaces the container sends SIGTERM past this object, and this is
  // how the object gets to know before another container is started.
  async refused(): Promise<void> {
    const { stopping, leaving } = this.life() ?? {};
    if (stopping || leaving || (await this.probe()) || !["drain", "flush"].includes(this.seen?.state ?? "")) return;
    this.note({ leaving: new Date().toISOString() });
    await this.storage.sync();
  }

  progress(): Progress | undefined {
    return this.serving ? undefined : this.seen;
  }

  isRunning(): boolean {
    return this.container.running;
  }

  describe(): Record<string, unknown> {
    const { access: _, ...life } = this.life() ?? {};
    return {
      running: this.container.running,
      serving: this.serving,
      stopping: this.stopping !== undefined,
      progress: this.seen ?? null,
      process: this.life() ? life : null,
    };
  }

  private life(): Life | undefined {
    return this.storage.kv.get<Life>("life");
  }

  private note(change: Partial<Life>): void {
    const life = this.life();
    if (life) this.storage.kv.put("life", { ...life, ...change });
  }

  // HOLDFAST_PREDECESSOR. Only an exit that was seen proves that a process is gone; one that was to end and whose exit
  // nobody saw (this object may have moved meanwhile) may still be shipping. Of anything else nothing is known, and the
  // log in the store decides alone.
  private predecessor(): string {
    const life = this.life();
    if (life?.end?.exitCode !== undefined) return "gone";
    return life?.stopping || life?.leaving ? "alive" : "";
  }

  private watch(): void {
    const at = (): string => new Date().toISOString();
    this.exit = this.container
      .monitor()
      .then(
        (): End => ({ at: at(), exitCode: 0 }),
        (error: { exitCode?: unknown; message?: unknown }): End => ({
          at: at(),
          ...(typeof error.exitCode === "number" ? { exitCode: error.exitCode } : {}),
          error: String(error.message ?? error),
        }),
      )
      .then((ended) => {
        const end = this.seen?.exit_code === undefined ? ended : { ...ended, reason: this.seen.reason };
        this.exit = undefined;
        this.serving = false;
        this.note({ end });
        console.log(JSON.stringify({ event: "container-ended", ...end }));
        this.rest(end);
        return end;
      });
  }

  // After an end that was asked for, or a clean one, the next start may come at once.
  private rest(end: End): void {
    if (this.life()?.stopping || end.exitCode === 0) return;
    const { message, restS } = meaningOf(end);
    this.failure = new StartFailed(end, restS, message);
    this.failureUntil = Date.now() + restS * 1000;
  }

  private async openGateway(access: Access | undefined): Promise<void> {
    if (access) await this.container.interceptOutboundHttp(GATEWAY_HOST, this.gatewayFor(access));
  }

  private async start(): Promise<void> {
    if (this.container.running) {
      if (!this.exit) this.watch();
      return;
    }
    const predecessor = this.predecessor();
    const access = accessOf(this.env);
    const number = (this.life()?.number ?? 0) + 1;
    const life: Life = { number, began: new Date().toISOString(), predecessor, ...(access ? { access } : {}) };
    this.storage.kv.put("life", life);
    await this.storage.sync();
    this.seen = undefined;
    await this.openGateway(access);
    this.container.start({
      enableInternet: true,
      env: { ...environmentOf(this.env, access), ...(predecessor ? { HOLDFAST_PREDECESSOR: predecessor } : {}) },
    });
    console.log(JSON.stringify({ event: "container-started", number: life.number, predecessor }));
    this.watch();
    // Without it, the platform may stop a container whose object is evicted. Where it isn't known, nothing is lost.
    await this.container.setInactivityTimeout(this.keepAliveMs).catch((error: unknown) => {
      console.warn(JSON.stringify({ event: "no-inactivity-timeout", error: String(error) }));
    });
  }

  private async become(): Promise<void> {
    await this.stopping;
    if (this.failure && Date.now() < this.failureUntil) throw this.failure;
    await this.start();
    for (const until = Date.now() + START_LIMIT_MS; Date.now() < until; ) {
      const exit = this.ended();
      const end = await Promise.race([exit, this.probe()]);
      if (typeof end === "object") throw this.failed(end);
      if (end) {
        this.serving = true;
        this.failure = undefined;
        this.note({ ready: new Date().toISOString() });
        return;
      }
      await Promise.race([exit, scheduler.wait(PROBE_PAUSE_MS)]);
    }
    throw new Error("the container did not become ready within 15 minutes");
  }

  private failed(end: End): StartFailed {
    const { message, restS } = meaningOf(end);
    return this.failure ?? new StartFailed(end, restS, message);
  }

  private async probe(): Promise<boolean> {
    try {
      const response = await this.port().fetch(READY, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
      const told = (await response.json()) as Partial<Progress>;
      const { state = "", progress = 0, reason = "", exit_code } = told;
      this.seen = { state, progress, reason, ...(exit_code === undefined ? {} : { exit_code }) };
      return response.ok;
    } catch {
      return false; // nothing listens yet
    }
  }

  private async terminate(): Promise<void> {
    if (!this.container.running) return;
    if (!this.exit) this.watch();
    this.note({ stopping: new Date().toISOString() });
    await this.storage.sync();
    this.serving = false;
    this.container.signal(SIGTERM);
    await Promise.race([this.exit, scheduler.wait(STOP_LIMIT_MS)]);
  }
}
