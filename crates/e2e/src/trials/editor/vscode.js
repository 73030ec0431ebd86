// Plays VS Code for the extension: node vscode.js DIRECTORY. Prints what it starts.

const Module = require("node:module");
const path = require("node:path");

const said = { commands: [], servers: [], stopped: 0 };
let changed;

class LanguageClient {
  constructor(id, name, server, options) {
    this.told = { id, name, server, options };
  }
  async start() {
    said.servers.push(this.told);
  }
  async dispose() {
    said.stopped += 1;
  }
}

const values = { path: "/opt/kiln", context: ".." };
const vscode = {
  workspace: {
    getConfiguration: (section) => ({ get: (name, other) => (section === "kiln" ? values[name] : undefined) ?? other }),
    onDidChangeConfiguration: (listener) => ((changed = listener), {}),
  },
  commands: { registerCommand: (name) => (said.commands.push(name), {}) },
};
const load = Module._load;
Module._load = function (name, ...rest) {
  const known = { vscode, "vscode-languageclient/node": { LanguageClient } };
  return known[name] ?? load.call(this, name, ...rest);
};

async function main() {
  const directory = path.resolve(process.argv[2]);
  const manifest = require(path.join(directory, "package.json"));
  const extension = require(path.join(directory, manifest.main));
  const context = { subscriptions: [] };
  await extension.activate(context);
  await changed({ affectsConfiguration: (section) => section === "other" });
  await changed({ affectsConfiguration: (section) => section === "kiln" });
  await extension.deactivate();
  console.log(JSON.stringify({ ...said, subscriptions: context.subscriptions.length }));
}

main();
