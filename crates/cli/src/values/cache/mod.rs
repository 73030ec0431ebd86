//! `--cache-to type=registry,ref=NAME` and `--cache-from`, as docker buildx documents them.

mod attributes;
mod gha;
mod s3;

use kiln_build::request::{CacheExport, CacheMode, CachePlace, MountChoice, MountExport};
use kiln_image::Reference;
use kiln_image::media_type::Compression;

use self::attributes::Attributes;
pub(crate) use self::attributes::shown;
use super::{csv, output, size};
use crate::settings::Environment;

/// What one `--cache-to` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CacheTo {
    /// That the image carries its cache.
    Inline,
    /// A cache of its own.
    Place(CacheExport),
}

/// Why there is no cache.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// It is wrong.
    Wrong(String),
    /// It is right, and cannot be had here. No cache changes an image, so this is no reason not to build.
    Ignored(&'static str),
}

impl From<String> for NotTaken {
    fn from(message: String) -> Self {
        Self::Wrong(message)
    }
}

/// One `--cache-from`: references alone, or `type=…`.
pub(crate) fn parse_from(text: &str, environment: &Environment) -> Result<Vec<CachePlace>, NotTaken> {
    if let Some(references) = references(text)? {
        return Ok(references.into_iter().map(CachePlace::Registry).collect());
    }
    let mut attributes = Attributes::read(text)?;
    if attributes.kind == "inline" {
        Err(attributes.wrong(&"an inline cache is read from its image: type=registry,ref=IMAGE"))?;
    }
    let place = attributes.place(environment, |local| {
        let digest = local.text("digest")?;
        let digest = digest.map(|text| text.parse().map_err(|error| local.wrong(&error)));
        Ok(CachePlace::Local {
            directory: local.path("src")?,
            tag: local.tag()?,
            digest: digest.transpose()?,
        })
    })?;
    attributes.end()?;
    Ok(vec![place])
}

/// One `--cache-to`.
pub(crate) fn parse_to(text: &str, environment: &Environment) -> Result<Vec<CacheTo>, NotTaken> {
    let all = read_to(text, environment)?;
    let has_digest = |to: &CacheTo| match to {
        CacheTo::Place(CacheExport {
            place: CachePlace::Registry(reference),
            ..
        }) => reference.digest().is_some(),
        _ => false,
    };
    if all.iter().any(has_digest) {
        return Err(NotTaken::Wrong(format!("`{text}`: a cache cannot be given a digest")));
    }
    Ok(all)
}

fn read_to(text: &str, environment: &Environment) -> Result<Vec<CacheTo>, NotTaken> {
    if let Some(references) = references(text)? {
        let to = |reference| CacheTo::Place(at(CachePlace::Registry(reference)));
        return Ok(references.into_iter().map(to).collect());
    }
    let mut attributes = Attributes::read(text)?;
    if attributes.kind == "inline" {
        attributes.end()?;
        return Ok(vec![CacheTo::Inline]);
    }
    let place = attributes.place(environment, |local| {
        Ok(CachePlace::Local {
            directory: local.path("dest")?,
            tag: local.tag()?,
            digest: None,
        })
    })?;
    let export = attributes.export(place)?;
    attributes.end()?;
    Ok(vec![CacheTo::Place(export)])
}

/// What is meant where nobody says more.
pub(crate) fn at(place: CachePlace) -> CacheExport {
    CacheExport {
        place,
        mode: CacheMode::Min,
        compression: Compression::Zstd,
        level: None,
        mounts: MountExport::default(),
    }
}

/// References alone, which mean type=registry.
fn references(text: &str) -> Result<Option<Vec<Reference>>, String> {
    let unclear = |message| {
        if shown(text) == text {
            message
        } else {
            "its quotes do not fit".to_owned()
        }
    };
    let fields = csv::fields(text).map_err(unclear)?;
    if fields.iter().any(|field| field.contains('=')) {
        return Ok(None);
    }
    let parse = |field: &String| field.parse().map_err(|error| format!("`{text}`: {error}"));
    fields.iter().map(parse).collect::<Result<_, _>>().map(Some)
}

/// Those of caches.
impl Attributes<'_> {
    /// The place that they say. A directory is said in one way to read and in another to write.
    fn place(
        &mut self,
        environment: &Environment,
        local: impl FnOnce(&mut Self) -> Result<CachePlace, String>,
    ) -> Result<CachePlace, NotTaken> {
        match self.kind.as_str() {
            "registry" => {
                self.no_insecure_flag()?;
                Ok(CachePlace::Registry(self.reference()?))
            }
            "local" => Ok(local(self)?),
            "s3" => Ok(CachePlace::S3(Box::new(s3::place(self, environment)?))),
            "gha" => self.gha(environment),
            _ => Err(self.no_such_type()),
        }
    }

    fn no_such_type(&self) -> NotTaken {
        let there_are = "there are type=registry, type=local, type=s3, type=gha and type=inline";
        NotTaken::Wrong(match self.kind.as_str() {
            "azblob" => return NotTaken::Ignored("Kiln has no such cache yet"),
            "" => self.wrong(&format!("a type is needed: {there_are}")),
            other => self.wrong(&format!("there is no type `{other}`: {there_are}")),
        })
    }

    fn gha(&mut self, environment: &Environment) -> Result<CachePlace, NotTaken> {
        let place = gha::place(self, environment)?.map(CachePlace::Gha);
        place.ok_or(NotTaken::Ignored(
            "this is no job of GitHub Actions, or its token and address are not in the environment \
             (ACTIONS_RUNTIME_TOKEN, ACTIONS_RESULTS_URL)",
        ))
    }

    fn tag(&mut self) -> Result<String, String> {
        Ok(self.text("tag")?.unwrap_or_else(|| "latest".to_owned()))
    }

    fn reference(&mut self) -> Result<Reference, String> {
        let text = self.needed("ref")?;
        text.parse().map_err(|error| self.wrong(&error))
    }

    fn no_insecure_flag(&mut self) -> Result<(), String> {
        if self.flag("registry.insecure", false)? {
            return Err(self.wrong(&"say `insecure = true` for the registry in registries.conf instead"));
        }
        Ok(())
    }

    fn export(&mut self, place: CachePlace) -> Result<CacheExport, String> {
        let mode = match self.text("mode")?.as_deref() {
            None | Some("min") => CacheMode::Min,
            Some("max") => CacheMode::Max,
            Some(other) => return Err(self.wrong(&format!("there is no mode `{other}`; there are min and max"))),
        };
        let compression = match self.text("compression")? {
            Some(name) => output::compression(&name).map_err(|message| self.wrong(&message))?,
            None => Compression::Zstd,
        };
        let level = self.text("compression-level")?;
        let number = |text: String| text.parse().map_err(|_| self.wrong(&"compression-level is a number"));
        let level = level.map(number).transpose()?;
        let mounts = self.mounts()?;
        // What Kiln does anyway.
        self.flag("force-compression", true)?;
        self.flag("ignore-error", true)?;
        for key in ["oci-mediatypes", "image-manifest"] {
            if !self.flag(key, true)? {
                return Err(self.wrong(&format!("{key}=false: Kiln's caches are OCI artefacts")));
            }
        }
        Ok(CacheExport {
            place,
            mode,
            compression,
            level,
            mounts,
        })
    }

    /// Which cache mounts go with it.
    fn mounts(&mut self) -> Result<MountExport, String> {
        let mut mounts = MountExport::default();
        match self.text("mounts")?.as_deref() {
            None | Some("true") => {}
            Some("false") => mounts.choice = MountChoice::None,
            Some(id) => mounts.choice = MountChoice::Only(vec![id.to_owned()]),
        }
        if let Some(most) = self.text("mount-max")? {
            mounts.most = size::parse(&most).map_err(|message| self.wrong(&message))?;
        }
        Ok(mounts)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kiln_build::request::{GhaApi, GhaPlace, S3Options, S3Place};

    use super::*;

    fn parse_from(text: &str) -> Result<Vec<CachePlace>, NotTaken> {
        super::parse_from(text, &Environment::of(&[]))
    }

    fn parse_to(text: &str) -> Result<Vec<CacheTo>, NotTaken> {
        super::parse_to(text, &Environment::of(&[]))
    }

    fn registry(name: &str) -> CachePlace {
        CachePlace::Registry(name.parse().unwrap())
    }

    fn local(directory: &str, tag: &str) -> CachePlace {
        CachePlace::Local {
            directory: directory.into(),
            tag: tag.to_owned(),
            digest: None,
        }
    }

    #[test]
    fn reads_what_buildx_documents() {
        for (text, expected) in [
            ("user/app:cache", vec![registry("user/app:cache")]),
            ("a:1,b:2", vec![registry("a:1"), registry("b:2")]),
            ("type=registry,ref=user/app:cache", vec![registry("user/app:cache")]),
            ("type=local,src=Dir", vec![local("Dir", "latest")]),
            ("type=local,src=d,tag=x", vec![local("d", "x")]),
        ] {
            assert_eq!(parse_from(text), Ok(expected), "{text}");
        }
        for text in ["type=azblob,name=x", "type=gha,scope=x"] {
            assert!(matches!(parse_to(text), Err(NotTaken::Ignored(_))), "{text}");
        }
        let to = |export| Ok(vec![CacheTo::Place(export)]);
        assert_eq!(parse_to("type=inline"), Ok(vec![CacheTo::Inline]));
        assert_eq!(parse_to("app:cache"), to(at(registry("app:cache"))));
        assert_eq!(
            parse_to("type=local,dest=d,mode=max,compression=gzip,compression-level=3,ignore-error=true,tag=x"),
            to(CacheExport {
                place: local("d", "x"),
                mode: CacheMode::Max,
                compression: Compression::Gzip,
                level: Some(3),
                mounts: MountExport::default(),
            })
        );
        let mounts = |choice, most| CacheExport {
            mounts: MountExport { choice, most },
            ..at(registry("a"))
        };
        assert_eq!(
            parse_to("type=registry,ref=a,mounts=false"),
            to(mounts(MountChoice::None, 1 << 30))
        );
        assert_eq!(
            parse_to("type=registry,ref=a,mounts=npm,mount-max=2m"),
            to(mounts(MountChoice::Only(vec!["npm".to_owned()]), 2 << 20))
        );
        assert_eq!(
            parse_to("type=registry,ref=a,oci-mediatypes=true,image-manifest=true,force-compression=false"),
            to(at(registry("a")))
        );
    }

    #[test]
    fn object_storage() {
        let keys = [
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "eu-north-1"),
        ];
        let environment = Environment::of(&keys);
        let place = |endpoint: Option<&str>, path_style, prefix: &str, names: &[&str], keys: (&str, &str)| {
            let options = S3Options {
                bucket: "b".to_owned(),
                region: "eu-north-1".to_owned(),
                endpoint: endpoint.map(str::to_owned),
                path_style,
                manifests: format!("{prefix}manifests/"),
                blobs: format!("{prefix}blobs/"),
                names: names.iter().map(|&name| name.to_owned()).collect(),
                keys: Some((keys.0.to_owned(), keys.1.to_owned(), None)),
                refresh: Duration::from_secs(24 * 3600),
            };
            CachePlace::S3(Box::new(S3Place::new(options).unwrap()))
        };
        let known = ("id", "secret");
        for (text, expected) in [
            ("type=s3,bucket=b", place(None, false, "", &["kiln"], known)),
            (
                "type=s3,bucket=b,region=eu-north-1,name=1f3c;main,prefix=p/,upload_parallelism=8",
                place(None, false, "p/", &["1f3c", "main"], known),
            ),
            (
                "type=s3,bucket=b,endpoint_url=http://minio:9000,use_path_style=true,access_key_id=i,secret_access_key=s",
                place(Some("http://minio:9000"), true, "", &["kiln"], ("i", "s")),
            ),
        ] {
            assert_eq!(super::parse_from(text, &environment), Ok(vec![expected]), "{text}");
        }
        let to = super::parse_to("type=s3,bucket=b,name=x;y,mode=max", &environment).unwrap();
        let shown = format!("{to:?}");
        assert!(!shown.contains("\"secret\""), "{shown}");
    }

    #[test]
    fn a_job_of_github_actions() {
        let job = [
            ("ACTIONS_RUNTIME_TOKEN", "secret"),
            ("ACTIONS_CACHE_URL", "https://one/"),
            ("ACTIONS_RESULTS_URL", "https://two/"),
        ];
        let newer = [&job[..], &[("ACTIONS_CACHE_SERVICE_V2", "True")]].concat();
        let place = |api, scope: &str| {
            Ok(vec![CachePlace::Gha(GhaPlace {
                api,
                token: "secret".to_owned(),
                scope: scope.to_owned(),
            })])
        };
        let (first, second) = (
            GhaApi::V1("https://one/".to_owned()),
            GhaApi::V2("https://two/".to_owned()),
        );
        let parse = |text: &str, job: &[(&str, &str)]| super::parse_from(text, &Environment::of(job));
        assert_eq!(parse("type=gha", &job), place(first.clone(), "kiln"));
        assert_eq!(parse("type=gha,scope=app", &newer), place(second.clone(), "app"));
        assert_eq!(parse("type=gha,version=2", &job), place(second, "kiln"));
        assert_eq!(parse("type=gha,version=1", &newer), place(first, "kiln"));
        let other = "type=gha,version=2,url_v2=https://own/,timeout=1m";
        assert_eq!(
            parse(other, &newer),
            place(GhaApi::V2("https://own/".to_owned()), "kiln")
        );
        assert!(!format!("{:?}", parse("type=gha", &job)).contains("secret"));
        assert!(matches!(parse("type=gha,version=3", &job), Err(NotTaken::Wrong(_))));
    }

    #[test]
    fn secrets_are_in_no_message() {
        for (text, part) in [
            (
                "type=s3,bucket=b,region=r,access_key_id=i,secret_access_key=hush,endpoint_url=x",
                "`x` is no address",
            ),
            ("type=s3,bucket=b,region=r,secret_access_key=hush", "go together"),
            ("type=gha,\"token=hush", "quotes"),
            ("type=gha,token=hush,version=9", "no version"),
        ] {
            let Err(NotTaken::Wrong(message)) = parse_to(text) else {
                panic!("{text} is taken");
            };
            assert!(message.contains(part) && !message.contains("hush"), "{message}");
        }
    }

    #[test]
    fn refuses_what_cannot_be() {
        for (text, part) in [
            ("type=registry", "ref="),
            ("type=local", "dest="),
            ("type=local,dest=", "needs a value"),
            ("type=local,dest=d,mount-max=much", "is not a size"),
            ("type=local,dest=d,mode=most", "min and max"),
            ("type=local,dest=d,src=x", "dest, tag, mode"),
            ("type=registry,ref=a,image-manifest=false", "artefacts"),
            (
                "type=registry,ref=a@sha256:0000000000000000000000000000000000000000000000000000000000000000",
                "digest",
            ),
            (
                "a@sha256:0000000000000000000000000000000000000000000000000000000000000000",
                "digest",
            ),
            ("type=inline,mode=max", "no attribute `mode`"),
            ("type=nothing,a=b", "there are type=registry"),
            ("ref=x", "a type is needed"),
            ("UPPER", "`UPPER`"),
        ] {
            let Err(NotTaken::Wrong(message)) = parse_to(text) else {
                panic!("{text} is taken");
            };
            assert!(message.contains(part) && message.contains(text), "{text}: {message}");
        }
        for (text, part) in [
            ("type=inline,ref=x", "read from its image"),
            ("type=local,src=d,digest=x", "`type=local"),
            ("type=local,dest=d", "src="),
        ] {
            let Err(NotTaken::Wrong(message)) = parse_from(text) else {
                panic!("{text} is taken");
            };
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
