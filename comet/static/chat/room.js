/**
 * What the page has of a room: its last lines, and those that wait to be published.
 */

/** How many lines are kept, and how far back a visitor can scroll. */
const KEPT = 500;

const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });

export class Room {
  unread = 0;
  /** The lines, oldest first, and behind them those that wait. */
  #lines = [];
  /** The lines that wait, by the id of their message. */
  #waiting = new Map();
  /** Whether the server may hold older messages than the first line's. */
  #mayHaveOlder = true;

  constructor(name) {
    this.name = name;
    this.link = document.createElement("a");
    this.link.href = `#${encodeURIComponent(name)}`;
    this.showLink(false);
  }

  showLink(isCurrent) {
    this.link.textContent = this.unread ? `${this.name} (${this.unread})` : this.name;
    if (isCurrent) this.link.setAttribute("aria-current", "page");
    else this.link.removeAttribute("aria-current");
  }

  get lines() {
    return [...this.#lines, ...this.#waiting.values()];
  }

  /** The first line that waits, or `null`. */
  get firstWaiting() {
    return this.#waiting.values().next().value ?? null;
  }

  /** Add a message that was published.  @return Its line, which may have waited. */
  add(message) {
    const line = this.#lineOf(message);
    this.#keep(line);
    return line;
  }

  #lineOf({ data, time, cursor }) {
    const line = this.#waiting.get(data?.id) ?? document.createElement("li");
    this.#waiting.delete(data?.id);
    fill(line, data, clock.format(time * 1000));
    line.dataset.cursor = cursor;
    return line;
  }

  /** The cursor before which to read as the visitor scrolls back; none if that is useless. */
  get oldest() {
    const isFull = this.#lines.length >= KEPT;
    if (isFull || !this.#mayHaveOlder) return undefined;
    return this.#lines.find((line) => line.dataset.cursor)?.dataset.cursor;
  }

  /** Add a page of older messages.  @return Its lines. */
  addOlder({ messages, more, gap }) {
    this.#mayHaveOlder = more;
    const lines = messages.map((message) => this.#lineOf(message));
    if (gap) lines.unshift(noteOf("Earlier messages are gone"));
    this.#lines.unshift(...lines);
    return lines;
  }

  /** Add a message of this page that waits to be published. */
  wait(data) {
    const line = document.createElement("li");
    fill(line, data, "sending …");
    line.className = "waiting";
    this.#waiting.set(data.id, line);
    return line;
  }

  /** A message of this page was refused: its line says why. */
  refused({ id }, why) {
    const line = this.#waiting.get(id);
    if (!line) return;
    this.#waiting.delete(id);
    line.className = "refused";
    line.querySelector("time").textContent = `not sent: ${why}`;
    this.#keep(line);
  }

  /**
   * Add a line that no visitor has written.
   *
   * @param kind A class of it, besides `note`.
   */
  note(text, kind) {
    const line = noteOf(text);
    if (kind) line.classList.add(kind);
    this.#keep(line);
    return line;
  }

  #keep(line) {
    this.#lines.push(line);
    if (this.#lines.length > KEPT) this.#lines.shift().remove();
  }
}

function noteOf(text) {
  const line = document.createElement("li");
  line.className = "note";
  line.textContent = text;
  return line;
}

/** What people send is only ever text: `textContent`, never `innerHTML`. */
function fill(line, data, time) {
  line.className = "";
  line.replaceChildren();
  const parts = { time, b: data?.name ?? "?", span: data?.text ?? data };
  for (const [tag, value] of Object.entries(parts)) {
    const part = document.createElement(tag);
    part.textContent = typeof value === "string" ? value : JSON.stringify(value);
    line.append(part, " ");
  }
}
