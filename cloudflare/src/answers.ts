// What the Worker says itself: JSON for programs, a page that reloads itself for people.
// X-Holdfast-Worker tells these answers from the container's.

export interface Problem {
  status: number;
  code: string;
  message: string; // one sentence
  retryAfterS: number; // 0: trying again won't help
  details?: Record<string, unknown>;
}

const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (found) => ESCAPES[found] ?? "");
}

function wantsPage(request: Request): boolean {
  return request.method === "GET" && (request.headers.get("accept") ?? "").includes("text/html");
}

function page(problem: Problem): string {
  const reload = problem.retryAfterS > 0 ? `<meta http-equiv="refresh" content="${problem.retryAfterS}">` : "";
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">${reload}
<title>Not available right now</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em}code{color:#666}</style>
</head><body><h1>Not available right now</h1><p>${escaped(problem.message)}</p>
${reload && "<p>This page reloads itself.</p>"}<p><code>${escaped(problem.code)}</code></p></body></html>
`;
}

export function answer(request: Request, problem: Problem): Response {
  const headers = new Headers({ "cache-control": "no-store", "x-holdfast-worker": "1" });
  if (problem.retryAfterS > 0) headers.set("retry-after", String(problem.retryAfterS));
  if (wantsPage(request)) {
    headers.set("content-type", "text/html; charset=utf-8");
    return new Response(page(problem), { status: problem.status, headers });
  }
  const { code, message, retryAfterS, details } = problem;
  return Response.json({ code, message, retry_after_s: retryAfterS, ...details }, { status: problem.status, headers });
}
