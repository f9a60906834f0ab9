// Reads a document as reports/page/packing.py writes it.

async function unpack(text) {
  const raw = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"));
  return decode(new Uint8Array(await new Response(stream).arrayBuffer()));
}

function decode(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const frame = head.frame;
  let place = 4 + length;

  function column() {
    const values = new Int32Array(frame.points);
    let value = 0;
    for (let point = 0; point < frame.points; point++) {
      let step = 0, scale = 1, byte;
      do {
        byte = bytes[place++];
        step += (byte & 127) * scale; // Shifts would end at 32 bits.
        scale *= 128;
      } while (byte & 128);
      value += step % 2 ? -(step + 1) / 2 : step / 2;
      values[point] = value;
    }
    return values;
  }

  const columns = (names) => Object.fromEntries(names.map((name) => [name, column()]));
  frame.fleet = columns(frame.fleet);
  for (const group of ["servers", "edges"]) {
    for (const key of Object.keys(frame[group])) frame[group][key] = columns(frame[group][key]);
  }
  return head;
}
