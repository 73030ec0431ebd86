//! `RUN --device=NAME[,required]`.

use crate::{boolean, csv, suggest};

/// A device that a step asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Device {
    /// `vendor.com/class=name`; `vendor.com/class` is the first of the class, `vendor.com/class=*` all of it. Anything else
    /// is a class by its annotation.
    pub name: String,
    /// Whether the step fails without it.
    pub required: bool,
}

impl Device {
    /// Reads the flag's value. The error is what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fields = csv::fields(text).map_err(|cause| format!("failed to parse csv devices: {cause}"))?;
        let mut name = None;
        let mut required = false;
        for field in fields {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key.to_ascii_lowercase(), Some(value)),
                None => (field.to_ascii_lowercase(), None),
            };
            match (key.as_str(), value) {
                ("required", None) => required = true,
                ("required", Some(value)) => {
                    required = boolean::parse(value).ok_or_else(|| format!("invalid value for required: {value}"))?;
                }
                ("name", Some(value)) => match &name {
                    None => name = Some(value.to_owned()),
                    Some(name) => return Err(format!("device name already set to {name}")),
                },
                // A name has a `=` of its own.
                _ if name.is_none() => name = Some(field),
                (_, None) => return Err(format!("invalid field '{field}' must be a key=value pair")),
                (key, Some(_)) => {
                    let hint = suggest::hint(key, ["name", "required"]);
                    return Err(format!("unexpected key '{key}' in '{field}'{hint}"));
                }
            }
        }
        match name.filter(|name| !name.is_empty()) {
            Some(name) => Ok(Self { name, required }),
            None => Err("a device needs a name, like vendor.com/class=name".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_options() {
        for (text, name, required) in [
            ("vendor.com/gpu=all", "vendor.com/gpu=all", false),
            ("vendor.com/gpu,required", "vendor.com/gpu", true),
            ("name=vendor.com/gpu=0,required=false", "vendor.com/gpu=0", false),
            ("required,class1", "class1", true),
        ] {
            let name = name.to_owned();
            assert_eq!(Device::parse(text), Ok(Device { name, required }), "{text}");
        }
        for text in [
            "",
            "required",
            "a,b",
            "a=b,c=d",
            "a=b,name=c",
            "a,required=perhaps",
            "name=",
        ] {
            assert!(Device::parse(text).is_err(), "{text}");
        }
    }
}
