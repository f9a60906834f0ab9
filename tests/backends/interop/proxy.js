// A proxy of the classic design: node proxy.js PORT REDIS_PORT
// Each request goes to the server that RPOPLPUSH of serving_servers onto itself turns up.
"use strict";
const http = require("http");
const { Redis } = require("./redis.js");

const [port, redisPort] = process.argv.slice(2);
const redis = new Redis(Number(redisPort));

http
  .createServer(async (request, response) => {
    const address = await redis.call("RPOPLPUSH", "serving_servers", "serving_servers");
    if (address === null) {
      response.writeHead(503).end();
      return;
    }
    const { hostname, port } = new URL(address);
    const { method, url: path, headers } = request;
    const upstream = http.request({ hostname, port: port || 80, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    upstream.on("error", () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
    request.pipe(upstream);
  })
  .listen(Number(port), "127.0.0.1", () => console.log("up"));
