//! Platforms: `os[/architecture[/variant]]`, normalised as containerd's `platforms` package does.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// CPU architecture in Go's naming: `amd64`, `arm64`, `riscv64`, …
    pub architecture: String,
    /// Operating system in Go's naming: `linux`, `windows`, …
    pub os: String,
    /// Version of the operating system (Windows).
    #[serde(default, rename = "os.version", skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    /// Variant of the architecture: `v7` of `arm`, `v8` of `arm64`; empty where it is the default.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// Why a string is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// Too many parts, an empty part, or a character that no part may have.
    #[error("`{0}` is not a platform: wanted os[/architecture[/variant]], like linux/amd64 or linux/arm/v7")]
    Malformed(String),
    /// A single word that is neither an operating system nor an architecture.
    #[error("`{0}` is neither an operating system nor an architecture that Kiln knows")]
    Unknown(String),
}

impl Platform {
    /// Linux on the given architecture.
    pub fn linux(architecture: &str) -> Self {
        Self::normalised("linux", architecture, "")
    }

    /// The platform that this program was built for, and so runs on.
    pub fn host() -> Self {
        Self::linux(std::env::consts::ARCH)
    }

    fn normalised(os: &str, architecture: &str, variant: &str) -> Self {
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let (architecture, variant) =
            normalise_architecture(&architecture.to_ascii_lowercase(), &variant.to_ascii_lowercase());
        Self {
            architecture,
            os,
            os_version: String::new(),
            variant,
        }
    }

    /// How well an image of platform `offered` serves a request for `self`: `None` not at all, smaller is
    /// better. An `arm` request takes lower variants; `amd64` takes no `386`.
    pub fn distance(&self, offered: &Self) -> Option<u32> {
        let offered = Self::normalised(&offered.os, &offered.architecture, &offered.variant);
        if self.os != offered.os || self.architecture != offered.architecture {
            return None;
        }
        let level = |platform: &Self| -> Option<u32> {
            let default = match platform.architecture.as_str() {
                "arm" => 7,
                "arm64" => 8,
                _ => 1,
            };
            match platform.variant.strip_prefix('v') {
                None if platform.variant.is_empty() => Some(default),
                None => None,
                Some(number) => number.split('.').next()?.parse().ok(),
            }
        };
        match (level(self), level(&offered)) {
            (Some(wanted), Some(has)) => wanted.checked_sub(has),
            _ => (self.variant == offered.variant).then_some(0),
        }
    }
}

fn normalise_architecture(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = match (architecture, variant) {
        ("i386" | "i686" | "x86", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8" | "") => ("arm64", ""),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        ("powerpc64le", variant) => ("ppc64le", variant),
        ("loongarch64", variant) => ("loong64", variant),
        other => other,
    };
    (architecture.to_owned(), variant.to_owned())
}

const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "illumos",
    "linux",
    "macos",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
];
const ARCHITECTURES: &[&str] = &[
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64",
    "s390x", "wasm",
];

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.trim().split('/').collect();
        let good =
            |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-()".contains(&b));
        if !parts.iter().all(good) {
            return Err(PlatformError::Malformed(text.to_owned()));
        }
        match parts[..] {
            [word] => {
                let as_architecture = Self::normalised("linux", word, "");
                if SYSTEMS.contains(&word.to_ascii_lowercase().as_str()) {
                    Ok(Self::normalised(word, std::env::consts::ARCH, ""))
                } else if ARCHITECTURES.contains(&as_architecture.architecture.as_str()) {
                    Ok(as_architecture)
                } else {
                    Err(PlatformError::Unknown(text.to_owned()))
                }
            }
            [os, architecture] => Ok(Self::normalised(os, architecture, "")),
            [os, architecture, variant] => Ok(Self::normalised(os, architecture, variant)),
            _ => Err(PlatformError::Malformed(text.to_owned())),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises_as_containerd() {
        // containerd platforms/database.go
        for (text, shown) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("arm64", "linux/arm64"),
            ("Linux/AMD64", "linux/amd64"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), shown, "{text}");
        }
        for text in ["", "/", "linux/", "a/b/c/d", "nonsense", "linux/am d64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_arm_request_takes_lower_variants() {
        let v7: Platform = "linux/arm/v7".parse().unwrap();
        let v6: Platform = "linux/arm/v6".parse().unwrap();
        assert_eq!(v7.distance(&v7), Some(0));
        assert_eq!(v7.distance(&v6), Some(1));
        assert_eq!(v6.distance(&v7), None);
        assert_eq!(Platform::linux("amd64").distance(&Platform::linux("386")), None);
    }
}
