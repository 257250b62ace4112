// One session over one WebSocket after another: frames that were lost with a line are sent again, events told once.

const FIRST_MS = 250;
const MOST_MS = 10_000;
const WITHIN_MS = 60_000;

/** Close codes after which a session goes on over a new line; 1006 is a line that went dead. */
const COME_BACK = new Set([1001, 1006, 1012, 1013]);

/** What the page says where the service gives a code and no words. */
const CLOSED = {
  1001: "The service is going away.",
  1006: "The connection to the service was lost. Is it still running?",
  1009: "A picture was over the service's size limit.",
  1011: "The service failed; its log says why.",
  1012: "The service restarts. Try again in a moment.",
  1013: "The service has no room for one more stream. Try again later.",
};

/**
 * A session that is started at once. `heard.message` is called with each message, `heard.lost(leaving)` where a new
 * line is about to be tried (because the service leaves, or nobody knows why), `heard.over(problem|null)` in the end.
 * Where the service has forgotten the session, a new one is begun, and `ready` comes again.
 */
export class Session {
  /**
   * @param {object} options what `start` says
   * @param {Object<string, function>} heard
   */
  constructor(options, heard) {
    this.options = options;
    this.heard = heard;
    /** Frames that may have to be sent again, by seq. */
    this.held = new Map();
    /** Whether frames can be sent now. */
    this.open = false;
    this.id = null;
    this.token = null;
    this.lastNumber = 0;
    this.lastProblem = null;
    this.leaving = this.stopping = this.ended = this.stood = this.anew = false;
    this.tries = 0;
    this.untilMs = this.openMs = this.retryAfterMs = 0;
    // Who leaves the page will not come back for the rest.
    this.leave = () => this.socket.close(1000);
    addEventListener("pagehide", this.leave);
    this.#connect();
  }

  /** Send a frame now, and again if it may have been lost. */
  send(seq, message) {
    this.held.set(seq, message);
    this.socket.send(message);
  }

  /** End what is open; the summary and `heard.over` follow, at once where there is no line. */
  stop() {
    this.stopping = true;
    if (this.open) this.#say({ type: "stop" });
    else if (this.id === null) this.#end(null);
    else this.#end({ title: "Stopped while the connection was lost", detail: "The last events may be missing." });
  }

  #connect() {
    const address = new URL("v1/stream", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    this.socket.onopen = () => this.#say(this.#opening());
    this.socket.onmessage = (message) => this.#hear(JSON.parse(message.data));
    this.socket.onclose = (close) => this.#closed(close);
  }

  #opening() {
    if (this.token === null || this.anew) return { type: "start", resumable: true, ...this.options };
    return { type: "resume", session: this.id, token: this.token, last_number: this.lastNumber };
  }

  #say(message) {
    this.socket.send(JSON.stringify(message));
  }

  #hear(message) {
    switch (message.type) {
      case "ready":
        this.id = message.session;
        this.token = message.resume?.token ?? null;
        this.lastNumber = 0;
        this.anew = false;
        this.#goOn();
        break;
      case "resumed":
        this.#letGo(message.next_seq - 1);
        this.#goOn();
        break;
      case "event":
        if (message.number <= this.lastNumber) return;
        this.lastNumber = message.number;
        this.stood = true;
        // Another session's events may bear the same names.
        message.id = `${this.id} ${message.id}`;
        break;
      case "ack":
        this.#letGo(message.seq);
        this.stood = true;
        break;
      case "closing":
        this.leaving = true;
        this.retryAfterMs = message.retry_after_s * 1000;
        break;
      case "problem":
        this.lastProblem = message.problem;
        if (!this.open && message.problem.code === "unknown-session") {
          this.anew = true;
          return;
        }
        break;
      case "summary":
        if (this.leaving && !this.stopping) this.anew = true;
        else this.ended = true;
        break;
    }
    this.heard.message(message);
  }

  #letGo(seq) {
    for (const held of this.held.keys()) if (held <= seq) this.held.delete(held);
  }

  #goOn() {
    this.open = true;
    this.openMs = performance.now();
    this.lastProblem = null;
    for (const message of this.held.values()) this.socket.send(message);
    if (this.stopping) this.#say({ type: "stop" });
  }

  #closed({ code, reason }) {
    const now = performance.now();
    // A line that is lost as soon as it is there was no success, or there would be no end of it.
    if (this.open && (this.stood || now - this.openMs >= MOST_MS || this.untilMs === 0)) {
      this.tries = 0;
      this.untilMs = now + WITHIN_MS;
    }
    const leaving = this.leaving;
    this.open = this.stood = this.leaving = false;
    if (this.ended && (this.stopping || code === 1000)) this.#end(null);
    else if (this.ended || this.id === null || now > this.untilMs || !(COME_BACK.has(code) || this.anew)) {
      const words = CLOSED[code] ?? (reason || `Close code ${code}.`);
      this.#end(this.lastProblem ?? { title: "The stream ended", detail: words });
    } else {
      const waitMs = this.retryAfterMs + Math.random() * Math.min(MOST_MS, FIRST_MS * 2 ** this.tries);
      this.tries += 1;
      this.retryAfterMs = 0;
      this.waiting = setTimeout(() => this.#connect(), waitMs);
      this.heard.lost(leaving);
    }
  }

  #end(problem) {
    clearTimeout(this.waiting);
    removeEventListener("pagehide", this.leave);
    this.socket.onmessage = this.socket.onclose = this.socket.onopen = null;
    this.socket.close();
    this.heard.over(problem);
  }
}
