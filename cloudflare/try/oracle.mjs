// What was acknowledged, kept where nothing in this run is wiped, and the judgement over what came back.
//
// Durability is `async`: a change is safe when it is in the bucket, which is at most HOLDFAST_SYNC_INTERVAL after its
// acknowledgement while the bucket answers. So the oracle keeps for each row whether the container said that it was shipped. A
// shipped row that doesn't come back is a fault; one that was not shipped is counted; a row that nobody wrote is a fault.
import { createHash } from "node:crypto";

export function digest(content) {
  return createHash("sha256").update(content).digest("hex");
}

export class Oracle {
  constructor() {
    this.rows = new Map(); // id: {sha256, position, shipped}
    this.files = new Map(); // name: {sha256, size}
    this.doubts = new Set(); // sha256 of what was sent and not acknowledged
  }

  acknowledged(id, value) {
    this.rows.set(id, { sha256: digest(value), position: Infinity, shipped: false });
  }

  doubted(value) {
    this.doubts.add(digest(value));
  }

  uploaded({ file, sha256, size }) {
    this.files.set(file, { sha256, size });
  }

  // `status` was asked for after everything here had been acknowledged.
  learn({ position, durable_position: durable }) {
    for (const row of this.rows.values()) {
      row.position = Math.min(row.position, position);
      row.shipped ||= row.position <= durable;
    }
  }

  unshipped() {
    return [...this.rows.values()].filter((row) => !row.shipped).length;
  }

  // What came back is in the bucket, and what didn't is gone for good: the next row may get its number.
  judge(listing) {
    const faults = [...listing.faults];
    let lost = 0;
    for (const [id, row] of this.rows) {
      const sha256 = listing.rows.get(id);
      if (sha256 === row.sha256) row.shipped = true;
      else if (sha256 !== undefined) faults.push(`row ${id} has another value than the one that was acknowledged`);
      else if (row.shipped) faults.push(`row ${id} was acknowledged and shipped, and is missing`);
      else lost++;
      if (sha256 === undefined) this.rows.delete(id);
    }
    for (const [id, sha256] of listing.rows) {
      if (this.rows.has(id)) continue;
      if (!this.doubts.delete(sha256)) faults.push(`row ${id} was written by nobody`);
      this.rows.set(id, { sha256, position: 0, shipped: true });
    }
    for (const [name, { sha256 }] of this.files)
      if (listing.files.get(name) !== sha256) faults.push(`file ${name} is ${listing.files.has(name) ? "different" : "missing"}`);
    return { faults, lost, rows: this.rows.size, files: this.files.size };
  }
}

// GET /list of the backend, through the Worker; complete, or an error.
export async function readListing(deployment) {
  const response = await deployment.fetch("/list");
  const text = await response.text();
  if (response.status !== 200) throw new Error(`the list of rows was answered by ${response.status}: ${text.slice(0, 300)}`);
  const listing = { rows: new Map(), files: new Map(), faults: [] };
  const lines = text.trim().split("\n").map((line) => JSON.parse(line));
  if (!lines.pop()?.end) throw new Error("the list of rows was cut off");
  for (const line of lines) {
    if ("id" in line) listing.rows.set(line.id, line.sha256);
    else if (line.intact) listing.files.set(line.file, line.sha256);
    else listing.faults.push(`file ${line.file} is named, but ${line.exists ? "different" : "not there"}`);
  }
  return listing;
}
