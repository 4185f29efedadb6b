// A backend in Node.js that has a say in what comet's clients do: node webhook.mjs 8000
import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

/** Tell whether comet has sent a request just now, as Standard Webhooks says. */
function isFromComet(headers, body, secrets) {
  const { "webhook-id": id, "webhook-timestamp": timestamp = "" } = headers;
  const given = (headers["webhook-signature"] ?? "").split(" ").map((each) => Buffer.from(each));
  if (!/^\d+$/.test(timestamp) || Math.abs(Date.now() / 1000 - timestamp) > 300) return false;
  return secrets.some((secret) => {
    const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
    const hmac = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body);
    const made = Buffer.from(`v1,${hmac.digest("base64")}`);
    return given.some((each) => each.length == made.length && timingSafeEqual(each, made));
  });
}

/** Decide. */
function answer({ type, client, data, method }) {
  if (type == "publish" && client == "mallory")
    return { error: { code: "forbidden", message: "you are muted" } };
  if (type == "publish" && typeof data == "string") return { data: data.replace(/heck/gi, "****") };
  if (type == "subscribe") return { since: "-10", expires: 3600 };
  if (type == "call") return { data: { method, client } };
  return {};
}

createServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray());
  const secrets = readFileSync(process.env.COMET_HOOK_SECRET ?? "comet.hook", "ascii");
  if (!isFromComet(request.headers, body, secrets.trim().split(/\s+/))) {
    response.writeHead(401).end();
    return;
  }
  response.writeHead(200, { "Content-Type": "application/json" });
  response.end(JSON.stringify(answer(JSON.parse(body))));
}).listen(Number(process.argv[2]), "127.0.0.1");
