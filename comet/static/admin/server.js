/**
 * Asks the server, with the key.
 */

/** Milliseconds until a question counts as lost. */
const PATIENCE = 10_000;

/** Where the key is kept: in this tab, until it is closed. */
const KEPT = "comet-admin-key";

/** A request that the server refused, or that it did not answer (`code` is `"lost"`). */
export class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }

  /** Whether the key is not, or no longer, the admin's. */
  get isOfKey() {
    return this.code === "unauthorized" || this.code === "forbidden";
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEPT),
  set: (text) => sessionStorage.setItem(KEPT, text),
  forget: () => sessionStorage.removeItem(KEPT),
};

/** The path of a channel: what its name has beside slashes is encoded. */
export const pathOf = (channel) => channel.split("/").map(encodeURIComponent).join("/");

export class Server {
  #base;

  /** @param base The URL below which everything is. */
  constructor(base) {
    this.#base = base;
  }

  /**
   * @param path Below `admin/`.
   * @param query The parameters; those that are empty are left out.
   */
  get(path, query = {}) {
    const given = Object.entries(query).filter(([, value]) => value !== "");
    return this.#ask("GET", `${path}?${new URLSearchParams(given)}`);
  }

  /** Give an order, whose body is JSON. */
  post(path, value, headers = {}) {
    const body = JSON.stringify(value);
    return this.#ask("POST", path, { ...headers, "Content-Type": "application/json" }, body);
  }

  delete(path) {
    return this.#ask("DELETE", path);
  }

  /** @return The answer, or `null` if it has no body. */
  async #ask(method, path, headers = {}, body) {
    const sent = { ...headers, Authorization: `Bearer ${key.get()}` };
    const signal = AbortSignal.timeout(PATIENCE);
    let response;
    let text;
    try {
      const url = new URL(`admin/${path}`, this.#base);
      response = await fetch(url, { method, headers: sent, body, signal, cache: "no-store" });
      text = await response.text();
    } catch {
      throw new Refused("lost", "the server does not answer");
    }
    let value = null;
    try {
      value = text ? JSON.parse(text) : null;
    } catch {
      // A proxy may have written it.
      throw new Refused("lost", `the answer, with status ${response.status}, is not the server's`);
    }
    if (response.ok) return value;
    throw new Refused(value?.code ?? "lost", value?.detail ?? `status ${response.status}`);
  }
}
