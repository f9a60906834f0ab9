// A Redis client as small as it can be: commands go out as arrays of bulk strings, replies come back in order.
"use strict";
const net = require("net");

class Redis {
  constructor(port) {
    this.waiting = [];
    this.data = Buffer.alloc(0);
    this.socket = net.connect(port, "127.0.0.1");
    this.socket.on("data", (piece) => {
      this.data = Buffer.concat([this.data, piece]);
      for (let reply; (reply = read(this.data, 0)); ) {
        this.data = this.data.subarray(reply.end);
        const { resolve, reject } = this.waiting.shift();
        reply.value instanceof Error ? reject(reply.value) : resolve(reply.value);
      }
    });
  }

  call(...words) {
    const parts = words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`);
    this.socket.write(`*${words.length}\r\n${parts.join("")}`);
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }
}

// The reply that begins at a place in the data, and where it ends; null while it is incomplete.
function read(data, start) {
  const line = data.indexOf("\r\n", start);
  if (line < 0) return null;
  const text = data.toString("utf8", start + 1, line);
  let end = line + 2;
  switch (String.fromCharCode(data[start])) {
    case "+":
      return { value: text, end };
    case "-":
      return { value: new Error(text), end };
    case ":":
      return { value: Number(text), end };
    case "$": {
      const length = Number(text);
      if (length < 0) return { value: null, end };
      if (data.length < end + length + 2) return null;
      return { value: data.toString("utf8", end, end + length), end: end + length + 2 };
    }
    case "*": {
      const values = [];
      for (let left = Number(text); left > 0; left--) {
        const item = read(data, end);
        if (!item) return null;
        values.push(item.value);
        end = item.end;
      }
      return { value: values, end };
    }
    default:
      throw new Error(`expected a reply of RESP2, got ${data.toString("utf8", start, line)}`);
  }
}

module.exports = { Redis };
