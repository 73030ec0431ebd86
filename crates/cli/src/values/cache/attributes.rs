//! `KEY=VALUE,…` behind a `type=`: each attribute is asked for by its name, and none may be left over.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::values::csv;

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
        format!("`{}`: {message}", self.whole)
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
