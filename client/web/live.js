// Camera, stream and everything that shows what the stream says.

import { Camera, NoCamera } from "./camera.js";
import { Charts } from "./charts.js";
import { EventList } from "./events.js";
import { showProblem } from "./problem.js";
import { Pulse } from "./pulse.js";
import { Skeleton } from "./skeleton.js";
import { Stream } from "./stream.js";
import { Verdict } from "./verdict.js";

const SPAN_S = 10;
const LAG_MS = 2000;
const byId = (id) => document.getElementById(id);

/** The upper half of the page: start, watch, stop. */
export class Live {
  /**
   * @param {import("./models.js").ModelChoice} choice
   * @param {function(string, string)} connection shows a state and its words
   */
  constructor(choice, connection) {
    this.choice = choice;
    this.connection = connection;
    this.page = byId("page");
    this.stage = byId("stage");
    this.button = byId("start");
    this.problem = byId("live-problem");
    this.camera = new Camera(byId("video"), () => this.#cameraLost());
    this.skeleton = new Skeleton(byId("skeleton"));
    this.pulse = new Pulse(byId("rate"), byId("trip"), byId("skipped"));
    this.events = new EventList(byId("events"), byId("no-events"), byId("event-count"));
    this.verdict = new Verdict({
      page: this.page,
      flag: byId("flag"),
      flagText: byId("flag-text"),
      gesture: byId("gesture"),
      label: byId("gesture-label"),
      meter: byId("gesture-meter"),
      value: byId("gesture-value"),
    });
    this.charts = new Charts(byId("charts"));
    this.stream = null;
    this.startedMs = 0;
    this.frozenS = null;
    this.button.addEventListener("click", () => (this.stream ? this.stop() : this.start()));
  }

  async start() {
    this.button.disabled = true;
    showProblem(this.problem, null);
    try {
      await this.camera.open();
    } catch (error) {
      if (!(error instanceof NoCamera)) throw error;
      showProblem(this.problem, error.problem);
      this.button.disabled = false;
      return;
    }
    this.stage.style.setProperty("--aspect", this.camera.aspect);
    this.skeleton.fit(this.camera.video.videoWidth, this.camera.video.videoHeight);
    this.#state("connecting");
    this.connection("asking", "connecting");
    this.choice.locked = true;
    this.stream = new Stream(this.choice.names, {
      ready: (message) => (this.page.dataset.state === "live" ? this.#beginAnew(message) : this.#begin(message)),
      lost: (leaving) =>
        this.connection("asking", leaving ? "the service restarts, resuming ..." : "connection lost, resuming ..."),
      resumed: () => this.#resumed(),
      lag: (message) => this.#aside(`live, ${message.behind_s.toFixed(1)} s behind`),
      warning: () => this.#aside("live, but this page reads too slowly"),
      closing: () => this.connection("asking", "the service is about to restart"),
      landmarks: (message) => this.#landmarks(message),
      scores: (message) => this.#scores(message),
      event: (message) => this.#event(message),
      problem: (message) => showProblem(this.problem, message.problem),
      closed: (problem) => this.#end(problem),
    });
    this.#pressed("Stop camera");
  }

  stop() {
    this.button.disabled = true;
    this.camera.close();
    this.stream.stop();
  }

  /** Draw the charts once more, in the colours in force. */
  redraw() {
    const nowS = this.frozenS ?? this.#nowS();
    this.charts.draw(nowS - SPAN_S, nowS, true);
  }

  #nowS() {
    return (performance.now() - this.startedMs) / 1000;
  }

  #begin({ models }) {
    this.startedMs = performance.now();
    this.frozenS = null;
    this.events.clear();
    this.pulse.reset();
    Object.assign(this.page.dataset, { frames: "0", landmarks: "0", events: "0", hands: "0", atS: "0", resumed: "0" });
    this.verdict.begin(models);
    this.charts.begin(models);
    this.#state("live");
    this.connection("live", "live");
    const stream = this.stream;
    this.camera.watch((now) => {
      const atS = (now - this.startedMs) / 1000;
      if (atS > 0) stream.offer(atS, () => this.camera.take());
    });
    const roll = () => {
      if (this.stream !== stream) return;
      this.redraw();
      requestAnimationFrame(roll);
    };
    roll();
  }

  /** The service had forgotten the session, or could not take it along: a new one goes on from here. */
  #beginAnew({ models }) {
    this.verdict.begin(models);
    this.#resumed();
  }

  #resumed() {
    this.page.dataset.resumed = String(Number(this.page.dataset.resumed) + 1);
    this.connection("live", "live");
  }

  /** Something that is soon over. */
  #aside(words) {
    this.connection("live", words);
    clearTimeout(this.asideOver);
    this.asideOver = setTimeout(() => {
      if (this.stream?.session.open) this.connection("live", "live");
    }, LAG_MS);
  }

  #landmarks(message) {
    this.skeleton.draw(message, message.bitmap);
    message.bitmap.close();
    this.pulse.beat(performance.now(), message.tripMs, this.stream.skipped);
    const data = this.page.dataset;
    data.frames = String(Number(data.frames) + 1);
    if (message.pose || message.left_hand || message.right_hand) data.landmarks = String(Number(data.landmarks) + 1);
    data.hands = String([message.left_hand, message.right_hand].filter(Boolean).length);
    data.atS = message.at_s.toFixed(3);
  }

  #scores(message) {
    const chart = this.charts.of(message.model, message.hand);
    chart.add(message.at_s, message.probabilities);
    chart.forget(message.at_s - 2 * SPAN_S);
    this.verdict.scores(message);
  }

  #event(message) {
    this.events.take(message);
    this.verdict.take(message);
    this.charts.of(message.model, message.hand).span(message.id, message.label, message.start_s, message.end_s);
    this.page.dataset.events = String(this.events.total);
  }

  #end(problem) {
    this.camera.close();
    this.frozenS = this.#nowS();
    this.stream = null;
    this.skeleton.clear();
    this.verdict.begin([]);
    this.#state("idle");
    this.connection(problem ? "lost" : "ready", problem ? "stream ended" : "ready");
    if (problem) showProblem(this.problem, problem);
    this.choice.locked = false;
    this.redraw();
    this.#pressed("Start camera");
  }

  #pressed(words) {
    this.button.textContent = words;
    this.button.setAttribute("aria-pressed", String(Boolean(this.stream)));
    this.button.disabled = false;
  }

  #cameraLost() {
    showProblem(this.problem, { title: "The camera is gone", detail: "Connect it again, or allow it, and start again." });
    if (this.stream) this.stop();
  }

  #state(state) {
    this.page.dataset.state = state;
  }
}
