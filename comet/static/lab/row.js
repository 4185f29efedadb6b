/**
 * The display of one technique: its picture, its messages, its figures.
 */

import { Count } from "./count.js";
import { bytes, milliseconds, number } from "./format.js";
import { Lane } from "./lane.js";
import { INTERVAL } from "./techniques.js";

/** How many messages are shown. */
const SHOWN = 3;

export class Row {
  count = new Count();
  /** What it has cost: `{ requests, head, data }`. */
  cost = { requests: 0, head: 0, data: 0 };
  /** Whether its network is not cut. */
  isOn = true;
  link = null;
  /** Whether it is about to take a seat. */
  isTaking = false;
  /** How many messages it missed while it was cut, or `null`. */
  missed = null;
  /** When its network was mended. */
  mendedAt = 0;
  #gaps = 0;

  /**
   * @param switched Called with the row when its network is cut or mended.
   */
  constructor(name, switched) {
    this.name = name;
    this.article = document.getElementById(name);
    this.label = this.#find("h3").textContent;
    this.article.append(document.getElementById("live").content.cloneNode(true));
    this.lane = new Lane(this.#find(".lane"));
    this.#switch.append(unseen(` of ${this.label}`));
    this.#switch.addEventListener("click", () => {
      this.isOn = !this.isOn;
      this.#switch.setAttribute("aria-checked", String(this.isOn));
      switched(this);
    });
  }

  #find(selector) {
    return this.article.querySelector(selector);
  }

  get #switch() {
    return this.#find(".switch");
  }

  /** Show the state of its connection. */
  showState() {
    const { state, since } = this.link;
    const seconds = Math.floor((performance.now() - since) / 1000);
    this.article.dataset.state = state;
    this.#find(".word").textContent = {
      waiting: "waits for a free connection",
      asking: this.#asks ? `asks every ${INTERVAL} s` : "connects",
      pausing: this.#asks ? `asks every ${INTERVAL} s` : "asks again",
      held: `held for ${seconds} s`,
      open: `open for ${seconds} s`,
      lost: "lost; comes back",
      cut: "cut off",
      asleep: "asleep in the background",
      closed: "runs with --demo",
      full: "too many visitors",
    }[state];
  }

  get #asks() {
    return this.name === "poll" || (this.name === "jsonp" && this.link.isCrowded);
  }

  /**
   * A message came.
   *
   * @param delay Milliseconds since it was published, or `null` where that is not
   *   known, or where it came late because the connection was cut.
   */
  message(text, delay, isLate) {
    if (delay !== null && !isLate) this.count.took(delay);
    const item = document.createElement("li");
    const said = document.createElement("span");
    said.textContent = text;
    const took = document.createElement("span");
    took.textContent = delay === null ? "" : milliseconds(delay);
    took.className = isLate ? "late" : "";
    item.append(said, took);
    const list = this.#find(".messages");
    list.prepend(item);
    while (list.children.length > SHOWN) list.lastChild.remove();
  }

  /** Messages were lost that the server no longer had. */
  gap() {
    this.#gaps += 1;
  }

  /** Show how much of everything it has received. */
  showReceived(total) {
    const { received, repeated } = this.count;
    const missing = Math.max(total - received, 0);
    const parts = [`${number(received)} of ${number(total)} received`];
    if (missing) parts.push(`${number(missing)} to come`);
    if (repeated) parts.push(`${number(repeated)} twice`);
    if (this.#gaps) parts.push(`${number(this.#gaps)} gaps`);
    const line = this.#find(".received");
    if (line.textContent !== parts.join(", ")) line.textContent = parts.join(", ");
    line.classList.toggle("behind", missing > 0);
  }

  /** Show what it has cost. */
  showCost() {
    this.#find(".requests").textContent = number(this.cost.requests);
    this.#find(".headers").textContent = bytes(this.cost.head);
    this.#find(".bytes").textContent = bytes(this.cost.data);
  }
}

function unseen(text) {
  const span = document.createElement("span");
  span.className = "unseen";
  span.textContent = text;
  return span;
}
