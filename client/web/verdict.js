// What is going on right now: the signing flag and the gesture, over the picture.

/** Follows open events of the models of a stream. */
export class Verdict {
  /** @param {{page: HTMLElement, flag: HTMLElement, flagText: HTMLElement, gesture: HTMLElement, label: HTMLElement, meter: HTMLElement, value: HTMLElement}} parts */
  constructor(parts) {
    this.parts = parts;
    this.begin([]);
  }

  /** A stream of these models begins (or, with none, is over). */
  begin(models) {
    this.models = new Map(models.map((model) => [model.name, model]));
    this.open = new Map();
    this.parts.flag.hidden = !models.some((model) => model.task === "signing");
    this.parts.gesture.hidden = !models.some((model) => model.task === "gesture");
    this.#show();
  }

  /** @param {object} event a message of type `event` */
  take(event) {
    if (event.state === "end") this.open.delete(event.id);
    // An update tells the highest probability so far; `scores` tells the newest.
    else if (event.state === "start") {
      const { model, hand, label, confidence } = event;
      this.open.set(event.id, { model, hand, label, confidence });
    }
    this.#show();
  }

  /** The confidence that is shown is the newest probability. */
  scores({ model, hand, probabilities }) {
    const labels = this.models.get(model)?.labels ?? [];
    for (const event of this.open.values()) {
      if (event.model === model && event.hand === hand) event.confidence = probabilities[labels.indexOf(event.label)] ?? event.confidence;
    }
    this.#show();
  }

  #show() {
    const open = [...this.open.values()];
    const signing = open.some((event) => this.models.get(event.model)?.task === "signing");
    const gesture = open.filter((event) => this.models.get(event.model)?.task === "gesture").at(-1);
    const { page, flag, flagText, gesture: box, label, meter, value } = this.parts;
    page.dataset.signing = String(signing);
    flag.dataset.on = String(signing);
    const words = signing ? "signing" : "not signing";
    // Only a change is written: it is read aloud.
    if (flagText.textContent !== words) flagText.textContent = words;
    box.dataset.on = String(Boolean(gesture));
    label.textContent = gesture ? [gesture.label, gesture.hand].filter(Boolean).join(", ") : "none";
    meter.style.transform = `scaleX(${gesture?.confidence ?? 0})`;
    value.textContent = gesture ? gesture.confidence.toFixed(2) : "";
  }
}
