// What leaves a container: the other half of the proxy that engine.mjs plays.
//
// On a machine with a container engine that proxy catches every connection of the application, reads the Host of the
// first request and asks workerd's egress listener with CONNECT what is to become of it: 200, workerd answers it by a
// handler of the Worker; 202, it goes on to where it was going. Names that only handlers know get an address that
// leads nowhere else. Here nothing catches connections, so the process is told of this proxy by http_proxy; names
// that don't end in it (127.0.0.1, where the other store of the tests is) go their own way.
import { once } from "node:events";
import http from "node:http";
import net from "node:net";

const SYNTHETIC_ADDRESS = "11.0.0.1:80"; // of names that only handlers know
const HEAD_SIZE_MAX = 64 * 1024;

function fits(glob, name) {
  return new RegExp(`^${glob.split("*").map(RegExp.escape ?? ((text) => text.replace(/[^\w]/g, "\\$&"))).join(".*")}$`).test(name);
}

// Resolves to what has come when the first head is whole; "" if the connection ends before.
async function firstHead(socket) {
  let seen = Buffer.alloc(0);
  for (;;) {
    const [piece] = await Promise.race([once(socket, "data"), once(socket, "close").then(() => [])]);
    if (!piece) return "";
    seen = Buffer.concat([seen, piece]);
    if (seen.includes("\r\n\r\n") || seen.length > HEAD_SIZE_MAX) {
      socket.pause();
      return seen;
    }
  }
}

export class Egress {
  constructor() {
    this.config = {}; // as workerd puts it: {port, dns: {allowHostnames}, internet: {enabled}}
    this.sockets = new Set();
    this.server = net.createServer((socket) => this.take(socket).catch(() => socket.destroy()));
  }

  async open() {
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  close() {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  configure(change) {
    this.config = { ...this.config, ...change };
  }

  // For the process whose connections these are.
  environment() {
    return { http_proxy: `http://127.0.0.1:${this.server.address().port}`, no_proxy: "127.0.0.1,localhost" };
  }

  async take(socket) {
    this.sockets.add(socket);
    socket.on("error", () => {}).on("close", () => this.sockets.delete(socket));
    const head = await firstHead(socket);
    const name = /^host:[ \t]*([^\s:]+)/im.exec(String(head))?.[1]?.toLowerCase() ?? "";
    const known = (this.config.dns?.allowHostnames ?? []).some((glob) => fits(glob, name));
    const tunnel = known && (await this.tunnel(name));
    if (!tunnel) return socket.end("HTTP/1.1 502 No Such Name\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    tunnel.on("error", () => socket.destroy()).on("close", () => socket.destroy());
    socket.on("close", () => tunnel.destroy());
    tunnel.write(head);
    socket.pipe(tunnel).pipe(socket);
  }

  // A connection to a handler of the Worker, or nothing if there is none for the name.
  tunnel(name) {
    return new Promise((resolve, reject) => {
      const request = http.request({
        host: "127.0.0.1",
        port: this.config.port,
        method: "CONNECT",
        path: SYNTHETIC_ADDRESS,
        headers: { host: SYNTHETIC_ADDRESS, "x-proto": "tcp", "x-hostname": name },
      });
      request.on("error", reject).on("connect", (response, tunnel) => {
        if (response.statusCode !== 200) tunnel.destroy();
        resolve(response.statusCode === 200 ? tunnel : undefined);
      });
      request.end();
    });
  }
}
