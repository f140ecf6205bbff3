// A WebSocket between a client and the container, message by message.
//
// Handing the container's socket through would be shorter, but then nobody could tell when it ends: an open socket has
// to keep the container awake, and its end has to reach the client at once when the container dies.

// 1005, 1006 and 1015 describe an end and can't be sent.
function sendable(code: number): boolean {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

function closeAs(socket: WebSocket, code: number, reason: string): void {
  try {
    if (sendable(code)) socket.close(code, reason);
    else if (code === 1005) socket.close();
    else socket.close(1012, "the container has ended");
  } catch {
    // It is closed already.
  }
}

// Resolves to the response for the client; `ended` is called once, when the last of the two sockets is closed.
export function relay(inside: WebSocket, seen: () => void, ended: () => void): { response: Response; cut: () => void } {
  const { 0: client, 1: outside } = new WebSocketPair();
  let over = false;
  const end = (): void => {
    if (!over) ended();
    over = true;
  };
  const join = (from: WebSocket, to: WebSocket): void => {
    from.addEventListener("message", (event) => {
      seen();
      try {
        to.send(event.data);
      } catch {
        closeAs(from, 1006, "");
      }
    });
    from.addEventListener("close", (event) => {
      closeAs(to, event.code, event.reason);
      closeAs(from, event.code, event.reason);
      end();
    });
    from.addEventListener("error", () => {
      closeAs(to, 1006, "");
      end();
    });
  };
  for (const socket of [inside, outside]) {
    socket.binaryType = "arraybuffer"; // a Blob can't be passed on at once, and messages have to stay in order
    socket.accept();
  }
  join(inside, outside);
  join(outside, inside);
  const cut = (): void => {
    closeAs(outside, 1006, "");
    closeAs(inside, 1006, "");
    end();
  };
  return { response: new Response(null, { status: 101, webSocket: client }), cut };
}
