// Colours of the page for what is drawn on a canvas.

const NAMES = ["card", "ink", "muted", "line", "trace", "accent", "on-accent", "soft"];

/** The colours in force now; read again when the scheme changes. @returns {Object<string, string>} */
export function palette() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** Call back whenever light turns dark or the reverse. */
export function onScheme(callback) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", callback);
}
