// A picture, and the landmarks found in it.

import { ARMS, HAND, SHOULDERS, WRIST } from "./bones.js";

const MIN_VISIBILITY = 0.5;
const MIDDLE = "#ffffff";

/**
 * Draws arms and hands, left and right in two colours, over the very picture that they were found in: over the running
 * video they would trail behind by the round trip.
 */
export class Skeleton {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    this.colour = { left: style.getPropertyValue("--left"), right: style.getPropertyValue("--right") };
  }

  /** Give the canvas the picture's proportions, at a size that stays sharp. */
  fit(width, height) {
    const scale = Math.max(1, 1280 / width);
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
  }

  clear() {
    this.pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /**
   * @param {{pose: number[][]|null, left_hand: number[][]|null, right_hand: number[][]|null}} found
   * @param {ImageBitmap} picture the one that was looked at
   */
  draw(found, picture) {
    this.pen.drawImage(picture, 0, 0, this.canvas.width, this.canvas.height);
    const pose = found.pose?.map((point) => (visible(point) ? point : null));
    if (pose) this.#bones(pose, SHOULDERS, MIDDLE, 5);
    for (const side of ["left", "right"]) {
      const hand = found[`${side}_hand`];
      if (pose) {
        this.#bones(pose, ARMS[side], this.colour[side], 7);
        this.#dots(ARMS[side].flat().map((joint) => pose[joint]), 6);
      }
      if (!hand) continue;
      if (pose?.[WRIST[side]]) this.#bones([pose[WRIST[side]], hand[0]], [[0, 1]], this.colour[side], 5);
      this.#bones(hand, HAND, this.colour[side], 4.5);
      this.#dots(hand, 4);
    }
  }

  #bones(points, bones, colour, width) {
    const path = new Path2D();
    for (const [from, to] of bones) {
      if (!points[from] || !points[to]) continue;
      path.moveTo(...this.#at(points[from]));
      path.lineTo(...this.#at(points[to]));
    }
    this.pen.lineCap = "round";
    // A dark edge first, so that the line is seen on any picture.
    for (const [stroke, extra] of [["rgb(6 14 12 / 55%)", 4], [colour, 0]]) {
      this.pen.strokeStyle = stroke;
      this.pen.lineWidth = width + extra;
      this.pen.stroke(path);
    }
  }

  #dots(points, radius) {
    this.pen.fillStyle = MIDDLE;
    for (const point of points) {
      if (!point) continue;
      this.pen.beginPath();
      this.pen.arc(...this.#at(point), radius, 0, 2 * Math.PI);
      this.pen.fill();
    }
  }

  #at([x, y]) {
    return [x * this.canvas.width, y * this.canvas.height];
  }
}

function visible(point) {
  return point && Number.isFinite(point[0]) && (point[3] === undefined || point[3] >= MIN_VISIBILITY);
}
