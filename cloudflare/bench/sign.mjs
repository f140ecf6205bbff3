// AWS's signature, version 4, as far as one request with a body in memory needs it
// (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html).
import { createHash, createHmac } from "node:crypto";

const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const hmac = (key, text) => createHmac("sha256", key).update(text).digest();

// The header fields to send. `path` is encoded already.
export function signed({ method, host, path, body, headers, accessKeyId, secretAccessKey, region = "auto" }) {
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`;
  const fields = { ...headers, host, "x-amz-content-sha256": sha256(body), "x-amz-date": time };
  const names = Object.keys(fields).sort();
  const lines = names.map((name) => `${name}:${fields[name]}\n`).join("");
  const asked = [method, path, "", lines, names.join(";"), fields["x-amz-content-sha256"]].join("\n");
  const key = [time.slice(0, 8), region, "s3", "aws4_request"].reduce(hmac, `AWS4${secretAccessKey}`);
  const signature = hmac(key, ["AWS4-HMAC-SHA256", time, scope, sha256(asked)].join("\n")).toString("hex");
  return {
    ...fields,
    "content-length": body.length,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope},SignedHeaders=${names.join(";")},Signature=${signature}`,
  };
}
