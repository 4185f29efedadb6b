/**
 * The moving picture of one connection: the server on the upper line, the browser
 * on the lower, and time running from right to left.
 *
 * An event stays where it was drawn, and the whole picture moves.  A reader who
 * prefers less motion gets a new picture every second instead.
 */

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 44;
const SERVER = 7;
const BROWSER = 37;

/** Pixels for a second, and the least distance between two messages. */
const SPEED = 40;
const CLOSEST = 4;

/** The least distance between a request and its response, so that both are seen. */
const APART = 6;

/** Milliseconds between two pictures. */
const STEP = 33;

const lanes = new Set();
const isCalm = matchMedia("(prefers-reduced-motion: reduce)");

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

let drawnAt = 0;

function draw(now) {
  if (now - drawnAt >= (isCalm.matches ? 1000 : STEP)) {
    drawnAt = now;
    for (const lane of lanes) lane.draw(now);
  }
  requestAnimationFrame(draw);
}

requestAnimationFrame(draw);

export class Lane {
  #moving = element("g", {});
  /** The bars that still grow: at most one of each kind. */
  #growing = new Map();
  #width = 0;
  #lastDot = -Infinity;
  #lastRequest = -Infinity;

  constructor(svg) {
    svg.append(
      element("line", { class: "shore", x1: 0, x2: "100%", y1: SERVER, y2: SERVER }),
      element("line", { class: "shore", x1: 0, x2: "100%", y1: BROWSER, y2: BROWSER }),
      this.#moving,
    );
    svg.setAttribute("height", HEIGHT);
    new ResizeObserver(([entry]) => (this.#width = entry.contentRect.width)).observe(svg);
    lanes.add(this);
  }

  /** A request goes up. */
  request() {
    this.#lastRequest = this.#x();
    this.#put("path", { class: "request", d: arrow(BROWSER, SERVER) });
  }

  /** An answer comes down: with messages, or for nothing. */
  answer(count) {
    this.end("hold");
    this.#put("path", { class: count ? "answer" : "answer empty", d: `M0 ${SERVER}V${BROWSER}` });
    this.#dot(count ? "message" : "nothing", count);
  }

  /** A message comes down a connection that stays open. */
  chunk(isMessage) {
    const x = this.#x();
    // Draw no more messages than can be seen.
    if (x - this.#lastDot < CLOSEST) return;
    this.#lastDot = x;
    this.#put("path", { class: isMessage ? "chunk" : "chunk empty", d: `M0 ${SERVER}V${BROWSER}` });
    this.#dot(isMessage ? "message" : "nothing", 1);
  }

  /**
   * Begin a bar: `hold`, a request that waits; `open`, a response that does not end;
   * `both`, a socket; `cut`, no network.
   */
  begin(kind) {
    if (this.#growing.has(kind)) return;
    const [y, height] = kind === "hold" ? [SERVER - 3, 6] : [SERVER, BROWSER - SERVER];
    const bar = this.#put("rect", { class: kind, x: 0, y, height, width: 0 });
    this.#moving.prepend(bar);
    this.#growing.set(kind, bar);
  }

  /** End a bar. */
  end(kind) {
    const bar = this.#growing.get(kind);
    if (!bar) return;
    this.#grow(bar, this.#x());
    this.#growing.delete(kind);
  }

  /** End all bars. */
  endAll() {
    for (const kind of [...this.#growing.keys()]) this.end(kind);
  }

  draw(now) {
    const x = (now / 1000) * SPEED;
    for (const bar of this.#growing.values()) this.#grow(bar, x);
    this.#moving.setAttribute("transform", `translate(${(this.#width - 8 - x).toFixed(2)} 0)`);
    for (const child of [...this.#moving.children]) {
      const right = Number(child.dataset.x) + Number(child.getAttribute("width") ?? 0);
      if (right < x - this.#width - 40 && !this.#isGrowing(child)) child.remove();
    }
  }

  #isGrowing(child) {
    for (const bar of this.#growing.values()) if (bar === child) return true;
    return false;
  }

  #grow(bar, x) {
    bar.setAttribute("width", Math.max(0.5, x - Number(bar.dataset.x)).toFixed(2));
  }

  #x() {
    return (performance.now() / 1000) * SPEED;
  }

  #put(name, attributes) {
    const made = element(name, attributes);
    const isAnswer = name !== "rect" && attributes.class !== "request";
    const x = Math.max(this.#x(), isAnswer ? this.#lastRequest + APART : 0).toFixed(2);
    made.dataset.x = x;
    made.setAttribute("transform", `translate(${x} 0)`);
    this.#moving.append(made);
    return made;
  }

  #dot(kind, count) {
    const radius = Math.min(2.5 + Math.sqrt(Math.max(count, 1)), 7);
    this.#put("circle", { class: kind, cy: BROWSER, r: kind === "nothing" ? 2.5 : radius });
  }
}

/** A line with a head at its end. */
function arrow(from, to) {
  const back = to + Math.sign(from - to) * 5;
  return `M0 ${from}V${to}M-3 ${back}L0 ${to}L3 ${back}`;
}
