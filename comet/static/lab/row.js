/**
 * The display of one technique: its picture, its messages, its figures.
 */

import { Count, Traffic } from "./count.js";
import { bytes, milliseconds, number } from "./format.js";
import { Lane } from "./lane.js";
import { show } from "./showing.js";
import { INTERVAL } from "./techniques.js";

/** How many messages are shown. */
const SHOWN = 3;

/** Milliseconds between two looks at what has changed. */
const PACE = 200;

export class Row {
  count = new Count();
  traffic = new Traffic();
  /** Whether its network is not cut. */
  isOn = true;
  link = null;
  /** Whether it is about to take a seat. */
  isTaking = false;
  /** How many messages it missed while it was cut, or `null`. */
  missed = null;
  /** When its network was mended. */
  mendedAt = 0;
  #total;
  #gaps = 0;
  /** The last messages, newest first: `{ text, took, isLate }`. */
  #messages = [];
  #isChanged = false;
  #items;

  /**
   * @param total What all techniques together have received.
   * @param switched Called with the row when its network is cut or mended.
   */
  constructor(name, total, switched) {
    this.name = name;
    this.#total = total;
    this.article = document.getElementById(name);
    this.label = this.#find("h3").textContent;
    this.article.append(document.getElementById("live").content.cloneNode(true));
    this.lane = new Lane(this.#find(".lane"));
    this.#items = Array.from({ length: SHOWN }, makeItem);
    this.#switch.append(unseen(` of ${this.label}`));
    this.#switch.addEventListener("click", () => {
      this.isOn = !this.isOn;
      this.#switch.setAttribute("aria-checked", String(this.isOn));
      switched(this);
    });
    this.article.dataset.state = "waiting";
    show(this.article, () => this.draw(), () => PACE, true);
  }

  #find(selector) {
    return this.article.querySelector(selector);
  }

  get #switch() {
    return this.#find(".switch");
  }

  /** What it has cost: `{ requests, head, data }`. */
  get cost() {
    return this.traffic.cost;
  }

  /**
   * A message came.
   *
   * @param delay Milliseconds since it was published, or `null` where that is not
   *   known, or where it came late because the connection was cut.
   */
  message(text, delay, isLate) {
    if (delay !== null && !isLate) this.count.took(delay);
    this.#messages.unshift({ text, took: delay === null ? "" : milliseconds(delay), isLate });
    this.#messages.length = Math.min(this.#messages.length, SHOWN);
    this.#isChanged = true;
  }

  /** Messages were lost that the server no longer had. */
  gap() {
    this.#gaps += 1;
  }

  /** Show how it is now. */
  draw() {
    if (!this.link) return;
    this.#drawState();
    this.#drawReceived();
    if (this.#isChanged) this.#drawMessages();
    const { requests, head, data } = this.cost;
    write(this.#find(".requests"), number(requests));
    write(this.#find(".headers"), bytes(head));
    write(this.#find(".bytes"), bytes(data));
  }

  #drawState() {
    const { state, since } = this.link;
    const seconds = Math.max(0, Math.floor((performance.now() - since) / 1000));
    if (this.article.dataset.state !== state) this.article.dataset.state = state;
    const words = {
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
    };
    write(this.#find(".word"), words[state]);
  }

  get #asks() {
    return this.name === "poll" || (this.name === "jsonp" && this.link.isCrowded);
  }

  /** How much of everything it has received. */
  #drawReceived() {
    const { received, repeated } = this.count;
    const total = this.#total.count;
    const missing = Math.max(total - received, 0);
    const parts = [`${number(received)} of ${number(total)}${missing ? "" : " received"}`];
    if (missing) parts.push(`${number(missing)} to come`);
    if (repeated) parts.push(`${number(repeated)} twice`);
    if (this.#gaps) parts.push(`${number(this.#gaps)} ${this.#gaps > 1 ? "gaps" : "gap"}`);
    const line = this.#find(".received");
    write(line, parts.join(", "));
    line.classList.toggle("behind", missing > 0);
  }

  #drawMessages() {
    this.#isChanged = false;
    for (const [index, { text, took, isLate }] of this.#messages.entries()) {
      const item = this.#items[index];
      const [said, time] = item.children;
      write(said, text);
      write(time, took);
      time.className = isLate ? "late" : "";
      if (!item.isConnected) this.#find(".messages").append(item);
    }
  }
}

/** Browsers lay out again even a text that has not changed. */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function makeItem() {
  const item = document.createElement("li");
  item.append(document.createElement("span"), document.createElement("span"));
  return item;
}

function unseen(text) {
  const span = document.createElement("span");
  span.className = "unseen";
  span.textContent = text;
  return span;
}
