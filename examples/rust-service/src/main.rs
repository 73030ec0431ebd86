//! A service with dependencies.

use serde_json::json;
use tiny_http::{Response, Server};

const GREETING: &str = "hello from Rust, first edition";

fn main() {
    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".into());
    let server = Server::http(format!("127.0.0.1:{port}")).expect("the port is free");
    for request in server.incoming_requests() {
        let answer = json!({ "greeting": GREETING, "path": request.url() });
        // A client that went away is no concern of ours.
        let _ = request.respond(Response::from_string(answer.to_string()));
    }
}
