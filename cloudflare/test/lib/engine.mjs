// As much of a container engine as workerd asks for, on a unix socket; a "container" is a process of this machine.
//
// workerd creates two containers for each Durable Object that has one: the application's, and a proxy through which it
// connects to the application's ports (an HTTP CONNECT proxy that answers 400 if nothing listens). The proxy's part is
// played here too, and in egress.mjs for what the application asks others. Every start gets an empty directory and ports of its own, as on the platform, where the disk of a
// container is new each time; so two containers can also overlap.
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import path from "node:path";

import { Egress } from "./egress.mjs";

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };
const FRONT = 3210;
const SITE = 3211;

// Below the range that outgoing connections take theirs from. Others may do the same at this moment, in a process namespace
// where they have our pid.
let nextPort = 20000 + Math.floor(Math.random() * 1200) * 10;

export async function freePort() {
  for (;;) {
    const port = nextPort++;
    const probe = net.createServer();
    try {
      await new Promise((resolve, reject) => probe.once("error", reject).listen(port, "127.0.0.1", resolve));
      await new Promise((resolve) => probe.close(resolve));
      return port;
    } catch {
      // Taken.
    }
  }
}

function readAll(stream) {
  return new Promise((resolve, reject) => {
    const pieces = [];
    stream.on("data", (piece) => pieces.push(piece));
    stream.on("end", () => resolve(Buffer.concat(pieces)));
    stream.on("error", reject);
  });
}

// Ends what a dead process has left behind, as the end of a container does: everything in the session that it led.
function sweepSession(leader) {
  for (const pid of fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const [, , , session] = fs.readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "").split(" ");
      if (Number(session) === leader) process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}

class EngineContainer {
  constructor(name, body) {
    this.name = name;
    this.body = body;
    this.id = name.padEnd(64, "0");
    this.state = "created";
    this.exitCode = 0;
    this.isProxy = Boolean(body.ExposedPorts);
    this.waiting = [];
    this.removing = [];
  }

  describe() {
    const ports = this.isProxy && this.proxyPort ? { "39001/tcp": [{ HostIp: "127.0.0.1", HostPort: String(this.proxyPort) }] } : {};
    return {
      Id: this.id,
      Config: { Image: this.body.Image },
      State: { Status: this.state, Running: this.state === "running", ExitCode: this.exitCode },
      NetworkSettings: { Ports: ports },
    };
  }

  ended(exitCode) {
    this.state = "exited";
    this.exitCode = exitCode;
    for (const tell of this.waiting.splice(0)) tell();
  }
}

export class Engine {
  // command(ports, directory, given) gives {command, environment} of a process that finds these variables set, and
  // `send(child, signal)` if signals are not for the process itself; events go to `told` as they happen.
  constructor({ socketPath, folder, command, told = () => {} }) {
    Object.assign(this, { socketPath, folder, command, told });
    this.containers = new Map();
    this.processes = []; // every one that was ever started, the newest last
    this.server = http.createServer((request, response) => this.serve(request, response));
  }

  async open() {
    fs.rmSync(this.socketPath, { force: true });
    await new Promise((resolve) => this.server.listen(this.socketPath, resolve));
    return this;
  }

  // Ends what is left, as a machine that is switched off would.
  async close() {
    this.server.close();
    this.server.closeAllConnections();
    for (const container of this.containers.values()) this.closeProxy(container);
    await Promise.all(this.processes.map((process) => this.kill(process, "SIGKILL")));
  }

  async kill(process, signal) {
    if (process.exitCode !== undefined) return;
    await process.send(signal);
    await process.exited;
  }

  async startProcess(container) {
    const ports = { front: await freePort(), site: await freePort(), admin: await freePort(), upstream: await freePort() };
    const directory = fs.mkdtempSync(path.join(this.folder, "disk-"));
    const given = Object.fromEntries((container.body.Env ?? []).map((entry) => entry.split(/=(.*)/s).slice(0, 2)));
    const found = { ...this.containers.get(`${container.name}-proxy`)?.egress.environment(), ...given };
    const { command, environment, send = (process, signal) => process.kill(signal) } = this.command(ports, directory, found);
    const log = path.join(this.folder, `process-${this.processes.length + 1}.log`);
    const output = fs.openSync(log, "w");
    const whole = { PATH: process.env.PATH, ...found, ...environment };
    const child = spawn(command[0], command.slice(1), {
      detached: true, // the leader of a session
      env: whole,
      stdio: ["ignore", output, output],
    });
    fs.closeSync(output);
    await once(child, "spawn"); // throws if there is no such program
    const entry = { child, ports, directory, log, given, environment: whole, begun: Date.now(), exitCode: undefined };
    entry.send = (signal) => send(child, signal);
    entry.exited = once(child, "exit").then(([code, signal]) => {
      entry.exitCode = code ?? 128 + (SIGNALS[signal] ?? 0);
      sweepSession(child.pid);
      fs.rmSync(directory, { recursive: true, force: true });
      this.told({ event: "exit", exitCode: entry.exitCode });
      container.ended(entry.exitCode);
    });
    container.process = entry;
    this.processes.push(entry);
    this.told({ event: "start", given });
  }

  // The newest process whose name fits: a proxy serves the application's container of the same name.
  portBehind(proxy, port) {
    const name = proxy.name.replace(/-proxy$/, "");
    const { ports } = this.containers.get(name)?.process ?? {};
    return ports && { [FRONT]: ports.front, [SITE]: ports.site }[port];
  }

  async startProxy(container) {
    container.egress = await new Egress().open();
    const server = http.createServer(async (request, response) => {
      const body = await readAll(request);
      if (request.method === "PUT" && request.url === "/egress") {
        container.egress.configure(JSON.parse(body));
        this.told({ event: "egress", names: JSON.parse(body).dns?.allowHostnames ?? [] });
      }
      response.end("{}");
    });
    server.on("connect", (request, socket, head) => {
      const port = this.portBehind(container, Number((request.headers["x-dst-addr"] ?? request.url).split(":").pop()));
      this.join(port, socket, head);
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    container.proxy = server;
    container.proxyPort = server.address().port;
  }

  join(port, socket, head) {
    socket.on("error", () => {});
    const refuse = () => socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    if (!port) return refuse();
    const inside = net.connect(port, "127.0.0.1");
    inside.once("error", refuse);
    inside.once("connect", () => {
      inside.off("error", refuse);
      inside.on("error", () => socket.destroy());
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      if (head.length > 0) inside.write(head);
      inside.pipe(socket).pipe(inside);
    });
    socket.on("close", () => inside.destroy());
    inside.on("close", () => socket.end());
  }

  closeProxy(container) {
    container.proxy?.close();
    container.proxy?.closeAllConnections();
    container.egress?.close();
  }

  async serve(request, response) {
    const body = await readAll(request);
    const url = new URL(request.url, "http://engine");
    const route = url.pathname.replace(/^\/v1\.\d+/, "");
    let answer;
    try {
      answer = await this.answer(request.method, route, url.searchParams, body);
    } catch (error) {
      answer = [500, { message: String(error) }];
    }
    const [status, value] = answer;
    const text = value === undefined ? "" : JSON.stringify(value);
    response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
    response.end(text);
  }

  async answer(method, route, query, body) {
    if (route === "/_ping" || route === "/version") return [200, { ApiVersion: "1.45" }];
    if (route === "/info") return [200, { OperatingSystem: "none", SecurityOptions: [] }];
    if (route === "/networks/bridge") return [200, { IPAM: { Config: [{ Subnet: "127.0.0.0/8", Gateway: "127.0.0.1" }] } }];
    if (route.startsWith("/volumes")) return [200, { Volumes: [] }];
    if (route.startsWith("/images/")) return [200, { Id: "sha256:0", Size: 1, Parent: "", Config: { ExposedPorts: {} } }];
    if (route === "/containers/create") return this.create(query.get("name"), JSON.parse(body));
    const [, name, operation = ""] = /^\/containers\/([^/]+)(?:\/(\w+))?$/.exec(route) ?? [];
    const container = this.containers.get(name);
    if (!container) return [404, { message: `there is no ${method} ${route}` }];
    return this.operate(container, method, operation, query);
  }

  create(name, body) {
    if (this.containers.has(name)) return [409, { message: "the name is taken" }];
    const container = new EngineContainer(name, body);
    this.containers.set(name, container);
    return [201, { Id: container.id, Warnings: [] }];
  }

  async operate(container, method, operation, query) {
    if (method === "DELETE") return this.remove(container);
    switch (operation) {
      case "json":
        return [200, container.describe()];
      case "start":
        if (container.state === "running") return [304];
        await (container.isProxy ? this.startProxy(container) : this.startProcess(container));
        container.state = "running";
        return [204];
      case "kill":
        if (container.state !== "running") return [409, { message: "not running" }];
        this.signal(container, query.get("signal") ?? "SIGKILL");
        return [204];
      case "wait":
        if (query.get("condition") === "removed") await new Promise((resolve) => container.removing.push(resolve));
        else if (container.state === "running") await new Promise((resolve) => container.waiting.push(resolve));
        return [200, { StatusCode: container.exitCode }];
      case "archive":
        return [200];
      default:
        return [404, { message: `there is no ${operation}` }];
    }
  }

  signal(container, signal) {
    this.told({ event: "signal", signal });
    container.process?.send(/^\d+$/.test(signal) ? Number(signal) : signal);
  }

  async remove(container) {
    if (container.process) await this.kill(container.process, "SIGKILL");
    this.closeProxy(container);
    this.containers.delete(container.name);
    for (const tell of container.removing) tell();
    return [204];
  }
}
