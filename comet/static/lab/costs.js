/**
 * The costs of the techniques: a growing chart of each, all to one scale, and the
 * table at the end.
 */

import { milliseconds, number, ratio } from "./format.js";
import { show } from "./showing.js";

/** The points of a chart; at twice as many, every other point is dropped. */
const POINTS = 100;

/** Milliseconds between two pictures. */
const PACE = 1000;

export class Costs {
  #rows;
  /** `[seconds, costs by name]`, oldest first. */
  #past = [];
  #cells = new Map();

  constructor(rows) {
    this.#rows = rows;
    const body = document.getElementById("table");
    for (const row of rows) {
      show(row.article.querySelector(".spark"), () => this.#drawChart(row), () => PACE);
      const line = document.createElement("tr");
      const name = document.createElement("th");
      name.scope = "row";
      name.textContent = row.label;
      const cells = Array.from({ length: 6 }, () => document.createElement("td"));
      cells[4].append(...bar());
      line.append(name, ...cells);
      body.append(line);
      this.#cells.set(row, cells);
    }
    show(body, () => this.#fillTable(), () => PACE, true);
  }

  /** Note the costs of now. */
  note() {
    const now = performance.now() / 1000;
    this.#past.push([now, new Map(this.#rows.map((row) => [row, row.cost]))]);
    if (this.#past.length > 2 * POINTS) this.#past = this.#past.filter((_, index) => index % 2);
  }

  #drawChart(row) {
    if (!this.#past.length) return;
    const [start] = this.#past[0];
    const [end, costs] = this.#past.at(-1);
    const most = Math.max(1000, ...[...costs.values()].map(({ head, data }) => head + data));
    const x = (seconds) => (((seconds - start) / Math.max(end - start, 30)) * 100).toFixed(2);
    const y = (value) => (40 - (value / most) * 39).toFixed(2);
    const area = (sum) => {
      const points = this.#past.map(([at, each]) => `${x(at)} ${y(sum(each.get(row)))}`);
      return `M0 40L${points.join("L")}V40Z`;
    };
    const chart = row.article.querySelector(".spark");
    // The lower area is drawn over the higher one.
    chart.querySelector(".data").setAttribute("d", area(({ head, data }) => head + data));
    chart.querySelector(".head").setAttribute("d", area(({ head }) => head));
  }

  #fillTable() {
    const dearest = Math.max(1, ...this.#rows.map(perMessage));
    for (const row of this.#rows) {
      const cells = this.#cells.get(row);
      const { count, cost } = row;
      const { received, median } = count;
      const each = (value) => (received ? ratio(value / received) : "–");
      cells[0].textContent = number(received);
      cells[1].textContent = each(cost.requests);
      cells[2].textContent = each(cost.head);
      cells[3].textContent = each(cost.data);
      cells[5].textContent = median === null ? "–" : milliseconds(median);
      const [chart, sum] = cells[4].children;
      sum.textContent = each(cost.head + cost.data);
      const width = (value) => (received ? ((value / received / dearest) * 100).toFixed(2) : "0");
      const [head, data] = chart.children;
      head.setAttribute("width", width(cost.head));
      data.setAttribute("x", width(cost.head));
      data.setAttribute("width", width(cost.data));
    }
  }
}

function perMessage({ count, cost }) {
  return count.received ? (cost.head + cost.data) / count.received : 0;
}

function bar() {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 10");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const name of ["head", "data"]) {
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    rect.setAttribute("class", name);
    rect.setAttribute("height", "10");
    svg.append(rect);
  }
  return [svg, document.createElement("span")];
}
