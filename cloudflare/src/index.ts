// The Worker in front of one container that runs holdfast. docs/CLOUDFLARE.md is its manual.
import { answer } from "./answers";
import type { Backend } from "./backend";
import { isSame } from "./secrets";
import { type Env, requireComplete, routeFits, SettingsError, settingsOf } from "./settings";

export { Backend } from "./backend";
export { Gateway } from "./gateway";

declare global {
  namespace Cloudflare {
    interface GlobalProps {
      mainModule: typeof import("./index"); // whence the type of ctx.exports
    }
  }
}

// One name, for ever: a second one would be a second container with the same store.
const NAME = "backend";

function backendOf(env: Env): DurableObjectStub<Backend> {
  return env.BACKEND.getByName(NAME);
}

// The Worker's own routes. None of them starts the container.
async function own(request: Request, env: Env, path: string): Promise<Response> {
  const { diagnosticsToken } = settingsOf(env);
  const about = await backendOf(env).describe();
  if (path === "/_worker/health") {
    const serving = about["serving"] === true;
    return Response.json({ serving, running: about["running"] === true }, { status: serving ? 200 : 503 });
  }
  if (!diagnosticsToken)
    return answer(request, {
      status: 404,
      code: "NoDiagnostics",
      message: "Diagnostics are off; to turn them on, run: npx wrangler secret put WORKER_DIAGNOSTICS_TOKEN",
      retryAfterS: 0,
    });
  if (!(await isSame(request.headers.get("authorization") ?? "", `Bearer ${diagnosticsToken}`)))
    return answer(request, {
      status: 401,
      code: "Unauthorized",
      message: "Diagnostics want the field Authorization: Bearer with the value of WORKER_DIAGNOSTICS_TOKEN.",
      retryAfterS: 0,
    });
  if (path === "/_worker/diagnostics") return Response.json(about);
  if (path === "/_worker/stop" && request.method === "POST") return Response.json(await backendOf(env).stop());
  return notFound(request);
}

function notFound(request: Request): Response {
  return answer(request, { status: 404, code: "NotFound", message: "There is no such route here.", retryAfterS: 0 });
}

async function route(request: Request, env: Env): Promise<Response> {
  const { pathname, hostname } = new URL(request.url);
  const settings = settingsOf(env);
  requireComplete(env);
  if (pathname.startsWith("/_worker/")) return own(request, env, pathname);
  // What is holdfast's own stays inside.
  if (pathname === "/_holdfast" || pathname.startsWith("/_holdfast/")) return notFound(request);
  if (hostname !== settings.siteHost && !settings.routes.some((fitting) => routeFits(fitting, pathname))) return notFound(request);
  return backendOf(env).fetch(request);
}

function objectProblem(request: Request, error: unknown): Response {
  const { message, overloaded } = error as Error & { overloaded?: boolean };
  return answer(request, {
    status: 503,
    code: overloaded ? "Overloaded" : "ObjectFailed",
    message: `The Durable Object did not answer: ${message}; whether the request took effect is unknown.`,
    retryAfterS: overloaded ? 10 : 2,
  });
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    try {
      return await route(request, env);
    } catch (error) {
      if (error instanceof SettingsError)
        return answer(request, { status: 503, code: error.code, message: error.message, retryAfterS: 0 });
      return objectProblem(request, error);
    }
  },

  async scheduled(_controller: ScheduledController, env: Env): Promise<void> {
    await backendOf(env).keepWarm();
  },
} satisfies ExportedHandler<Env>;
