//! `-o type=oci,dest=image.tar` and its shorter forms.

use std::path::PathBuf;

use kiln_build::request::{Destination, LayerOptions, Output};
use kiln_image::Reference;
use kiln_image::media_type::{Compression, Family};

use super::csv;

/// One `--output`, and the time stamps that it asks for. `tags` are the names of an output that names none.
pub(crate) fn parse(text: &str, tags: &[Reference]) -> Result<(Output, Option<i64>), String> {
    let attributes = Attributes::read(text)?;
    let output = attributes.output(text, tags)?;
    Ok((output, attributes.epoch))
}

/// All attributes of all types of output that Kiln has.
#[derive(Debug, Default)]
struct Attributes {
    kind: String,
    dest: Option<String>,
    names: Vec<Reference>,
    push: bool,
    tar: bool,
    layers: LayerOptions,
    epoch: Option<i64>,
    split: Option<bool>,
}

impl Attributes {
    fn read(text: &str) -> Result<Self, String> {
        let mut all = Self {
            tar: true,
            ..Self::default()
        };
        let pairs = csv::pairs(text)?;
        if let [(_, None)] = pairs[..] {
            // A bare path keeps its case: `-o Out` is no attribute.
            all.kind = String::from(if text == "-" { "tar" } else { "local" });
            all.dest = Some(text.to_owned());
            return Ok(all);
        }
        for (key, value) in &pairs {
            all.set(key, value.as_deref())
                .map_err(|message| format!("`{text}`: {message}"))?;
        }
        if all.kind.is_empty() {
            return Err(format!("`{text}`: a type is needed, like type=oci"));
        }
        Ok(all)
    }

    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let text = || {
            value
                .filter(|v| !v.is_empty())
                .ok_or_else(|| format!("`{key}` needs a value"))
        };
        let flag = || csv::boolean(key, value);
        match key {
            "type" => text()?.clone_into(&mut self.kind),
            "dest" => self.dest = Some(text()?.to_owned()),
            "name" => self.names = names(text()?)?,
            "push" => self.push = flag()?,
            "tar" => self.tar = flag()?,
            "compression" => self.layers.kind = compression(text()?)?,
            "compression-level" => {
                let level = text()?
                    .parse()
                    .map_err(|_| "compression-level is a number".to_owned())?;
                self.layers.level = Some(level);
            }
            "rewrite-timestamp" => self.layers.rewrite_timestamp = flag()?,
            "force-compression" => self.layers.force = flag()?,
            "source-date-epoch" => {
                let seconds = text()?
                    .parse()
                    .map_err(|_| "source-date-epoch is a number of seconds".to_owned())?;
                self.epoch = Some(seconds);
            }
            "oci-mediatypes" => self.layers.types = if flag()? { Family::Oci } else { Family::Docker },
            // What Kiln does anyway.
            "store" if flag()? => {}
            "unpack" | "name-canonical" => {
                flag()?;
            }
            "platform-split" => self.split = Some(flag()?),
            "attestation-prefix" => {}
            "mode" if value == Some("copy") => {}
            // What is asked for by saying no to it.
            "push-by-digest"
            | "prefer-nondist-layers"
            | "registry.insecure"
            | "oci-artifact"
            | "attestation-inline"
                if !flag()? => {}
            "store" | "mode" | "push-by-digest" | "prefer-nondist-layers" | "oci-artifact" | "attestation-inline" => {
                return Err(format!("`{key}={}` is not supported yet", value.unwrap_or("true")));
            }
            "registry.insecure" => {
                return Err(
                    "say `insecure = true` for the registry in registries.conf instead of registry.insecure".to_owned(),
                );
            }
            key if key.starts_with("annotation") => {
                return Err("annotations are given with --annotation [TYPE:]KEY=VALUE, for all outputs".to_owned());
            }
            key => return Err(format!("there is no attribute `{key}`")),
        }
        Ok(())
    }

    fn output(&self, text: &str, tags: &[Reference]) -> Result<Output, String> {
        let names = if self.names.is_empty() {
            tags.to_vec()
        } else {
            self.names.clone()
        };
        let layers = self.layers;
        let only = |allowed: bool, attribute: &str| {
            if allowed {
                Ok(())
            } else {
                Err(format!("`{text}`: {attribute} makes no sense for type={}", self.kind))
            }
        };
        let image = matches!(self.kind.as_str(), "image" | "registry");
        only(image || !self.push, "push=true")?;
        only(self.kind == "oci" || self.tar, "tar=false")?;
        let files = matches!(self.kind.as_str(), "local" | "tar");
        only(files || self.split.is_none(), "platform-split")?;
        match self.kind.as_str() {
            "image" | "registry" => {
                only(self.dest.is_none(), "dest")?;
                let push = self.push || self.kind == "registry";
                if push && names.is_empty() {
                    return Err(format!("`{text}`: pushing needs a name: add name=… or -t"));
                }
                Ok(Output::Image { names, push, layers })
            }
            // docker loads it into its daemon; Kiln's store is where its images are anyway.
            "docker" if self.dest.is_none() => Ok(Output::Image {
                names,
                push: false,
                layers,
            }),
            "docker" => Ok(Output::Docker {
                dest: self.file(),
                names,
                layers,
            }),
            "oci" => match &self.dest {
                Some(_) if self.tar => Ok(Output::Oci {
                    dest: self.file(),
                    directory: false,
                    names,
                    layers,
                }),
                Some(dest) if dest != "-" => {
                    let dest = Destination::File(PathBuf::from(dest));
                    Ok(Output::Oci {
                        dest,
                        directory: true,
                        names,
                        layers,
                    })
                }
                Some(_) => Err(format!("`{text}`: a directory cannot be written to standard output")),
                None if self.tar => Ok(Output::Oci {
                    dest: Destination::Stdout,
                    directory: false,
                    names,
                    layers,
                }),
                None => Err(format!("`{text}`: dest is needed: the directory to write")),
            },
            "tar" => Ok(Output::Tar {
                dest: self.file(),
                split: self.split,
            }),
            "local" => match self.dest.as_deref() {
                None | Some("-") => Err(format!("`{text}`: dest is needed: the directory to write")),
                Some(dest) => Ok(Output::Local {
                    dest: dest.into(),
                    split: self.split,
                }),
            },
            "cacheonly" => only(self.dest.is_none(), "dest").map(|()| Output::CacheOnly),
            "moby" => Err(format!(
                "`{text}`: type=moby is docker's own; use type=image or type=docker"
            )),
            other => Err(format!(
                "`{text}`: there is no type `{other}`; there are image, oci, docker, local, tar, registry and cacheonly"
            )),
        }
    }

    fn file(&self) -> Destination {
        match self.dest.as_deref() {
            None | Some("-") => Destination::Stdout,
            Some(path) => Destination::File(path.into()),
        }
    }
}

/// Whether the output goes to standard output.
pub(crate) const fn to_stdout(output: &Output) -> bool {
    match output {
        Output::Oci { dest, .. } | Output::Docker { dest, .. } | Output::Tar { dest, .. } => {
            matches!(dest, Destination::Stdout)
        }
        Output::Image { .. } | Output::Local { .. } | Output::CacheOnly => false,
    }
}

fn names(text: &str) -> Result<Vec<Reference>, String> {
    let parse = |name: &str| name.trim().parse::<Reference>().map_err(|error| error.to_string());
    text.split(',').map(parse).collect()
}

/// How blobs are compressed.
pub(crate) fn compression(text: &str) -> Result<Compression, String> {
    match text {
        "uncompressed" => Ok(Compression::None),
        "gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        "estargz" => Err("compression=estargz is not supported yet".to_owned()),
        other => Err(format!(
            "there is no compression `{other}`; there are uncompressed, gzip and zstd"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Output, String> {
        parse(text, &["app:1".parse().unwrap()]).map(|(output, _)| output)
    }

    #[test]
    fn reads_short_forms() {
        let local = |dest: &str, split| {
            let dest = dest.into();
            Ok(Output::Local { dest, split })
        };
        let tar = |dest| Ok(Output::Tar { dest, split: None });
        assert_eq!(read("Out"), local("Out", None));
        assert_eq!(read("-"), tar(Destination::Stdout));
        assert_eq!(
            read("type=local,dest=out,platform-split=false"),
            local("out", Some(false))
        );
        assert_eq!(read("type=tar,dest=a.tar"), tar(Destination::File("a.tar".into())));
    }

    #[test]
    fn reads_image_outputs() {
        let names = vec!["app:1".parse().unwrap()];
        let layers = LayerOptions::default();
        assert_eq!(
            read("type=image,push=true"),
            Ok(Output::Image {
                names: names.clone(),
                push: true,
                layers
            })
        );
        assert_eq!(
            read(r#"type=registry,"name=a:1,b:2",compression=zstd,compression-level=19,force-compression=true"#),
            Ok(Output::Image {
                names: vec!["a:1".parse().unwrap(), "b:2".parse().unwrap()],
                push: true,
                layers: LayerOptions {
                    kind: Compression::Zstd,
                    level: Some(19),
                    force: true,
                    ..LayerOptions::default()
                },
            })
        );
        assert_eq!(
            read("type=docker"),
            Ok(Output::Image {
                names: names.clone(),
                push: false,
                layers
            })
        );
        assert_eq!(
            read("type=oci,tar=false,dest=dir"),
            Ok(Output::Oci {
                dest: Destination::File("dir".into()),
                directory: true,
                names: names.clone(),
                layers
            })
        );
        assert_eq!(
            read("type=docker,dest=-"),
            Ok(Output::Docker {
                dest: Destination::Stdout,
                names,
                layers
            })
        );
    }

    #[test]
    fn refuses_what_cannot_be() {
        for text in [
            "dest=x",
            "type=local",
            "type=nothing",
            "type=local,dest=x,push=true",
            "type=tar,tar=false",
            "type=oci,tar=false",
            "type=image,compression=lzma",
            "type=image,annotation.a=b",
            "type=image,what=1",
            "type=image,rewrite-timestamp=soon",
            "type=image,push=maybe",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(parse("type=registry", &[]).unwrap_err().contains("-t"));
        assert!(read("type=image,rewrite-timestamp=false,oci-mediatypes=true").is_ok());
    }
}
