// An app server of the classic design: node app_server.js PORT REDIS_PORT STYLE
// It lists itself, and writes its load each second, without the time of the sample: in the hash request_load (STYLE hash), or as a plain
// string under its bare address (STYLE string). It never takes itself out of the list.
"use strict";
const http = require("http");
const { Redis } = require("./redis.js");

const [port, redisPort, style] = process.argv.slice(2);
const bare = `127.0.0.1:${port}`;
const address = `http://${bare}`;
const redis = new Redis(Number(redisPort));
let requests = 0;

async function report() {
  const count = requests;
  requests = 0;
  if (style === "string") await redis.call("SET", bare, count);
  else await redis.call("HSET", "request_load", address, count);
  await redis.call("HSET", "memory_load", address, 0.25);
}

http
  .createServer((request, response) => {
    requests += 1;
    request.resume();
    request.on("end", () => response.end("hello from node\n"));
  })
  .listen(Number(port), "127.0.0.1", async () => {
    await report();
    // As one that was started twice.
    await redis.call("LPUSH", "serving_servers", address);
    await redis.call("LPUSH", "serving_servers", address);
    setInterval(report, 1000);
    console.log("up");
  });
