// Starts `kiln lsp` for Dockerfiles, and stops it with the window.

const vscode = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

/** @type {LanguageClient | undefined} */
let client;

async function start() {
  const settings = vscode.workspace.getConfiguration("kiln");
  const server = { command: settings.get("path", "kiln"), args: ["lsp"] };
  client = new LanguageClient("kiln", "Kiln", server, {
    documentSelector: [{ language: "dockerfile" }],
    initializationOptions: { context: settings.get("context", null) },
  });
  await client.start();
}

async function restart() {
  await client?.dispose();
  await start();
}

async function activate(context) {
  context.subscriptions.push(
    vscode.commands.registerCommand("kiln.restart", restart),
    vscode.workspace.onDidChangeConfiguration((event) => event.affectsConfiguration("kiln") && restart()),
  );
  await start();
}

async function deactivate() {
  await client?.dispose();
}

module.exports = { activate, deactivate };
