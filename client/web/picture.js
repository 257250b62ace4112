// A picture as a binary frame of the protocol.

const HEADER_BYTES = 16;
const PICTURE = 16;

/**
 * @param {number} seq its number in the stream
 * @param {number} atS its moment, in seconds on the stream's clock
 * @param {Blob} jpeg
 * @returns {Blob} the message
 */
export function pictureFrame(seq, atS, jpeg) {
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  header.setUint32(0, seq, true);
  header.setUint16(4, PICTURE, true);
  header.setFloat64(8, atS, true);
  return new Blob([header, jpeg]);
}
