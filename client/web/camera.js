// The webcam: a live picture, and JPEGs of it.

const WIDTH = 640;
const QUALITY = 0.8;

/** Why there is no picture, with what to do about it. */
export class NoCamera extends Error {
  constructor(title, detail) {
    super(detail);
    this.problem = { title, detail };
  }
}

/** One camera shown in a video element. */
export class Camera {
  /**
   * @param {HTMLVideoElement} video
   * @param {function()} lost called when the camera is unplugged or taken away
   */
  constructor(video, lost) {
    this.video = video;
    this.lost = lost;
    this.canvas = document.createElement("canvas");
    this.media = null;
  }

  /** Ask for the camera and show it. Throws NoCamera. */
  async open() {
    if (!navigator.mediaDevices) {
      throw new NoCamera(
        "The browser keeps cameras from this address",
        "Browsers allow cameras on https pages and on http://localhost only. Open the page by one of these.",
      );
    }
    try {
      const wish = { width: { ideal: WIDTH }, height: { ideal: 480 }, frameRate: { ideal: 30 }, facingMode: "user" };
      this.media = await navigator.mediaDevices.getUserMedia({ video: wish, audio: false });
    } catch (error) {
      throw explained(error);
    }
    for (const track of this.media.getTracks()) track.addEventListener("ended", () => this.lost());
    this.video.srcObject = this.media;
    await this.video.play();
    const scale = Math.min(1, WIDTH / this.video.videoWidth);
    this.canvas.width = Math.round(this.video.videoWidth * scale);
    this.canvas.height = Math.round(this.video.videoHeight * scale);
    this.pen = this.canvas.getContext("2d", { alpha: false });
  }

  get aspect() {
    return this.video.videoWidth / this.video.videoHeight;
  }

  /** Call back with the time, in milliseconds, at each new picture until closed. */
  watch(callback) {
    const media = this.media;
    const next = (now) => {
      if (this.media !== media || !media) return;
      callback(now);
      wait(next);
    };
    const wait = (then) => (this.video.requestVideoFrameCallback ?? requestAnimationFrame).call(
      this.video.requestVideoFrameCallback ? this.video : window, then);
    wait(next);
  }

  /** The picture of this moment, to be sent and to be shown. @returns {Promise<{jpeg: Blob, bitmap: ImageBitmap}>} */
  async take() {
    this.pen.drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    const shown = createImageBitmap(this.canvas);
    const jpeg = await new Promise((done) => this.canvas.toBlob(done, "image/jpeg", QUALITY));
    return { jpeg, bitmap: await shown };
  }

  close() {
    for (const track of this.media?.getTracks() ?? []) track.stop();
    this.media = null;
    this.video.srcObject = null;
  }
}

function explained(error) {
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return new NoCamera(
        "The browser was not allowed to use the camera",
        "Click the camera sign beside the address, allow it for this page, and start again. A file works without one.",
      );
    case "NotFoundError":
    case "OverconstrainedError":
      return new NoCamera("No camera was found", "Connect one and start again, or choose a file below.");
    case "NotReadableError":
    case "AbortError":
      return new NoCamera(
        "The camera does not answer",
        "Another program may be using it: close that one, and start again.",
      );
    default:
      return new NoCamera("The camera could not be opened", String(error.message || error.name));
  }
}
