// A file: sent, waited for, shown.

import { Charts } from "./charts.js";
import { showProblem } from "./problem.js";
import { fillRow, newRow } from "./rows.js";
import { Refused, postClip } from "./service.js";

const byId = (id) => document.getElementById(id);

/** The lower half of the page. */
export class Upload {
  /** @param {import("./models.js").ModelChoice} choice */
  constructor(choice) {
    this.choice = choice;
    this.result = byId("result");
    this.problem = byId("file-problem");
    this.progress = byId("upload-progress");
    this.charts = new Charts(byId("result-charts"));
    this.durationS = 0;
    this.running = null;
    const input = byId("file");
    input.addEventListener("change", () => {
      if (input.files.length) this.send(input.files[0]);
      input.value = ""; // so that the same file can be chosen again
    });
    byId("upload-cancel").addEventListener("click", () => this.running?.cancel());
    this.#drops(byId("drop"));
    new ResizeObserver(() => this.redraw()).observe(byId("result-charts"));
  }

  /** @param {File} file */
  async send(file) {
    this.running?.cancel();
    showProblem(this.problem, null);
    this.result.hidden = true;
    this.result.dataset.state = "waiting";
    byId("upload").hidden = false;
    this.#sent(file, 0);
    const running = postClip(file, this.choice.names, (share) => this.#sent(file, share));
    this.running = running;
    try {
      const clip = await running.answer;
      if (this.running !== running) return;
      if (clip) this.#show(file, clip);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (this.running !== running) return;
      this.result.dataset.state = "refused";
      showProblem(this.problem, error.problem);
    }
    byId("upload").hidden = true;
    this.running = null;
  }

  /** Draw the charts once more, in the colours and size in force. */
  redraw() {
    this.charts.draw(0, this.durationS, false);
  }

  #sent(file, share) {
    if (share < 1) {
      this.progress.value = share;
      byId("upload-text").textContent = `Sending ${file.name}`;
    } else {
      this.progress.removeAttribute("value");
      byId("upload-text").textContent = `The service looks at every frame of ${file.name}`;
    }
  }

  #show(file, { media, models }) {
    const found = Object.entries(models).flatMap(([model, { segments }]) =>
      segments.map((segment) => ({ ...segment, model })),
    );
    found.sort((one, other) => one.start_s - other.start_s);
    const head = byId("result-head");
    const about = document.createElement("small");
    about.textContent =
      `${media.kind}, ${media.duration_s.toFixed(1)} s, ${media.frames} frames at ${Math.round(media.fps)} a second, ` +
      `somebody in ${media.frames_with_person}`;
    head.replaceChildren(`${found.length || "No"} segment${found.length === 1 ? "" : "s"} in ${file.name}`, about);
    byId("segments").replaceChildren(
      ...found.map((segment) => {
        const row = newRow();
        fillRow(row, segment);
        return row;
      }),
    );
    byId("result-table").hidden = !found.length;
    this.durationS = Math.max(media.duration_s, 0.1);
    this.charts.begin(Object.keys(models).map((name) => this.choice.all.get(name)));
    for (const [model, reading] of Object.entries(models)) this.#chart(model, reading);
    this.result.dataset.segments = String(found.length);
    this.result.dataset.state = "shown";
    this.result.hidden = false;
    this.redraw();
  }

  #chart(model, { windows, segments }) {
    for (const { hand, at_s: atS, probabilities } of windows) {
      const chart = this.charts.of(model, hand);
      chart.add(atS, probabilities);
      chart.now.textContent = "";
    }
    segments.forEach(({ hand, label, start_s: startS, end_s: endS }, i) => this.charts.of(model, hand).span(i, label, startS, endS));
  }

  #drops(zone) {
    zone.addEventListener("dragover", (event) => {
      event.preventDefault();
      zone.dataset.over = "true";
    });
    zone.addEventListener("dragleave", () => delete zone.dataset.over);
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      delete zone.dataset.over;
      if (event.dataTransfer.files.length) this.send(event.dataTransfer.files[0]);
    });
  }
}
