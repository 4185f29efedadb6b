/**
 * The moving picture of one connection: the server on the upper line, the browser
 * on the lower, and time running from right to left.
 *
 * What was drawn is moved, and only what is new is drawn.  A reader who prefers less
 * motion gets a new picture every second instead.
 */

import { colours, version } from "./palette.js";
import { show } from "./showing.js";

// All lengths are in CSS pixels.  A place is a time, in pixels since the page began.

const HEIGHT = 44;
const SERVER = 7;
const BROWSER = 37;

/** Pixels for a second. */
const SPEED = 40;

/** How far from the right edge the present is: dots and numbers need some room. */
const ROOM = 20;

/** Messages that arrive closer together are drawn on one line. */
const CLOSEST = 4;

/** The least distance between a request and its response, so that both are seen. */
const APART = 6;

/** How many messages of one line have a dot of their own, and how far apart these are. */
const DOTS = 5;
const PITCH = 6;

/** Milliseconds between two pictures. */
const STEP = 33;
const CALM_STEP = 1000;

const FONT = "600 10px system-ui, sans-serif";

const isCalm = matchMedia("(prefers-reduced-motion: reduce)");
const pace = () => (isCalm.matches ? CALM_STEP : STEP);
const placeOf = (now) => (now / 1000) * SPEED;

/** How each kind of bar is filled. */
const BARS = { hold: "hold", open: "data-soft", both: "both-soft", cut: "bad-soft" };

export class Lane {
  /** How many pictures were drawn. */
  pictures = 0;
  #canvas;
  #context;
  #width = 0;
  #ratio = 1;
  /** What is drawn: `{ kind, x, end }` are bars, `{ kind, x, count }` lines; oldest first. */
  #marks = [];
  /** Marks that ended before this place are forgotten. */
  #forgotten = 0;
  /** The bars that still grow, by kind. */
  #growing = new Map();
  #lastRequest = -Infinity;
  /** The present of the last picture, in whole pixels of the canvas, and its colours. */
  #drawn = null;
  #version = 0;

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    new ResizeObserver(([entry]) => this.#resize(entry.contentRect.width)).observe(canvas);
    show(canvas, (now) => this.draw(now), pace);
  }

  /** A request goes up. */
  request() {
    this.#lastRequest = this.#now();
    this.#put({ kind: "request", x: this.#lastRequest });
  }

  /** An answer comes down: with messages, or for nothing. */
  answer(count) {
    this.end("hold");
    this.#put({ kind: "answer", x: this.#answerPlace(), count });
  }

  /** A message comes down a connection that stays open, or only a sign of life. */
  chunk(isMessage) {
    const x = this.#answerPlace();
    const last = this.#marks.findLast(({ kind }) => kind === "answer");
    // Lines would cover one another, and messages that come at once, as after an
    // interruption, would be seen as one.
    if (last && x - last.x < CLOSEST) last.count += isMessage ? 1 : 0;
    else this.#put({ kind: "answer", x, count: isMessage ? 1 : 0 });
  }

  /**
   * Begin a bar: `hold`, a request that waits; `open`, a response that does not end;
   * `both`, a socket; `cut`, no network.
   */
  begin(kind) {
    if (this.#growing.has(kind)) return;
    const bar = { kind, x: this.#now(), end: Infinity };
    this.#growing.set(kind, bar);
    this.#put(bar);
  }

  /** End a bar. */
  end(kind) {
    const bar = this.#growing.get(kind);
    if (bar) bar.end = this.#now();
    this.#growing.delete(kind);
  }

  /** End all bars. */
  endAll() {
    for (const kind of [...this.#growing.keys()]) this.end(kind);
  }

  #put(mark) {
    this.#marks.push(mark);
    const first = this.#now() - this.#width - ROOM;
    if (first < this.#forgotten + SPEED) return;
    this.#forgotten = first;
    this.#marks = this.#marks.filter(({ x, end = x }) => end >= first);
  }

  #now() {
    return placeOf(performance.now());
  }

  #answerPlace() {
    return Math.max(this.#now(), this.#lastRequest + APART);
  }

  #resize(width) {
    this.#ratio = window.devicePixelRatio || 1;
    this.#width = width;
    this.#canvas.width = Math.round(width * this.#ratio);
    this.#canvas.height = Math.round(HEIGHT * this.#ratio);
    this.#drawn = null;
  }

  draw(now) {
    if (!this.#width) return;
    this.pictures += 1;
    const { width } = this.#canvas;
    const present = Math.floor(placeOf(now) * this.#ratio);
    // The newest marks may still change, or were drawn without their right ends.
    let changed = Math.ceil(2 * ROOM * this.#ratio);
    const moved = this.#drawn === null ? width : present - this.#drawn;
    if (this.#version !== version || moved + changed >= width) changed = width;
    else if (moved) {
      this.#context.globalCompositeOperation = "copy";
      this.#context.drawImage(this.#canvas, -moved, 0);
      this.#context.globalCompositeOperation = "source-over";
      changed += moved;
    }
    this.#version = version;
    this.#drawn = present;
    this.#drawRight(present, width - changed);
  }

  /** Draw all that is right of a column of the canvas. */
  #drawRight(present, left) {
    const context = this.#context;
    const { width, height } = this.#canvas;
    const ratio = this.#ratio;
    context.save();
    context.beginPath();
    context.rect(left, 0, width - left, height);
    context.clip();
    context.clearRect(left, 0, width - left, height);
    // From here on in CSS pixels, with the present at the origin.
    const nowAt = width - ROOM * ratio;
    context.setTransform(ratio, 0, 0, ratio, nowAt, 0);
    const x = present / ratio;
    const from = (left - nowAt) / ratio;
    const marks = this.#marks.filter((mark) => (mark.end ?? mark.x) - x > from - ROOM);
    for (const y of [SERVER, BROWSER]) {
      stroke(context, colours.strong, 1, from, y + 0.5, ROOM, y + 0.5);
    }
    for (const mark of marks) if (mark.end) drawBar(context, mark, x, from);
    for (const { kind, x: at } of marks) if (kind === "request") drawRequest(context, at - x);
    for (const mark of marks) if (mark.kind === "answer") drawAnswer(context, mark, mark.x - x);
    context.restore();
  }
}

function drawBar(context, { kind, x, end }, present, from) {
  const left = Math.max(x - present, from);
  const width = Math.min(end - present, 0) - left;
  if (width <= 0) return;
  const [y, height] = kind === "hold" ? [SERVER - 3, 6] : [SERVER, BROWSER - SERVER];
  context.fillStyle = colours[BARS[kind]];
  context.fillRect(left, y, width, height);
  if (kind !== "cut") return;
  // Not by its colour alone.  The dashes stay where they are.
  context.setLineDash([3, 3]);
  context.lineDashOffset = (left + present) % 6;
  const middle = (SERVER + BROWSER) / 2;
  stroke(context, colours.bad, 1.5, left, middle, left + width, middle);
  context.setLineDash([]);
}

function drawRequest(context, x) {
  const tip = SERVER + 0.5;
  stroke(context, colours.head, 1.5, x, BROWSER, x, tip);
  stroke(context, colours.head, 1.5, x - 3, tip + 5, x, tip, x + 3, tip + 5);
}

function drawAnswer(context, { count }, x) {
  if (!count) {
    context.setLineDash([2, 3]);
    stroke(context, colours.hold, 1.5, x, SERVER, x, BROWSER);
    context.setLineDash([]);
    drawDot(context, x, BROWSER, 2.5, colours.paper);
    context.stroke();
    return;
  }
  stroke(context, colours.data, 1.5, x, SERVER, x, BROWSER);
  for (let n = 0; n < Math.min(count, DOTS); n++) {
    drawDot(context, x, BROWSER - n * PITCH, count > 1 ? 2.7 : 3.7, colours.data);
  }
  if (count <= DOTS) return;
  context.font = FONT;
  // The next lines may pass behind the number.
  context.strokeStyle = colours.paper;
  context.lineWidth = 3;
  context.strokeText(String(count), x + 4, SERVER + 11);
  context.fillStyle = colours.ink;
  context.fillText(String(count), x + 4, SERVER + 11);
}

function drawDot(context, x, y, radius, colour) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
}

function stroke(context, colour, width, ...points) {
  context.beginPath();
  context.moveTo(points[0], points[1]);
  for (let n = 2; n < points.length; n += 2) context.lineTo(points[n], points[n + 1]);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}
