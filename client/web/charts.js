// The charts of all models of a stream or a file.

import { Chart } from "./chart.js";

/** One a model; of a model of one hand, one for each hand that is told of. */
export class Charts {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
    this.models = [];
    this.charts = new Map();
  }

  /** @param {object[]} models as the service describes them */
  begin(models) {
    this.models = models;
    this.charts = new Map();
    this.place.replaceChildren();
  }

  /** The chart of a model, or of one of its hands: a new one, the first time that it is asked for. */
  of(name, hand) {
    const key = JSON.stringify([name, hand]);
    if (!this.charts.has(key)) {
      const chart = new Chart(this.models.find((model) => model.name === name), hand);
      this.charts.set(key, chart);
      this.place.append(chart.element);
    }
    return this.charts.get(key);
  }

  /** As Chart.draw. */
  draw(fromS, toS, live) {
    for (const chart of this.charts.values()) chart.draw(fromS, toS, live);
  }
}
