// The list of events, newest first.

import { fillRow, newRow } from "./rows.js";

const MOST = 200;

/** Rows by event id: `start` adds one, `update` and `end` change it. */
export class EventList {
  constructor(body, empty, count) {
    this.body = body;
    this.empty = empty;
    this.count = count;
    this.clear();
  }

  clear() {
    this.rows = new Map();
    this.total = 0;
    this.body.replaceChildren();
    this.empty.hidden = false;
    this.count.textContent = "0";
  }

  /** @param {object} event a message of type `event` */
  take(event) {
    let row = this.rows.get(event.id);
    if (!row) {
      row = newRow();
      this.rows.set(event.id, row);
      this.body.prepend(row);
      this.total += 1;
      this.count.textContent = String(this.total);
      this.empty.hidden = true;
      this.#trim();
    }
    fillRow(row, event);
  }

  #trim() {
    if (this.rows.size <= MOST) return;
    const [oldest, row] = this.rows.entries().next().value;
    row.remove();
    this.rows.delete(oldest);
  }
}
