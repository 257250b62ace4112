// A row of the event list or of a file's segments.

/** @returns {HTMLTableRowElement} cells are filled by `fillRow` */
export function newRow() {
  const row = document.createElement("tr");
  const first = row.insertCell();
  first.append(document.createElement("b"), document.createElement("small"));
  for (let i = 0; i < 3; i += 1) row.insertCell().className = "number";
  return row;
}

/** @param {{label: string, model: string, hand: string|null, start_s: number, end_s: number|null, confidence: number}} what */
export function fillRow(row, what) {
  const [first, start, end, confidence] = row.cells;
  row.dataset.label = what.label;
  row.dataset.model = what.model;
  row.dataset.open = String(what.end_s === null);
  first.firstChild.textContent = what.label;
  const model = what.model === what.label ? "" : what.model;
  first.lastChild.textContent = [model, what.hand && `${what.hand} hand`].filter(Boolean).join(", ");
  start.textContent = `${what.start_s.toFixed(2)} s`;
  confidence.textContent = what.confidence.toFixed(2);
  if (what.end_s === null) {
    const mark = document.createElement("span");
    mark.className = "open-mark";
    mark.textContent = "now";
    end.replaceChildren(mark);
  } else {
    end.textContent = `${what.end_s.toFixed(2)} s`;
  }
}
