/**
 * A program that uses all of the client, and makes mistakes that the types refuse.
 */

import { Comet, CometError } from "../../comet/static/client/comet.js";
import type { CometOptions, Member, Message, Transport } from "../../comet/static/client/comet.js";

interface Headline {
  text: string;
  at: number;
}

const options: CometOptions = {
  transports: ["websocket", "sse", "stream", "longpoll", "jsonp", "iframe", "poll"],
  token: "secret",
  credentials: "include",
  store: localStorage,
  shared: true,
  parameters: { account: "lab-1", time: 1 },
  heartbeat: 25,
  timeout: 5,
  interval: 3,
  backoff: [1, 30],
  upgrade: 300,
  queue: 100,
};

const comet: Comet = new Comet(new URL("https://push.example.com/"), options);
new Comet(null, {});

comet.addEventListener("open", ({ transport }) => transport.toUpperCase());
comet.addEventListener("close", ({ code, message, retry }) => {
  const words: string = code + message;
  if (retry !== null) words.padEnd(retry);
});
comet.addEventListener("gap", ({ names }) => names.map((name) => name.length));
comet.addEventListener("transport", function ({ transport }) {
  const name: Transport | "shared" = transport;
  this.url.endsWith(name);
});
comet.addEventListener("error", ({ code, message, names }) => code + message + names.length, {
  once: true,
});
comet.addEventListener("anything", (event) => event.type);

const show = ({ channel, cursor, data, event, encoding, time }: Message<Headline>): void => {
  const words: string = channel + cursor + data.text + (event ?? "") + (encoding ?? "");
  words.padEnd(data.at + (time ?? 0));
};
comet.subscribe("news", show, { since: -10 });
const ready: Promise<void> = comet.subscribe("news", show, { since: "-10" });
comet
  .history<Headline>("news", { before: "e-9", limit: 10 })
  .then(({ messages, more, gap }) => !more && !gap && messages.map(show));
// @ts-expect-error
comet.history("news", { since: "e-9" });
const control = new AbortController();
comet
  .presence<{ role: string }>("chat/a", ({ members, count, more }, change) => {
    const shown: readonly Member<{ role: string }>[] = members;
    if (change?.event === "join" && shown.length < count && more) change.client.padEnd(5);
  }, { limit: 50, signal: control.signal })
  .then((presence) => {
    if (!presence.closed && presence.anonymous > 0) return presence.refresh();
  })
  .then(() => control.abort());
// @ts-expect-error There is no such event.
comet.presence("chat/a", (presence, change) => change?.event === "came" && presence.close());
// @ts-expect-error The list is the client's.
comet.presence("chat/a").then((presence) => presence.members.pop());
comet.call<string[]>("rooms/list", { page: 2 }).then((rooms) => rooms.map((room) => room.length));
comet.subscribe<Headline>("news/**", ({ data }) => data.text);
comet.subscribe("chat/*", ({ data }) => data.whatever);
comet.unsubscribe("news", show);
comet.unsubscribe("news");

export async function publish(): Promise<string> {
  await ready;
  try {
    const options = { event: "said", exclude: "0f8c1f0e-7a52" };
    return await comet.publish("chat/a", { text: "hello", list: [1, null, true] }, options);
  } catch (error) {
    if (error instanceof CometError) return error.code;
    throw error;
  }
}

export async function read(): Promise<void> {
  for await (const { data } of comet.messages<Headline>("news", { since: "earliest" }))
    if (data.at > 5) break;
  const state: 0 | 1 | 2 = comet.readyState;
  if (state === Comet.OPEN && comet.cursor !== null) comet.cursor.split("-");
  comet.close();
  comet.connect();
}

/** What an application publishes has types of its own, without index signatures. */
interface Order {
  id: number;
  lines: { article: string; count?: number }[];
  note?: string | null;
  made: Date;
}
export const order = (order: Order): Promise<string> => comet.publish("orders", order);
export const anything = (value: any): Promise<string> => comet.publish("orders", value);
export const strings = (value: readonly string[]): Promise<string> => comet.publish("a", value);

new Comet("/", { token: () => "token" });
new Comet("/", { token: async () => (await fetch("/token")).text() });

// @ts-expect-error A function that gives no token.
new Comet("/", { token: () => 5 });
// @ts-expect-error There is no such transport.
new Comet("/", { transports: ["telepathy"] });
// @ts-expect-error A handler is needed.
comet.subscribe("news");
// @ts-expect-error Functions cannot be published.
comet.publish("news", () => 1);
// @ts-expect-error Nor can what is hidden in an object.
comet.publish("news", { run: () => 1 });
// @ts-expect-error Nor nothing.
comet.publish("news", undefined);
// @ts-expect-error Nor what JSON has no numbers for.
comet.publish("news", { big: 1n });
// @ts-expect-error The option is misspelt.
new Comet("/", { tranports: ["sse"] });
// @ts-expect-error Only the client may change it.
comet.transport = "sse";
