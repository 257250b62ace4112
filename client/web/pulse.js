// How fast it goes: pictures a second, round trip, pictures skipped.

const SPAN_MS = 2000;
const TRIPS = 15;

/** Three numbers beside the controls. */
export class Pulse {
  constructor(rate, trip, skipped) {
    this.show = { rate, trip, skipped };
    this.reset();
  }

  reset() {
    this.arrivals = [];
    this.trips = [];
  }

  /** One picture came back. */
  beat(now, tripMs, skipped) {
    this.arrivals = [...this.arrivals.filter((at) => at > now - SPAN_MS), now];
    const span = now - this.arrivals[0];
    this.show.rate.textContent = span > 0 ? Math.round(((this.arrivals.length - 1) / span) * 1000) : "–";
    this.trips = [...this.trips, tripMs].slice(-TRIPS);
    const sorted = [...this.trips].sort((one, other) => one - other);
    this.show.trip.textContent = Math.round(sorted[sorted.length >> 1]);
    this.show.skipped.textContent = skipped;
  }
}
