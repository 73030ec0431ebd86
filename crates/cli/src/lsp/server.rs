//! The life of a server: what is asked, in which order, and what it answers.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};

use super::document::{Change, Document};
use super::findings::{self, Found, Shows};
use super::message::{Failed, Message, notification, params, response};
use super::position::Encoding;
use super::wire::{self, Incoming};
use super::workspace::Workspace;
use super::{actions, completion, hover, navigation, symbols};
use crate::settings::Settings;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Running,
    /// Asked to shut down.
    Down,
}

/// What the client said of itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Client {
    pub(super) encoding: Encoding,
    pub(super) shows: Shows,
    /// Whether texts may be Markdown.
    pub(super) markdown: bool,
    /// Whether symbols may have others within.
    pub(super) tree: bool,
    /// Whether it tells of changed files when it is asked to.
    watches: bool,
}

/// A server and its client.
pub(super) struct Server<'a> {
    pub(super) settings: &'a Settings,
    pub(super) client: Client,
    pub(super) workspace: Workspace,
    documents: BTreeMap<String, Document>,
    state: State,
    out: &'a mut dyn Write,
    /// What was last said of the settings, so that it is said once.
    complained: Option<String>,
}

/// What answers a request about a document.
type Answer = fn(&Server<'_>, &Document, &Value) -> Result<Value, Failed>;

/// The document that a request is about.
#[derive(Debug, Deserialize)]
struct OfDocument {
    uri: String,
}

impl<'a> Server<'a> {
    pub(super) fn new(settings: &'a Settings, out: &'a mut dyn Write) -> Self {
        Self {
            settings,
            client: Client::default(),
            workspace: Workspace::default(),
            documents: BTreeMap::new(),
            state: State::New,
            out,
            complained: None,
        }
    }

    /// Whether it was asked to shut down, so that its end is no failure.
    pub(super) fn is_down(&self) -> bool {
        self.state == State::Down
    }

    /// Takes what came in; whether more is to come.
    pub(super) fn take(&mut self, incoming: Incoming) -> io::Result<bool> {
        let message = match incoming {
            Incoming::Body(body) => Message::parse(&body),
            Incoming::Malformed(why) => Err((Value::Null, Failed::parse(why))),
        };
        match message {
            Ok(Message::Request { id, method, params }) => {
                let result = self.request(&method, &params);
                self.send(&response(&id, result))?;
                if method == "initialize" && self.state == State::Running {
                    self.watch()?;
                }
            }
            Ok(Message::Notification { method, .. }) if method == "exit" => return Ok(false),
            Ok(Message::Notification { method, params }) => self.notification(&method, &params)?,
            Ok(Message::Response) => {}
            Err((id, failed)) => self.send(&response(&id, Err(failed)))?,
        }
        Ok(true)
    }

    fn send(&mut self, message: &Value) -> io::Result<()> {
        wire::write(self.out, message)
    }

    fn request(&mut self, method: &str, values: &Value) -> Result<Value, Failed> {
        match (self.state, method) {
            (State::New, "initialize") => return self.initialize(values),
            (State::New, _) => return Err(Failed::not_initialized()),
            (State::Running, "initialize") => return Err(Failed::invalid_request("`initialize` came already")),
            (State::Running, "shutdown") => {
                self.state = State::Down;
                return Ok(Value::Null);
            }
            (State::Running, _) => {}
            (State::Down, _) => return Err(Failed::invalid_request("the server was shut down")),
        }
        let answer: Answer = match method {
            "textDocument/hover" => hover::hover,
            "textDocument/completion" => completion::completion,
            "textDocument/definition" => navigation::definition,
            "textDocument/references" => navigation::references,
            "textDocument/documentHighlight" => navigation::highlights,
            "textDocument/prepareRename" => navigation::prepare_rename,
            "textDocument/rename" => navigation::rename,
            "textDocument/codeAction" => actions::actions,
            "textDocument/formatting" => actions::formatting,
            "textDocument/documentSymbol" => |server, document, _| Ok(symbols::symbols(server, document)),
            "textDocument/foldingRange" => |_, document, _| Ok(symbols::folds(document)),
            _ => return Err(Failed::no_method(method)),
        };
        let OfDocument { uri } = params(values.get("textDocument").unwrap_or(&Value::Null))?;
        if method == "textDocument/codeAction" {
            self.look(&uri);
        }
        let document = self
            .documents
            .get(&uri)
            .ok_or_else(|| Failed::invalid_params(format!("{uri} is not open")))?;
        answer(self, document, values)
    }

    fn initialize(&mut self, values: &Value) -> Result<Value, Failed> {
        let offered = values.get("capabilities").unwrap_or(&Value::Null);
        let says = |path: &str| offered.pointer(path).and_then(Value::as_bool).unwrap_or(false);
        let lists = |path: &str, word: &str| {
            let list = offered.pointer(path).and_then(Value::as_array);
            list.is_some_and(|list| list.iter().any(|each| each == word))
        };
        let utf8 = lists("/general/positionEncodings", Encoding::Utf8.name());
        self.client = Client {
            encoding: if utf8 { Encoding::Utf8 } else { Encoding::Utf16 },
            shows: Shows {
                related: says("/textDocument/publishDiagnostics/relatedInformation"),
                tags: offered
                    .pointer("/textDocument/publishDiagnostics/tagSupport")
                    .is_some_and(Value::is_object),
            },
            markdown: lists("/textDocument/hover/contentFormat", "markdown"),
            tree: says("/textDocument/documentSymbol/hierarchicalDocumentSymbolSupport"),
            watches: says("/workspace/didChangeWatchedFiles/dynamicRegistration"),
        };
        self.workspace = Workspace::of(values)?;
        self.state = State::Running;
        Ok(json!({
            "capabilities": capabilities(self.client.encoding),
            "serverInfo": {"name": "kiln", "version": env!("CARGO_PKG_VERSION")},
        }))
    }

    /// Asks to be told when files change that findings depend on.
    fn watch(&mut self) -> io::Result<()> {
        if !self.client.watches {
            return Ok(());
        }
        let globs = ["**/.hadolint.{yaml,yml}", "**/*.dockerignore"].map(|glob| json!({"globPattern": glob}));
        let registration = json!({
            "id": "watch",
            "method": "workspace/didChangeWatchedFiles",
            "registerOptions": {"watchers": globs},
        });
        let asked = json!({
            "jsonrpc": "2.0",
            "id": "watch",
            "method": "client/registerCapability",
            "params": {"registrations": [registration]},
        });
        self.send(&asked)
    }

    fn notification(&mut self, method: &str, values: &Value) -> io::Result<()> {
        if self.state != State::Running {
            return Ok(());
        }
        let outcome = match method {
            "textDocument/didOpen" => self.open(values),
            "textDocument/didChange" => self.change(values),
            "textDocument/didClose" => return self.close(values),
            "textDocument/didSave" | "workspace/didChangeWatchedFiles" | "workspace/didChangeConfiguration" => {
                self.documents.values_mut().for_each(Document::look_again);
                Ok(())
            }
            _ => Ok(()),
        };
        match outcome {
            Ok(()) => Ok(()),
            // A notification has no answer; the client's log has the reason.
            Err(failed) => self.log(&format!("{method}: {}", failed.message)),
        }
    }

    fn log(&mut self, text: &str) -> io::Result<()> {
        self.send(&notification("window/logMessage", &json!({"type": 1, "message": text})))
    }

    fn open(&mut self, values: &Value) -> Result<(), Failed> {
        #[derive(Deserialize)]
        struct Item {
            uri: String,
            version: Option<i64>,
            text: String,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Opened {
            text_document: Item,
        }
        let Opened { text_document: item } = params(values)?;
        let document = Document::new(item.uri, item.version, item.text, self.client.encoding);
        self.documents.insert(document.uri.clone(), document);
        Ok(())
    }

    fn change(&mut self, values: &Value) -> Result<(), Failed> {
        #[derive(Deserialize)]
        struct Item {
            uri: String,
            version: Option<i64>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Changed {
            text_document: Item,
            content_changes: Vec<Change>,
        }
        let changed: Changed = params(values)?;
        let Item { uri, version } = changed.text_document;
        let document = self
            .documents
            .get_mut(&uri)
            .ok_or_else(|| Failed::invalid_params(format!("{uri} is not open")))?;
        document.change(version, changed.content_changes, self.client.encoding);
        Ok(())
    }

    fn close(&mut self, values: &Value) -> io::Result<()> {
        let Ok(OfDocument { uri }) = params(values.get("textDocument").unwrap_or(&Value::Null)) else {
            return Ok(());
        };
        if self.documents.remove(&uri).is_some() {
            let nothing = json!({"uri": uri, "diagnostics": []});
            self.send(&notification("textDocument/publishDiagnostics", &nothing))?;
        }
        Ok(())
    }

    /// Tells what was found in documents that changed. Call it when nothing more is waiting to be read.
    pub(super) fn publish(&mut self) -> io::Result<()> {
        let changed = self.documents.values().filter(|document| document.unpublished);
        let uris: Vec<String> = changed.map(|document| document.uri.clone()).collect();
        for uri in uris {
            if let Some(complaint) = self.look(&uri) {
                let shown = json!({"type": 2, "message": complaint});
                self.send(&notification("window/showMessage", &shown))?;
            }
            let shows = self.client.shows;
            let Some(document) = self.documents.get_mut(&uri) else {
                continue;
            };
            document.unpublished = false;
            let found = document.found.get_or_init(Found::default);
            let diagnostics: Vec<Value> = found.0.iter().map(|item| item.diagnostic(shows)).collect();
            let mut said = json!({"uri": uri, "diagnostics": diagnostics});
            if let Some(version) = document.version {
                said["version"] = json!(version);
            }
            self.send(&notification("textDocument/publishDiagnostics", &said))?;
        }
        Ok(())
    }

    /// Looks at a document, unless nothing changed since it was looked at; what is wrong with the settings, if that is new.
    fn look(&mut self, uri: &str) -> Option<String> {
        let document = self.documents.get(uri)?;
        if document.found.get().is_some() {
            return None;
        }
        let (config, complaint) = self.workspace.rules(document.path.as_deref(), self.settings);
        let context = self.context_of(document);
        let found = findings::find(
            document,
            context.as_deref(),
            &config,
            self.settings,
            self.client.encoding,
        );
        let _fresh = document.found.set(found);
        let new = complaint.is_some() && complaint != self.complained;
        self.complained.clone_from(&complaint);
        complaint.filter(|_| new)
    }

    /// The build context of a document.
    pub(super) fn context_of(&self, document: &Document) -> Option<PathBuf> {
        self.workspace.context_of(document.path.as_deref())
    }
}

fn capabilities(encoding: Encoding) -> Value {
    json!({
        "positionEncoding": encoding.name(),
        "textDocumentSync": {"openClose": true, "change": 2, "save": {"includeText": false}},
        "hoverProvider": true,
        "completionProvider": {"triggerCharacters": ["$", "{", "-", "=", ",", "/"]},
        "definitionProvider": true,
        "referencesProvider": true,
        "documentHighlightProvider": true,
        "renameProvider": {"prepareProvider": true},
        "codeActionProvider": {"codeActionKinds": [actions::QUICK_FIX, actions::FIX_ALL]},
        "documentFormattingProvider": true,
        "documentSymbolProvider": true,
        "foldingRangeProvider": true,
    })
}
