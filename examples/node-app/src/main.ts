import express from "express";

const greeting: string = "hello from Node, first edition";

const app = express();
app.get("/", (_request, response) => {
  response.type("text/plain").send(`${greeting}\n`);
});

const server = app.listen(Number(process.env.PORT ?? 8080), "127.0.0.1");
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => server.close(() => process.exit(0)));
}
