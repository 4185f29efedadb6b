/**
 * Orders: each is asked for in a dialog first, and what it did is told.
 */

import { pathOf } from "./server.js";

/** How many orders of this tab are listed. */
const LISTED = 50;

const find = (id) => document.getElementById(id);

/** What the dialog is open for: `{ run, fields }`. */
let asked = null;

/**
 * Ask whether something shall be done.
 *
 * @param title What it is.
 * @param text What follows from it.
 * @param label Of the button that does it.
 * @param fields Arrays `[name, label, options]`: `isLong` (a field of several lines), `required`,
 *   `type`, `value`.
 * @param run Called with the values of the fields; does it, and returns what to tell.
 */
function ask({ title, text, label, fields = [], run }) {
  asked = { run };
  find("dialog-title").textContent = title;
  find("dialog-text").textContent = text;
  find("failed").textContent = "";
  find("do").textContent = label;
  find("do").disabled = false;
  find("fields").replaceChildren(...fields.map((field) => makeField(...field)));
  find("dialog").showModal();
}

function makeField(name, text, { isLong = false, required = false, type = "text", value = "" } = {}) {
  const field = document.createElement(isLong ? "textarea" : "input");
  if (!isLong) field.type = type;
  if (type === "number") field.min = "1";
  Object.assign(field, { name, required, value, autocomplete: "off", spellcheck: false });
  const label = document.createElement("label");
  label.append(text, field);
  return label;
}

async function carryOut() {
  const doing = asked;
  const values = Object.fromEntries(new FormData(find("deed")));
  // A second click orders nothing twice.
  find("do").disabled = true;
  find("failed").textContent = "";
  try {
    tell(await doing.run(values));
    if (asked === doing) find("dialog").close();
  } catch (error) {
    const lost = error.code === "lost" || error.code === "unknown";
    const known = lost ? " It is not known whether the order was carried out." : "";
    const said = `${error.message}.${known}`;
    tell(`Failed: ${find("dialog-title").textContent} ${said}`);
    if (asked === doing) find("failed").textContent = said;
  } finally {
    if (asked === doing) find("do").disabled = false;
  }
}

/** Tell what an order did, and list it. */
function tell(text) {
  find("told").textContent = text;
  const item = document.createElement("li");
  item.textContent = `${new Date().toLocaleTimeString()}: ${text}`;
  const list = find("orders");
  list.prepend(item);
  if (list.childElementCount > LISTED) list.lastElementChild.remove();
  find("orders-count").textContent = "The newest first. The server's log has them, too.";
}

find("deed").addEventListener("submit", (event) => {
  event.preventDefault();
  carryOut();
});
find("cancel").addEventListener("click", () => find("dialog").close());
find("dialog").addEventListener("close", () => {
  asked = null;
});

/** Close the dialog, and forget what was ordered. */
export function forgetOrders() {
  find("dialog").close();
  find("orders").replaceChildren();
  find("orders-count").textContent = "None yet.";
  find("told").textContent = "";
}

export class Orders {
  #server;
  #done;

  /**
   * @param server The `Server` that is ordered.
   * @param done Called after each order that was carried out.
   */
  constructor(server, done) {
    this.#server = server;
    this.#done = done;
  }

  disconnect(client) {
    this.#ask({
      title: `Disconnect ${client}?`,
      text: "Its streams and held requests end on all nodes. It may come back at once.",
      label: "Disconnect",
      run: async () => {
        const { disconnected } = await this.#server.post("disconnect", { client });
        return `Disconnected ${client}. Streams and held requests that ended: ${disconnected}.`;
      },
    });
  }

  /**
   * @param whom `{ client }` or `{ token }`.
   */
  revoke(whom) {
    const [[kind, name]] = Object.entries(whom);
    const [what, tokens] =
      kind === "token" ? [`the token ${name}`, "It is"] : [name, "All tokens that it has had so far are"];
    this.#ask({
      title: `Revoke ${what}?`,
      text: `${tokens} refused from now on, and what was begun with them ends on all nodes.`,
      label: "Revoke",
      fields: [
        ["channels", "Only these channels and patterns, one a line (all, if empty)", { isLong: true }],
        ["seconds", "For how many seconds (as long as a token may last, if empty)", { type: "number" }],
      ],
      run: async ({ channels, seconds }) => {
        const order = { ...whom };
        const names = channels.split("\n").map((each) => each.trim());
        const only = names.filter((each) => each !== "");
        if (only.length) order.channels = only;
        if (seconds) order.seconds = Number(seconds);
        const { id } = await this.#server.post("revoke", order);
        return `Revoked ${what}. The revocation is ${id}.`;
      },
    });
  }

  /** @param revocation A row of `GET /admin/revocations`. */
  end({ id, client, token }) {
    const whose = client ?? (token ? `the token ${token}` : id);
    this.#ask({
      title: `End the revocation of ${whose}?`,
      text: "What it refuses is no longer refused.",
      label: "End it",
      run: async () => {
        await this.#server.delete(`revocations/${encodeURIComponent(id)}`);
        return `Ended the revocation ${id} of ${whose}.`;
      },
    });
  }

  publish(channel) {
    // A message that was sent twice, since the first answer was lost, is stored once.
    const key = `admin-${crypto.getRandomValues(new Uint32Array(3)).join("-")}`;
    this.#ask({
      title: `Publish to ${channel}?`,
      text: "All that read the channel get the message.",
      label: "Publish",
      fields: [["data", "Message: JSON, or text", { isLong: true, required: true }]],
      run: async ({ data }) => {
        const headers = { "Idempotency-Key": key };
        const path = `channels/${pathOf(channel)}`;
        const { cursor } = await this.#server.post(path, readData(data), headers);
        return `Published to ${channel}: the message is ${cursor}.`;
      },
    });
  }

  forget(channel) {
    this.#ask({
      title: `Delete the messages of ${channel}?`,
      text: "What the channel holds is deleted. Clients that have not read it are told of a gap.",
      label: "Delete",
      run: async () => {
        await this.#server.delete(`channels/${pathOf(channel)}`);
        return `Deleted the messages of ${channel}.`;
      },
    });
  }

  #ask({ run, ...said }) {
    const runAll = async (values) => {
      const told = await run(values);
      this.#done();
      return told;
    };
    ask({ ...said, run: runAll });
  }
}

/** What is no JSON is a text. */
function readData(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
