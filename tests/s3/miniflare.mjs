// Cloudflare's own R2 emulator with its S3 API: checks signatures, honours If-None-Match atomically, and its endpoint
// has a base path. Prints one line of JSON when it is ready, and stops when its standard input ends.
//
//     node miniflare.mjs [PORT]
//     {"endpoint":"http://127.0.0.1:44577/cdn-cgi/local/r2/s3","bucket":"holdfast","region":"auto","access_key_id":…}
import { Miniflare } from "miniflare";

const credentials = { accessKeyId: "AKLOCAL", secretAccessKey: "secret/with+odd=characters" };
const bucket = "holdfast";

const server = new Miniflare({
  modules: true,
  script: 'export default { fetch() { return new Response("only R2 is served here\\n", { status: 404 }); } };',
  compatibilityDate: "2026-04-01",
  host: "127.0.0.1",
  port: Number(process.argv[2] ?? 0),
  r2Buckets: { BUCKET: { id: bucket, s3Credentials: credentials } },
});

const url = await server.ready;
console.log(
  JSON.stringify({
    endpoint: new URL("/cdn-cgi/local/r2/s3", url).href,
    bucket,
    region: "auto",
    access_key_id: credentials.accessKeyId,
    secret_access_key: credentials.secretAccessKey,
  }),
);

process.stdin.resume();
process.stdin.on("end", async () => {
  await server.dispose();
  process.exit(0);
});
