// The one property of the store that the safety of holdfast's log rests on: of any number of writers that create a
// key at the same time, one succeeds, and its bytes are what stays. Here for the R2 binding of workerd, by itself and
// through the gateway. (What is known of R2 as it runs at Cloudflare is in docs/CLOUDFLARE.md.)
import assert from "node:assert/strict";
import { test } from "node:test";

import { GatewayStage, sha256 } from "./lib/gateway.mjs";

const ROUNDS = 50;
const WRITERS = 20;

// Of different lengths, so that the writers don't run in step; a few are longer than one read of a socket.
function bodyOf(round, writer) {
  return `${round} ${writer} ${"x".repeat(((round * 7 + writer * 13) % 40) ** 3)}`;
}

// `create` tells for each body whether it was taken.
async function race(stage, create) {
  for (let round = 0; round < ROUNDS; round++) {
    const bodies = Array.from({ length: WRITERS }, (_, writer) => bodyOf(round, writer));
    const won = await create(`log/${round}`, bodies);
    assert.equal(won.filter(Boolean).length, 1, `round ${round}: ${won}`);
    const kept = await (await stage.bucket.get(`app/log/${round}`)).text();
    assert.equal(sha256(kept), sha256(bodies[won.indexOf(true)]), `round ${round}: the winner's bytes stay`);
  }
}

test("one of twenty who create a key through the binding succeeds", async (context) => {
  const stage = await GatewayStage.open(context);
  await race(stage, (key, bodies) => stage.run("race", { key: `app/${key}`, bodies }));
});

async function createOne(stage, key, body) {
  const { status, code } = await stage.create(`/convex/app/${key}`, body);
  assert.ok(status === 200 || (status === 412 && code === "PreconditionFailed"), `${status} ${code}`);
  return status === 200;
}

test("one of twenty who create a key through the gateway succeeds", async (context) => {
  const stage = await GatewayStage.open(context);
  await race(stage, (key, bodies) => Promise.all(bodies.map((body) => createOne(stage, key, body))));
});

test("a key that was deleted is created by one again", async (context) => {
  const stage = await GatewayStage.open(context);
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all(Array.from({ length: WRITERS }, (_, writer) => stage.create("/convex/app/probe", String(writer))));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
    await stage.ask("DELETE", "/convex/app/probe");
  }
});
