//! JSON-RPC 2.0.

use serde::Deserialize;
use serde_json::{Value, json};

/// Why a request has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) code: i32,
    pub(super) message: String,
}

impl Failed {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The body is no JSON.
    pub(super) fn parse(message: impl Into<String>) -> Self {
        Self::new(-32700, message)
    }

    /// It is no request, or none that can be made now.
    pub(super) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(-32600, message)
    }

    /// There is no such method.
    pub(super) fn no_method(method: &str) -> Self {
        Self::new(-32601, format!("there is no method {method}"))
    }

    /// The parameters are not those of the method.
    pub(super) fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }

    /// Nothing was initialized yet.
    pub(super) fn not_initialized() -> Self {
        Self::new(-32002, "the first request is `initialize`")
    }

    /// All was right, and it cannot be done.
    pub(super) fn request_failed(message: impl Into<String>) -> Self {
        Self::new(-32803, message)
    }
}

/// A message of the client.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    Request {
        id: Value,
        method: String,
        params: Value,
    },
    Notification {
        method: String,
        params: Value,
    },
    /// An answer to a request of ours.
    Response,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default, deserialize_with = "present")]
    id: Option<Value>,
    method: Option<String>,
    #[serde(default)]
    params: Value,
}

/// `null` is an ID too, if a bad one.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Message {
    /// Reads a body; with an error, the ID of the request if there is one.
    pub(super) fn parse(body: &[u8]) -> Result<Self, (Value, Failed)> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| (Value::Null, Failed::parse(format!("the message is no JSON: {error}"))))?;
        let id = value.get("id").cloned().unwrap_or_default();
        let raw = Raw::deserialize(value).map_err(|error| {
            (
                id,
                Failed::invalid_request(format!("not a message of JSON-RPC: {error}")),
            )
        })?;
        match (raw.id, raw.method) {
            (Some(id), Some(method)) if id.is_string() || id.is_number() => Ok(Self::Request {
                id,
                method,
                params: raw.params,
            }),
            (Some(_), Some(_)) => Err((Value::Null, Failed::invalid_request("an ID is a number or a text"))),
            (None, Some(method)) => Ok(Self::Notification {
                method,
                params: raw.params,
            }),
            (Some(_), None) => Ok(Self::Response),
            (None, None) => Err((
                Value::Null,
                Failed::invalid_request("neither a method nor an ID is given"),
            )),
        }
    }
}

/// The parameters of a method.
pub(super) fn params<'a, T: Deserialize<'a>>(params: &'a Value) -> Result<T, Failed> {
    T::deserialize(params).map_err(|error| Failed::invalid_params(error.to_string()))
}

/// The answer to a request.
pub(super) fn response(id: &Value, result: Result<Value, Failed>) -> Value {
    match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(failed) => {
            let error = json!({"code": failed.code, "message": failed.message});
            json!({"jsonrpc": "2.0", "id": id, "error": error})
        }
    }
}

/// A message that wants no answer.
pub(super) fn notification(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_of_three_kinds() {
        let parse = |text: &str| Message::parse(text.as_bytes());
        assert!(matches!(parse(r#"{"id":1,"method":"a"}"#), Ok(Message::Request { .. })));
        assert!(matches!(
            parse(r#"{"id":"x","method":"a","params":[]}"#),
            Ok(Message::Request { .. })
        ));
        assert!(matches!(parse(r#"{"method":"a"}"#), Ok(Message::Notification { .. })));
        assert_eq!(parse(r#"{"id":1,"result":null}"#), Ok(Message::Response));
        for (text, code) in [
            ("{", -32700),
            ("[]", -32600),
            ("1", -32600),
            ("{}", -32600),
            (r#"{"id":null,"method":"a"}"#, -32600),
            (r#"{"id":7,"method":{}}"#, -32600),
        ] {
            assert_eq!(parse(text).unwrap_err().1.code, code, "{text}");
        }
        assert_eq!(parse(r#"{"id":7,"method":{}}"#).unwrap_err().0, 7);
        let deep = "[".repeat(100_000);
        assert_eq!(parse(&deep).unwrap_err().1.code, -32700);
    }
}
