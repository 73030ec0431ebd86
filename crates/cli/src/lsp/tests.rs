//! Dialogues of a client and the server.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::server::Server;
use super::wire::{self, Incoming};
use crate::settings::Settings;

const URI: &str = "file:///nowhere/at/all/Dockerfile";

/// What a client says, one after the other.
#[derive(Default)]
struct Client {
    said: Vec<Incoming>,
    number: i64,
}

impl Client {
    /// One that said `initialize` with that besides.
    fn new(capabilities: &Value, more: &Value) -> Self {
        let mut client = Self::default();
        let mut params = json!({"processId": null, "rootUri": null, "capabilities": capabilities});
        if let (Value::Object(params), Value::Object(more)) = (&mut params, more) {
            params.extend(more.clone());
        }
        client.request("initialize", &params);
        client.notify("initialized", &json!({}));
        client
    }

    /// The same with a document open.
    fn with(text: &str) -> Self {
        let mut client = Self::new(&json!({}), &json!({}));
        client.open(URI, text);
        client
    }

    fn open(&mut self, uri: &str, text: &str) {
        let document = json!({"uri": uri, "languageId": "dockerfile", "version": 1, "text": text});
        self.notify("textDocument/didOpen", &json!({"textDocument": document}));
    }

    fn body(&mut self, body: &str) {
        self.said.push(Incoming::Body(body.as_bytes().to_vec()));
    }

    fn notify(&mut self, method: &str, params: &Value) {
        self.body(&json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string());
    }

    /// The number of the request.
    fn request(&mut self, method: &str, params: &Value) -> i64 {
        self.number += 1;
        let id = self.number;
        self.body(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
        id
    }

    /// A request about a line and a character of the document, and more.
    fn at(&mut self, method: &str, (line, character): (u32, u32), more: &Value) -> i64 {
        let position = json!({"line": line, "character": character});
        let mut params = json!({"textDocument": {"uri": URI}, "position": position});
        if let (Value::Object(params), Value::Object(more)) = (&mut params, more) {
            params.extend(more.clone());
        }
        self.request(method, &params)
    }

    /// All that the server says.
    fn talk(self) -> Heard {
        let settings = Settings::for_tests();
        let mut out = Vec::new();
        let mut server = Server::new(&settings, &mut out);
        for incoming in self.said {
            if !server.take(incoming).unwrap() {
                break;
            }
            server.publish().unwrap();
        }
        let mut reader = out.as_slice();
        let mut heard = Vec::new();
        while let Some(Incoming::Body(body)) = wire::read(&mut reader).unwrap() {
            heard.push(serde_json::from_slice(&body).unwrap());
        }
        Heard(heard)
    }
}

#[derive(Debug)]
struct Heard(Vec<Value>);

impl Heard {
    fn answer(&self, id: i64) -> &Value {
        let found = self
            .0
            .iter()
            .find(|each| each["id"] == id && each.get("method").is_none());
        found.unwrap_or_else(|| panic!("no answer to {id}: {self:?}"))
    }

    fn result(&self, id: i64) -> &Value {
        let answer = self.answer(id);
        answer.get("result").unwrap_or_else(|| panic!("{answer}"))
    }

    fn error(&self, id: i64) -> i64 {
        self.answer(id)["error"]["code"]
            .as_i64()
            .unwrap_or_else(|| panic!("{}", self.answer(id)))
    }

    /// The diagnostics that were published last.
    fn diagnostics(&self) -> &Vec<Value> {
        let published = self
            .0
            .iter()
            .rev()
            .find(|each| each["method"] == "textDocument/publishDiagnostics");
        published.unwrap()["params"]["diagnostics"].as_array().unwrap()
    }

    fn codes(&self) -> Vec<&str> {
        self.diagnostics()
            .iter()
            .map(|each| each["code"].as_str().unwrap())
            .collect()
    }
}

fn range(line: u32, from: u32, to: u32) -> Value {
    json!({"start": {"line": line, "character": from}, "end": {"line": line, "character": to}})
}

#[test]
fn it_lives_as_the_protocol_wants() {
    let mut client = Client::default();
    let early = client.request("textDocument/hover", &json!({}));
    let first = client.request(
        "initialize",
        &json!({"capabilities": {"general": {"positionEncodings": ["utf-8"]}}}),
    );
    let again = client.request("initialize", &json!({"capabilities": {}}));
    let unknown = client.request("textDocument/nothing", &json!({}));
    client.notify("$/nothing", &json!({}));
    let down = client.request("shutdown", &Value::Null);
    let late = client.request("textDocument/hover", &json!({}));
    client.notify("exit", &Value::Null);
    let never = client.request("shutdown", &Value::Null);
    let heard = client.talk();
    assert_eq!(heard.error(early), -32002);
    assert_eq!(heard.result(first)["capabilities"]["positionEncoding"], "utf-8");
    assert_eq!(heard.error(again), -32600);
    assert_eq!(heard.error(unknown), -32601);
    assert_eq!(heard.result(down), &Value::Null);
    assert_eq!(heard.error(late), -32600);
    assert!(heard.0.iter().all(|each| each["id"] != never));
}

#[test]
fn what_is_malformed_is_said_and_it_goes_on() {
    let mut client = Client::with("FROM scratch\n");
    client.body("{");
    client.body("\"\"");
    client.body("{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"x\"}");
    client.said.push(Incoming::Malformed("not a header".to_owned()));
    client.notify("textDocument/didChange", &json!({"textDocument": {"uri": URI}}));
    client.notify(
        "textDocument/didChange",
        &json!({"textDocument": {"uri": "file:///other"}, "contentChanges": []}),
    );
    client.notify("textDocument/didOpen", &json!([]));
    let wrong = client.request(
        "textDocument/hover",
        &json!({"textDocument": {"uri": URI}, "position": 3}),
    );
    let negative = client.at(
        "textDocument/hover",
        (0, 0),
        &json!({"position": {"line": -1, "character": 0}}),
    );
    let closed = client.request("textDocument/hover", &json!({"textDocument": {"uri": "file:///other"}}));
    let far = client.at("textDocument/hover", (u32::MAX, u32::MAX), &json!({}));
    let good = client.at("textDocument/hover", (0, 1), &json!({}));
    let heard = client.talk();
    let errors = heard
        .0
        .iter()
        .filter(|each| each["id"].is_null() && each.get("error").is_some());
    assert_eq!(errors.count(), 4);
    let logged = heard.0.iter().filter(|each| each["method"] == "window/logMessage");
    assert_eq!(logged.count(), 3);
    assert_eq!([wrong, negative, closed].map(|id| heard.error(id)), [-32602; 3]);
    assert!(heard.result(far).is_null());
    assert!(
        heard.result(good)["contents"]["value"]
            .as_str()
            .unwrap()
            .contains("Begins a stage")
    );
}

#[test]
fn findings_are_published_with_their_places() {
    let mut client = Client::new(
        &json!({"textDocument": {"publishDiagnostics": {"relatedInformation": true, "tagSupport": {"valueSet": [1, 2]}}}}),
        &json!({}),
    );
    client.open(
        URI,
        "FROM debian:12\nLABEL a=\"𝄞\" b c\nMAINTAINER me\nCMD [\"a\"]\nCMD [\"b\"]\n",
    );
    let heard = client.talk();
    let all = heard.diagnostics();
    let found = |code: &str| {
        all.iter()
            .find(|each| each["code"] == code)
            .unwrap_or_else(|| panic!("{code}: {all:?}"))
    };
    assert_eq!(found("DL1000")["severity"], 1);
    assert_eq!(found("DL1000")["source"], "kiln");
    // Two code units are one character of 𝄞.
    assert_eq!(found("DL1000")["range"]["start"], json!({"line": 1, "character": 13}));
    assert_eq!(found("DL4000")["tags"], json!([2]));
    let related = &found("MultipleInstructionsDisallowed")["relatedInformation"][0];
    assert_eq!(related["location"]["uri"], URI);
    assert!(all.iter().all(|each| each.get("codeDescription").is_none()));
    let mut client = Client::with("MAINTAINER me\n");
    client.notify("textDocument/didClose", &json!({"textDocument": {"uri": URI}}));
    let heard = client.talk();
    assert!(heard.diagnostics().is_empty());
    assert!(heard.0.iter().any(|each| each["params"]["version"] == 1));
}

#[test]
fn changes_are_followed() {
    let mut client = Client::with("FROM scratch\nRUNN true\n");
    let change = |version: i64, range: Value, text: &str| {
        json!({
            "textDocument": {"uri": URI, "version": version},
            "contentChanges": [{"range": range, "text": text}],
        })
    };
    client.notify("textDocument/didChange", &change(2, range(1, 3, 4), ""));
    let heard = client.talk();
    let first = &heard.0[1]["params"];
    assert_eq!(
        (&first["version"], &first["diagnostics"][0]["code"]),
        (&json!(1), &json!("DL1000"))
    );
    assert!(!heard.codes().contains(&"DL1000"), "{heard:?}");
}

#[test]
fn large_texts_are_kept_and_not_looked_at() {
    let text = format!("FROM scratch\n{}", "RUN x\n".repeat(1 << 20));
    let mut client = Client::with(&text);
    let hover = client.at("textDocument/hover", (0, 1), &json!({}));
    let completion = client.at("textDocument/completion", (0, 1), &json!({}));
    let heard = client.talk();
    assert_eq!(heard.codes(), ["TooManyInstructions"]);
    assert!(heard.result(hover).is_null());
    assert!(heard.result(completion).is_null());
}

#[test]
fn of_very_many_findings_the_first_are_published() {
    let heard = Client::with(&format!("FROM a:1\n{}", "RUN cd /x\n".repeat(1_500))).talk();
    let last = heard.diagnostics().last().unwrap();
    assert_eq!(heard.diagnostics().len(), 1_001);
    assert!(
        last["message"]
            .as_str()
            .unwrap()
            .ends_with("more findings are not shown"),
        "{last}"
    );
}

const STAGES: &str = "\
ARG V=1
# one is first
FROM debian:$V AS one
ARG V
ENV W=w$V
FROM one AS two
COPY --from=one /a $W/
COPY --from=0 /b /
";

#[test]
fn names_lead_to_one_another() {
    let mut client = Client::with(STAGES);
    let stage = client.at("textDocument/definition", (6, 13), &json!({}));
    let global = client.at("textDocument/definition", (3, 5), &json!({}));
    let inherited = client.at("textDocument/definition", (6, 21), &json!({}));
    let nothing = client.at("textDocument/definition", (6, 0), &json!({}));
    let all = client.at(
        "textDocument/references",
        (2, 18),
        &json!({"context": {"includeDeclaration": true}}),
    );
    let uses = client.at(
        "textDocument/references",
        (0, 5),
        &json!({"context": {"includeDeclaration": false}}),
    );
    let lit = client.at("textDocument/documentHighlight", (0, 5), &json!({}));
    let heard = client.talk();
    assert_eq!(heard.result(stage), &json!({"uri": URI, "range": range(2, 18, 21)}));
    assert_eq!(heard.result(global)["range"], range(0, 4, 5));
    assert_eq!(heard.result(inherited)["range"], range(4, 4, 5));
    assert!(heard.result(nothing).is_null());
    let ranges = |id: i64| -> Vec<Value> {
        let found = heard.result(id).as_array().unwrap();
        found.iter().map(|each| each["range"].clone()).collect()
    };
    assert_eq!(ranges(uses), [range(2, 13, 14), range(4, 8, 9)]);
    let stage = [range(2, 18, 21), range(5, 5, 8), range(6, 12, 15), range(7, 12, 13)];
    assert_eq!(ranges(all), stage);
    assert_eq!(
        ranges(lit),
        [range(0, 4, 5), range(2, 13, 14), range(3, 4, 5), range(4, 8, 9)]
    );
}

#[test]
fn stages_get_other_names() {
    let mut client = Client::with(STAGES);
    let prepared = client.at("textDocument/prepareRename", (5, 6), &json!({}));
    let number = client.at("textDocument/prepareRename", (7, 12), &json!({}));
    let variable = client.at("textDocument/prepareRename", (0, 4), &json!({}));
    let renamed = client.at("textDocument/rename", (5, 6), &json!({"newName": "base-1"}));
    let taken = client.at("textDocument/rename", (5, 6), &json!({"newName": "two"}));
    let wrong = client.at("textDocument/rename", (5, 6), &json!({"newName": "a b"}));
    let nothing = client.at("textDocument/rename", (0, 0), &json!({"newName": "x"}));
    let heard = client.talk();
    assert_eq!(
        heard.result(prepared),
        &json!({"range": range(5, 5, 8), "placeholder": "one"})
    );
    assert!(heard.result(number).is_null() && heard.result(variable).is_null());
    let edits = heard.result(renamed)["changes"][URI].as_array().unwrap();
    let ranges: Vec<&Value> = edits.iter().map(|edit| &edit["range"]).collect();
    assert_eq!(ranges, [&range(2, 18, 21), &range(5, 5, 8), &range(6, 12, 15)]);
    assert!(edits.iter().all(|edit| edit["newText"] == "base-1"));
    assert_eq!([taken, wrong, nothing].map(|id| heard.error(id)), [-32803; 3]);
}

#[test]
fn hovers_say_what_things_are() {
    let mut client = Client::with(STAGES);
    let places = [(4, 1), (4, 9), (4, 5), (2, 19), (6, 6), (6, 20)];
    let asked = places.map(|place| client.at("textDocument/hover", place, &json!({})));
    let heard = client.talk();
    let text = asked.map(|id| heard.result(id)["contents"]["value"].as_str().unwrap_or_default());
    for (text, part) in text.into_iter().zip([
        "ENV KEY=VALUE",
        "`V=1`, from line 1; `--build-arg V=…` sets it",
        "`W=w1`, from line 5",
        "stage `one` (number 0): `FROM debian:$V AS one`\n\nis first\n\n2 instructions and used in 3 places",
        "`--from=STAGE|IMAGE|CONTEXT`",
        "`W=w1`, from line 5",
    ]) {
        assert!(text.contains(part), "{text:?} without {part:?}");
    }
}

#[test]
fn fixes_are_offered_one_by_one_and_all_at_once() {
    let text = "FROM debian:12 as x\nADD a /b\nENV a b\nCMD run it\n";
    let ask = |only: Option<Value>, line: u32| {
        let mut client = Client::with(text);
        let mut context = json!({"diagnostics": []});
        if let Some(only) = only {
            context["only"] = only;
        }
        let params = json!({"textDocument": {"uri": URI}, "range": range(line, 0, 99), "context": context});
        let id = client.request("textDocument/codeAction", &params);
        client.talk().result(id).as_array().unwrap().clone()
    };
    let kinds = |actions: &[Value]| -> Vec<String> {
        actions
            .iter()
            .map(|action| action["kind"].as_str().unwrap().to_owned())
            .collect()
    };
    let actions = ask(None, 2);
    assert_eq!(kinds(&actions), ["quickfix", "source.fixAll"]);
    let fix = &actions[0];
    assert_eq!(
        (&fix["isPreferred"], &fix["diagnostics"][0]["code"]),
        (&json!(true), &json!("LegacyKeyValueFormat"))
    );
    assert_eq!(
        fix["edit"]["changes"][URI][0],
        json!({"range": range(2, 5, 7), "newText": "=b"})
    );
    let unsafe_one = ask(Some(json!(["quickfix"])), 3);
    assert!(unsafe_one.iter().any(
        |fix| fix["isPreferred"] == false && fix["title"].as_str().unwrap().ends_with("(may change what is built)")
    ));
    let all = ask(Some(json!(["source"])), 3);
    assert_eq!(kinds(&all), ["source.fixAll"]);
    let edit = &all[0]["edit"]["changes"][URI][0];
    let new = edit["newText"].as_str().unwrap();
    assert!(
        new.contains("ENV a=b\n") && new.contains("AS x") && !new.contains("CMD"),
        "{edit}"
    );
    assert!(ask(Some(json!(["refactor"])), 2).is_empty());
    assert!(ask(Some(json!(["quick"])), 2).is_empty());
}

#[test]
fn formatting_touches_what_it_changes() {
    let params = json!({"textDocument": {"uri": URI}, "options": {"tabSize": 4, "insertSpaces": true}});
    let format = |text: &str| {
        let mut client = Client::with(text);
        let id = client.request("textDocument/formatting", &params);
        client.talk().result(id).clone()
    };
    let lines = json!({"start": {"line": 1, "character": 0}, "end": {"line": 2, "character": 0}});
    assert_eq!(
        format("FROM a\nrun  x\nUSER b\n"),
        json!([{"range": lines, "newText": "RUN x\n"}])
    );
    assert_eq!(format("FROM a\n"), json!([]));
    assert_eq!(format("FROM a\nRUNN x\n"), json!([]));
}

#[test]
fn symbols_and_folds_are_those_of_the_stages() {
    let text = "ARG A\nFROM a AS one\nRUN <<EOF\nx\nEOF\nENV B=1 \\\n  C=2\nFROM b\n";
    let ask = |capabilities: &Value, method: &str| {
        let mut client = Client::new(capabilities, &json!({}));
        client.open(URI, text);
        let id = client.request(method, &json!({"textDocument": {"uri": URI}}));
        client.talk().result(id).as_array().unwrap().clone()
    };
    let tree = json!({"textDocument": {"documentSymbol": {"hierarchicalDocumentSymbolSupport": true}}});
    let symbols = ask(&tree, "textDocument/documentSymbol");
    let names: Vec<&Value> = symbols.iter().map(|symbol| &symbol["name"]).collect();
    assert_eq!(names, ["ARG", "one", "b"]);
    assert_eq!(symbols[1]["children"][1]["detail"], "B=1   C=2");
    assert_eq!(symbols[1]["selectionRange"], range(1, 10, 13));
    let flat = ask(&json!({}), "textDocument/documentSymbol");
    assert_eq!(flat.len(), 5);
    assert_eq!(flat[3]["containerName"], "one");
    let folds = ask(&json!({}), "textDocument/foldingRange");
    let lines: Vec<_> = folds
        .iter()
        .map(|fold| (fold["startLine"].as_u64(), fold["endLine"].as_u64()))
        .collect();
    assert_eq!(lines, [(Some(1), Some(6)), (Some(2), Some(4)), (Some(5), Some(6))]);
}

#[test]
fn files_of_the_workspace_count() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let write = |path: &str, text: &str| fs::write(root.join(path), text).unwrap();
    fs::create_dir_all(root.join("app/src")).unwrap();
    write(".hadolint.yaml", "ignored: [DL3007]\noverride:\n  info: [DL3006]\n");
    write("app/src/main.c", "");
    write("app/.dockerignore", "secret*\n");
    write("app/secret.key", "");
    write("app/part.inc", "FROM busybox\nRUNN x\n");
    let uri = |path: &Path| super::uri::of(path);
    let folder = json!({"workspaceFolders": [{"uri": uri(root), "name": "x"}]});
    let mut client = Client::new(
        &json!({"textDocument": {"publishDiagnostics": {"relatedInformation": true}}}),
        &folder,
    );
    let text = "# kiln=include\nFROM a:latest\nINCLUDE part.inc\nFROM b\nCOPY s";
    let file = uri(&root.join("app/Dockerfile"));
    client.open(&file, text);
    let place = json!({"textDocument": {"uri": file}, "position": {"line": 4, "character": 6}});
    let id = client.request("textDocument/completion", &place);
    let heard = client.talk();
    let labels: Vec<&Value> = heard.result(id)["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["label"])
        .collect();
    assert_eq!(labels, ["src/"]);
    let of = |code: &str| heard.diagnostics().iter().find(|each| each["code"] == code);
    assert!(of("DL3007").is_none());
    assert_eq!(of("DL3006").unwrap()["severity"], 3);
    let included = heard
        .diagnostics()
        .iter()
        .find(|each| each.get("relatedInformation").is_some());
    let included = included.unwrap_or_else(|| panic!("{heard:?}"));
    assert_eq!(included["range"], range(2, 0, 16));
    let place = &included["relatedInformation"][0]["location"];
    assert_eq!(place["uri"], uri(&root.join("app/part.inc")));
    // What cannot be read is what `kiln lint` says it is.
    let mut client = Client::new(&json!({}), &folder);
    client.open(&file, "# kiln=include\nFROM a:1\nINCLUDE prt.inc\n");
    let heard = client.talk();
    let found = heard
        .diagnostics()
        .iter()
        .find(|each| each["range"]["start"]["line"] == 2);
    let found = found.unwrap_or_else(|| panic!("{heard:?}"));
    assert_eq!(found["code"], "DL1000");
    assert!(
        found["message"].as_str().unwrap().ends_with("/app/part.inc`?"),
        "{found}"
    );
}

#[test]
fn wrong_settings_are_said_once() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".hadolint.yaml"), "ignored: {").unwrap();
    let root = super::uri::of(directory.path());
    let watches = json!({"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": true}}});
    let mut client = Client::new(&watches, &json!({"rootUri": root}));
    client.open(URI, "FROM a\n");
    client.notify("textDocument/didSave", &json!({"textDocument": {"uri": URI}}));
    let heard = client.talk();
    let shown = heard.0.iter().filter(|each| each["method"] == "window/showMessage");
    assert_eq!(shown.count(), 1, "{heard:?}");
    assert_eq!(heard.codes(), ["DL3006"]);
    assert!(heard.0.iter().any(|each| each["method"] == "client/registerCapability"));
}
