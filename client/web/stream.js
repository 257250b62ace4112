// A stream of pictures: no more than two at a time go out, messages come in.

import { pictureFrame } from "./picture.js";
import { Session } from "./session.js";

const IN_FLIGHT = 2;

/**
 * A stream that is started at once. `heard` has a function for each type of message, for `lost(leaving)` and for
 * `closed(problem|null)`.
 */
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
    this.stopping = false;
    this.open = new Map();
    const options = { models, scores: true, landmarks: true };
    this.session = new Session(options, {
      message: (message) => this.#hear(message),
      lost: (leaving) => heard.lost(leaving),
      over: (problem) => heard.closed(problem),
    });
  }

  /**
   * Send the picture of this moment if there is room, else count it as skipped.
   * @param {number} atS seconds on the stream's clock
   * @param {function(): Promise<{jpeg: Blob, bitmap: ImageBitmap}>} take called only when there is room
   */
  async offer(atS, take) {
    if (!this.session.open || this.stopping) return;
    // One at a time is encoded, so that none overtakes another and time grows from frame to frame.
    if (this.taking || this.underWay.size >= IN_FLIGHT) {
      this.skipped += 1;
      return;
    }
    this.taking = true;
    const takenMs = performance.now();
    const { jpeg, bitmap } = await take();
    this.taking = false;
    if (!jpeg || this.stopping || !this.session.open) {
      bitmap.close();
      return;
    }
    this.underWay.set(this.seq, { takenMs, bitmap });
    this.session.send(this.seq, pictureFrame(this.seq, atS, jpeg));
    this.seq += 1;
  }

  /** End what is open; `heard.summary` and then `heard.closed` follow. */
  stop() {
    this.stopping = true;
    this.session.stop();
  }

  #hear(message) {
    switch (message.type) {
      case "ready":
        this.#endOpen();
        this.#dropLost();
        break;
      case "resumed":
        this.#dropLost();
        break;
      case "event":
        if (message.is_final) this.open.delete(message.id);
        else this.open.set(message.id, message);
        break;
      case "landmarks":
        Object.assign(message, this.#receipt(message.seq));
        // Looked at once more, by a service that took over from an earlier state: it was shown already.
        if (!message.bitmap) return;
        break;
      case "dropped":
        for (let seq = message.seqs[0]; seq <= message.seqs[1]; seq += 1) this.#receipt(seq);
        break;
      case "problem":
        // It names no picture; answers come in order, so it is about the oldest.
        this.#receipt(this.underWay.keys().next().value);
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

  /** Pictures that had come through, and what was said of them had not. */
  #dropLost() {
    for (const seq of [...this.underWay.keys()]) if (!this.session.held.has(seq)) this.#receipt(seq).bitmap.close();
  }

  /** Of a session that is forgotten nobody will say when they ended. */
  #endOpen() {
    for (const event of this.open.values()) {
      this.heard.event({ ...event, state: "end", is_final: true, end_s: event.decided_at_s });
    }
    this.open.clear();
  }
}
