//! `KEY=VALUE,…` behind a `type=`: each attribute is asked for by its name, and none may be left over.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::values::csv;

/// What a flag says, with no secret in it.
pub(crate) fn shown(text: &str) -> String {
    let Ok(fields) = csv::fields(text) else {
        return if is_secret(text) {
            "…".to_owned()
        } else {
            text.to_owned()
        };
    };
    let shown = fields.iter().map(|field| match field.split_once('=') {
        Some((key, _)) if is_secret(key) => format!("{key}=xxxxx"),
        _ => field.clone(),
    });
    shown.collect::<Vec<_>>().join(",")
}

/// Whether what has this key is nobody else's business.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["secret", "token", "password"].iter().any(|word| key.contains(word))
}

/// The attributes of one cache.
pub(super) struct Attributes<'t> {
    whole: &'t str,
    pub(super) kind: String,
    values: BTreeMap<String, Option<String>>,
    /// Those that its type has.
    known: Vec<&'static str>,
}

impl<'t> Attributes<'t> {
    pub(super) fn read(whole: &'t str) -> Result<Self, String> {
        let mut values: BTreeMap<_, _> = csv::pairs(whole)?.into_iter().collect();
        let kind = values.remove("type").flatten().unwrap_or_default();
        Ok(Self {
            whole,
            kind,
            values,
            known: Vec::new(),
        })
    }

    pub(super) fn wrong(&self, message: &dyn std::fmt::Display) -> String {
        format!("`{}`: {message}", shown(self.whole))
    }

    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<String>, String> {
        self.known.push(key);
        match self.values.remove(key) {
            None => Ok(None),
            Some(Some(value)) if !value.is_empty() => Ok(Some(value)),
            Some(_) => Err(self.wrong(&format!("`{key}` needs a value"))),
        }
    }

    pub(super) fn needed(&mut self, key: &'static str) -> Result<String, String> {
        let text = self.text(key)?;
        text.ok_or_else(|| self.wrong(&format!("`{key}=` is needed")))
    }

    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> Result<bool, String> {
        self.known.push(key);
        match self.values.remove(key) {
            None => Ok(default),
            Some(value) => csv::boolean(key, value.as_deref()).map_err(|message| self.wrong(&message)),
        }
    }

    pub(super) fn path(&mut self, key: &'static str) -> Result<PathBuf, String> {
        self.needed(key).map(PathBuf::from)
    }

    /// All attributes were known.
    pub(super) fn end(self) -> Result<(), String> {
        let Some(unknown) = self.values.keys().next() else {
            return Ok(());
        };
        let known = match &self.known[..] {
            [] => "none".to_owned(),
            known => known.join(", "),
        };
        let message = format!("type={} has no attribute `{unknown}`; it has {known}", self.kind);
        Err(self.wrong(&message))
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn secrets_are_not_shown() {
        for (text, expected) in [
            ("type=local,dest=d", "type=local,dest=d"),
            ("app:cache", "app:cache"),
            (
                "type=s3,access_key_id=i,secret_access_key=s,Session_Token=t",
                "type=s3,access_key_id=i,secret_access_key=xxxxx,Session_Token=xxxxx",
            ),
            ("type=gha,\"token=a,b\",ghtoken=c", "type=gha,token=xxxxx,ghtoken=xxxxx"),
            ("type=gha,\"token=a", "…"),
            ("type=local,\"dest=a", "type=local,\"dest=a"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }
}
