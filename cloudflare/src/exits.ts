// Why a container has ended, for somebody who doesn't see holdfast's log: in holdfast's own sentence if there is one, else
// by what its exit code means. docs/CLOUDFLARE.md says how to see the log.

export interface End {
  at: string;
  exitCode?: number; // undefined: the platform didn't say, the process may even run on
  error?: string;
  reason?: string; // what holdfast said before it ended
}

const LOG = "the container's log (`npx wrangler tail`, or Containers in the dashboard) says";

const MEANINGS: Record<number, { message: string; restS: number }> = {
  64: { message: `the configuration has to change; ${LOG} what`, restS: 15 },
  65: { message: `an object in the store is damaged, missing or unreadable; ${LOG} which`, restS: 15 },
  74: { message: `the store could not be reached, or not everything was shipped; ${LOG} more`, restS: 5 },
  76: { message: "another container has taken over the same store; see that only one Worker uses it", restS: 60 },
  126: { message: "the backend's command can't be executed; the image has to change", restS: 60 },
  127: { message: "the backend's command is not in the image; the image has to change", restS: 60 },
  137: { message: "the process was killed, most likely because its memory was used up; a larger instance_type helps", restS: 5 },
};

// A sentence about an end that nobody asked for, and how long the next start should wait: a fault that stays would
// otherwise be met again by every request, and two owners would take the store from each other for ever.
export function meaningOf(end: End): { message: string; restS: number } {
  if (end.exitCode === undefined)
    return { message: `The container could not be run: ${end.error ?? "the platform gave no reason"}.`, restS: 2 };
  const known = MEANINGS[end.exitCode];
  if (end.reason) return { message: `The container ended with exit code ${end.exitCode}: ${end.reason.replace(/\.$/, "")}.`, restS: known?.restS ?? 1 };
  if (!known) return { message: `The container ended with exit code ${end.exitCode}; ${LOG} why.`, restS: 1 };
  return { message: `The container ended with exit code ${end.exitCode}: ${known.message}.`, restS: known.restS };
}
