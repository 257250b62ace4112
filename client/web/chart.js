// One model's probabilities over time, and above them what was made of them.

import { palette } from "./palette.js";

const BAR = 20;
const LANE = BAR + 4;
const AXIS = 16;
const LEFT = 24;
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', Arial, sans-serif";

/** Thin lines under the threshold, strong ones over it; events as bars in a lane on top. */
export class Chart {
  /**
   * @param {object} model as the service describes it
   * @param {string|null} hand which one, of a model of one hand
   */
  constructor(model, hand = null) {
    this.model = model;
    this.shown = model.labels.map((_, i) => i).filter((i) => model.labels[i] !== model.background);
    this.points = [];
    this.spans = new Map();
    this.element = document.createElement("div");
    this.element.className = "chart";
    const head = document.createElement("p");
    head.className = "chart-head";
    const name = document.createElement("b");
    name.textContent = model.name;
    const what = document.createElement("span");
    what.className = "muted";
    const labels = this.shown.length === 1 ? "one label" : `${this.shown.length} labels`;
    const whose = hand ? `${hand} hand` : "";
    what.textContent = [whose, labels].filter(Boolean).join(", ");
    this.now = document.createElement("span");
    this.now.className = "now number";
    head.append(name, what, this.now);
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `Probabilities of ${[model.name, whose].filter(Boolean).join(", ")} over time`);
    this.element.append(head, this.canvas);
    this.pen = this.canvas.getContext("2d");
  }

  /** One window's probabilities, which speak of the moment `atS`. */
  add(atS, probabilities) {
    this.points.push({ atS, probabilities });
    const best = this.#best(probabilities);
    this.now.textContent = `${this.model.labels[best]} ${probabilities[best].toFixed(2)}`;
    this.now.classList.toggle("over", probabilities[best] >= this.#threshold);
  }

  /** An event or a segment; an open one has no end. */
  span(id, label, startS, endS) {
    this.spans.set(id, { label, startS, endS });
  }

  /** Let go of what lies before `fromS`. */
  forget(fromS) {
    const first = this.points.findIndex((point) => point.atS >= fromS);
    if (first > 1) this.points.splice(0, first - 1);
    for (const [id, { endS }] of this.spans) if (endS !== null && endS < fromS) this.spans.delete(id);
  }

  /** Draw from one moment to another; `toS` is called "now" on a live chart. */
  draw(fromS, toS, live) {
    const { width, height } = this.#fit();
    const colours = palette();
    const plot = { left: LEFT, right: width - 2, top: LANE + 4, bottom: height - AXIS };
    const x = (atS) => plot.left + ((atS - fromS) / (toS - fromS)) * (plot.right - plot.left);
    const y = (share) => plot.bottom - share * (plot.bottom - plot.top);
    this.pen.clearRect(0, 0, width, height);
    this.#grid(colours, plot, x, y, fromS, toS, live);
    this.pen.save();
    this.pen.beginPath();
    this.pen.rect(plot.left, 0, plot.right - plot.left, plot.bottom + 2);
    this.pen.clip();
    this.#curves(colours, plot, x, y, fromS);
    this.#lane(colours, x, toS, fromS);
    this.pen.restore();
  }

  get #threshold() {
    return this.model.decoding.start_above;
  }

  #best(probabilities) {
    return this.shown.reduce((best, i) => (probabilities[i] > probabilities[best] ? i : best));
  }

  #fit() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const scale = window.devicePixelRatio;
    if (this.canvas.width !== Math.round(width * scale) || this.canvas.height !== Math.round(height * scale)) {
      this.canvas.width = Math.round(width * scale);
      this.canvas.height = Math.round(height * scale);
    }
    this.pen.setTransform(scale, 0, 0, scale, 0, 0);
    return { width, height };
  }

  #grid(colours, plot, x, y, fromS, toS, live) {
    const pen = this.pen;
    pen.lineWidth = 1;
    pen.font = `11px ${FONT}`;
    pen.fillStyle = colours.muted;
    pen.strokeStyle = colours.line;
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    for (const share of [0, 0.5, 1]) {
      pen.fillText(share === 0.5 ? ".5" : String(share), 4, y(share));
      line(pen, plot.left, y(share), plot.right, y(share));
    }
    pen.textBaseline = "alphabetic";
    const step = [0.5, 1, 2, 5, 10, 30, 60].find((seconds) => (toS - fromS) / seconds <= 8) ?? 120;
    for (let back = 0; back <= toS - fromS + 1e-9; back += step) {
      const atS = live ? toS - back : fromS + back;
      pen.textAlign = live ? (back === 0 ? "right" : "center") : back === 0 ? "left" : "center";
      if (x(atS) > plot.left + 12 && x(atS) <= plot.right - (live ? 0 : 10)) pen.fillText(live ? (back === 0 ? "now" : `−${back} s`) : `${back} s`, x(atS), plot.bottom + 14);
    }
    pen.strokeStyle = colours.muted;
    pen.setLineDash([5, 4]);
    line(pen, plot.left, y(this.#threshold), plot.right, y(this.#threshold));
    pen.setLineDash([]);
  }

  #curves(colours, plot, x, y, fromS) {
    const pen = this.pen;
    const seen = this.points.slice(Math.max(0, this.points.findIndex((point) => point.atS >= fromS) - 1));
    if (!seen.length) return;
    pen.lineJoin = "round";
    for (const label of this.shown) {
      const path = new Path2D();
      seen.forEach((point, i) => path[i ? "lineTo" : "moveTo"](x(point.atS), y(point.probabilities[label])));
      pen.strokeStyle = colours.trace;
      pen.lineWidth = 1.25;
      pen.stroke(path);
      if (!seen.some((point) => point.probabilities[label] >= this.#threshold)) continue;
      // The same line once more, only where it lies over the threshold.
      const area = new Path2D(path);
      area.lineTo(x(seen.at(-1).atS), plot.bottom);
      area.lineTo(x(seen[0].atS), plot.bottom);
      pen.save();
      pen.beginPath();
      pen.rect(plot.left, 0, plot.right - plot.left, y(this.#threshold) + 0.5);
      pen.clip();
      pen.fillStyle = colours.soft;
      pen.fill(area);
      pen.strokeStyle = colours.accent;
      pen.lineWidth = 2.25;
      pen.stroke(path);
      pen.restore();
    }
  }

  #lane(colours, x, toS, fromS) {
    const bars = [...this.spans.values()]
      .filter(({ endS }) => endS === null || endS >= fromS)
      .map(({ label, startS, endS }) => ({
        label,
        open: endS === null,
        from: Math.max(x(startS), x(fromS) - 8),
        to: Math.min(Math.max(x(endS ?? toS), x(startS) + 3), x(toS)),
      }))
      .sort((one, other) => one.from - other.from);
    this.pen.font = `600 12px ${FONT}`;
    this.pen.textBaseline = "middle";
    this.pen.textAlign = "left";
    bars.forEach((bar, i) => {
      this.pen.fillStyle = bar.open ? colours.accent : colours.soft;
      this.pen.beginPath();
      this.pen.roundRect(bar.from, 0, bar.to - bar.from, BAR, 6);
      this.pen.fill();
      this.#name(colours, bar, bars[i - 1]?.to ?? x(fromS), bars[i + 1]?.from ?? x(toS));
    });
  }

  /** A bar's label: on it, else beside it where there is room up to its neighbours, else as much as fits. */
  #name(colours, bar, before, after) {
    const pen = this.pen;
    const middle = BAR / 2 + 0.5;
    const width = pen.measureText(bar.label).width;
    const left = Math.max(bar.from, LEFT) + 6;
    pen.fillStyle = colours.accent;
    if (width > bar.to - left - 4) {
      if (width + 10 < after - bar.to) return pen.fillText(bar.label, bar.to + 5, middle);
      if (width + 10 < bar.from - before) return pen.fillText(bar.label, bar.from - width - 5, middle);
    }
    if (bar.open) pen.fillStyle = colours["on-accent"];
    return pen.fillText(fitting(pen, bar.label, bar.to - left - 4), left, middle);
  }
}

function line(pen, x1, y1, x2, y2) {
  pen.beginPath();
  pen.moveTo(x1, Math.round(y1) + 0.5);
  pen.lineTo(x2, Math.round(y2) + 0.5);
  pen.stroke();
}

function fitting(pen, text, room) {
  if (pen.measureText(text).width <= room) return text;
  for (let length = text.length - 1; length > 1; length -= 1) {
    const shorter = `${text.slice(0, length)}…`;
    if (pen.measureText(shorter).width <= room) return shorter;
  }
  return "";
}
