// Which landmarks are joined when a body is drawn; numbers are MediaPipe's order of pose (33) and hand (21).

const finger = (first) => [[0, first], [first, first + 1], [first + 1, first + 2], [first + 2, first + 3]];

/** [from, to] of a hand: five fingers from the wrist, and the knuckles. */
export const HAND = [1, 5, 9, 13, 17].flatMap(finger).concat([[5, 9], [9, 13], [13, 17]]);

/** Shoulder, elbow, wrist of each arm in a pose. */
export const ARMS = { left: [[11, 13], [13, 15]], right: [[12, 14], [14, 16]] };

/** Between the shoulders. */
export const SHOULDERS = [[11, 12]];

/** Where in a pose the hand of each side begins. */
export const WRIST = { left: 15, right: 16 };
