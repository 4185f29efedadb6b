/**
 * A table that is shown again and again: its rows stay in place, so that a focus, a
 * selection and a click are not lost, and only what has changed is written.
 */

/** The most rows of any table. */
export const MOST = 100;

export class Table {
  #columns;
  #keyOf;
  #body;
  #rows = new Map();

  /**
   * @param id The id of an empty table.
   * @param columns For each column `{ title, text(row) }`, and perhaps `kind`, a class of its
   *   cells, `isBad(row)`, or instead of `text` its `deeds(row)`: an array of
   *   `[what, label, function]`.  The first column names the row.
   * @param keyOf Returns what tells a row from the others.
   */
  constructor(id, columns, keyOf) {
    this.#columns = columns;
    this.#keyOf = keyOf;
    const table = document.getElementById(id);
    const head = table.createTHead().insertRow();
    for (const { title, kind = "" } of columns) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.className = kind;
      cell.textContent = title;
      head.append(cell);
    }
    this.#body = table.createTBody();
  }

  /** Show these rows, at most `MOST` of them. */
  show(rows) {
    const seen = new Map();
    const focused = document.activeElement;
    let place = this.#body.firstElementChild;
    for (const row of rows.slice(0, MOST)) {
      const key = unique(this.#keyOf(row), seen);
      const shown = this.#rows.get(key) ?? this.#make();
      seen.set(key, shown);
      shown.row = row;
      this.#write(shown);
      if (shown.element === place) place = place.nextElementSibling;
      else this.#body.insertBefore(shown.element, place);
    }
    for (const [key, { element }] of this.#rows) if (!seen.has(key)) element.remove();
    this.#rows = seen;
    // What is moved loses its focus.
    if (focused !== document.activeElement && focused.isConnected) focused.focus();
  }

  #make() {
    const element = document.createElement("tr");
    const shown = { element, row: null, cells: [] };
    for (const [index, { kind = "" }] of this.#columns.entries()) {
      const cell = document.createElement(index ? "td" : "th");
      if (!index) cell.scope = "row";
      cell.className = kind;
      element.append(cell);
      shown.cells.push(cell);
    }
    return shown;
  }

  #write({ row, cells }) {
    for (const [index, { kind = "", text, isBad, deeds }] of this.#columns.entries()) {
      const cell = cells[index];
      if (deeds) {
        showDeeds(cell, deeds(row));
        continue;
      }
      const now = text(row);
      if (cell.textContent !== now) cell.textContent = now;
      if (isBad) cell.className = isBad(row) ? `${kind} bad` : kind;
    }
  }
}

/** Rows may be alike: each has a key of its own. */
function unique(key, seen) {
  let found = key;
  for (let n = 2; seen.has(found); n++) found = `${key} ${n}`;
  return found;
}

/** Show buttons; those that are there already stay. */
function showDeeds(cell, deeds) {
  const named = deeds.map(([what, label]) => `${what} ${label}`).join("\n");
  cell.run = deeds.map(([, , run]) => run);
  if (cell.named === named) return;
  cell.named = named;
  cell.replaceChildren(
    ...deeds.map(([what, label], index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = what;
      button.setAttribute("aria-label", label);
      button.addEventListener("click", () => cell.run[index]());
      return button;
    }),
  );
}

/**
 * Say how many of all are shown.
 *
 * @param what What is counted, and how one of it is called.
 */
export function counted(count, shown, [many, one], isComplete = true) {
  const more = shown < count ? `, the first ${shown} of them here` : "";
  const missing = isComplete ? "" : " Not all nodes have answered.";
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}${more}.${missing}`;
}
