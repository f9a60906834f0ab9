// A small shop that knows nothing of windtunnel: node app.js --port 8080
const http = require("http");
const port = Number(process.argv[process.argv.indexOf("--port") + 1]);

const server = http.createServer((request, response) => {
  if (request.url === "/health") {
    response.end("ok\n");
  } else if (request.url === "/") {
    response.end("<h1>The shop</h1>\n");
  } else if (request.url === "/search") {
    setTimeout(() => response.end("3 results\n"), 20);
  } else {
    response.writeHead(404).end();
  }
});

server.listen(port, () => console.log(`the shop listens on ${port}`));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
