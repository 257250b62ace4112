// One WebSocket stream: pictures go out, no more than two at a time; messages come in.

import { pictureFrame } from "./picture.js";

const IN_FLIGHT = 2;

/** What the page says where the service gives a code and no words. */
const CLOSED = {
  1001: "The service is going away.",
  1006: "The connection to the service was lost. Is it still running?",
  1009: "A picture was over the service's size limit.",
  1011: "The service failed; its log says why.",
  1013: "The service has no room for one more stream. Try again later.",
};

/** A stream that is started at once. `heard` has a function for each type of message, and `closed(problem|null)`. */
export class Stream {
  /**
   * @param {string[]} models which ones answer
   * @param {Object<string, function>} heard
   */
  constructor(models, heard) {
    this.heard = heard;
    this.seq = 0;
    this.skipped = 0;
    this.underWay = new Map();
    this.taking = false;
    this.lastProblem = null;
    this.stopping = false;
    this.started = false;
    const address = new URL("v1/stream", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    this.socket.onopen = () => this.#say({ type: "start", models, scores: true, landmarks: true });
    this.socket.onmessage = (message) => this.#hear(JSON.parse(message.data));
    this.socket.onclose = (close) => this.#closed(close);
  }

  /**
   * Send the picture of this moment if there is room, else count it as skipped.
   * @param {number} atS seconds on the stream's clock
   * @param {function(): Promise<{jpeg: Blob, bitmap: ImageBitmap}>} take called only when there is room
   */
  async offer(atS, take) {
    if (!this.started || this.stopping) return;
    // One at a time is encoded, so that none overtakes another and time grows from frame to frame.
    if (this.taking || this.underWay.size >= IN_FLIGHT) {
      this.skipped += 1;
      return;
    }
    this.taking = true;
    const takenMs = performance.now();
    const { jpeg, bitmap } = await take();
    this.taking = false;
    if (!jpeg || this.stopping || this.socket.readyState !== WebSocket.OPEN) return;
    this.underWay.set(this.seq, { takenMs, bitmap });
    this.socket.send(pictureFrame(this.seq, atS, jpeg));
    this.seq += 1;
  }

  /** End what is open; `heard.summary` and then `heard.closed` follow. */
  stop() {
    this.stopping = true;
    if (this.socket.readyState === WebSocket.OPEN) this.#say({ type: "stop" });
    else this.socket.close();
  }

  #say(message) {
    this.socket.send(JSON.stringify(message));
  }

  #hear(message) {
    switch (message.type) {
      case "ready":
        this.started = true;
        break;
      case "landmarks":
        Object.assign(message, this.#receipt(message.seq));
        break;
      case "dropped":
        for (let seq = message.seqs[0]; seq <= message.seqs[1]; seq += 1) this.#receipt(seq);
        break;
      case "problem":
        // It names no picture; answers come in order, so it is about the oldest.
        this.#receipt(this.underWay.keys().next().value);
        this.lastProblem = message.problem;
        break;
    }
    this.heard[message.type]?.(message);
  }

  /** That picture is done with: the picture, and milliseconds since it was taken. */
  #receipt(seq) {
    const sent = this.underWay.get(seq);
    this.underWay.delete(seq);
    return sent && { bitmap: sent.bitmap, tripMs: performance.now() - sent.takenMs };
  }

  #closed({ code, reason }) {
    this.started = false;
    if (this.stopping && code !== 1011) this.heard.closed(null);
    else this.heard.closed(this.lastProblem ?? { title: "The stream ended", detail: CLOSED[code] ?? (reason || `Close code ${code}.`) });
  }
}
