//! What is built from: the context and the Dockerfile, found as docker finds them.

use std::any::Any;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use kiln_dockerfile::suggest;

use crate::failure::{Context as _, Failure, SourceFile};
use crate::values::build_context;

/// Text that is larger is no Dockerfile.
const LARGEST_DOCKERFILE: u64 = 64 << 20;
/// The same for ignore files.
const LARGEST_IGNORE: u64 = 16 << 20;

/// What a build reads.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// The Dockerfile.
    pub(crate) dockerfile: SourceFile,
    /// The context; none where the Dockerfile came from standard input alone.
    pub(crate) context: Option<PathBuf>,
    /// Text and name of the ignore file.
    pub(crate) ignore: Option<(String, String)>,
    /// The directory of a context that came as an archive, removed in the end.
    #[expect(dead_code, reason = "it is there to be dropped")]
    pub(crate) unpacked: Option<Unpacked>,
}

/// A context that was unpacked from standard input.
pub(crate) struct Unpacked {
    /// Where it is.
    pub(crate) directory: PathBuf,
    /// Dropped with it; removes it.
    #[expect(dead_code, reason = "it is there to be dropped")]
    pub(crate) guard: Box<dyn Any>,
}

impl std::fmt::Debug for Unpacked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Unpacked").field(&self.directory).finish()
    }
}

/// Unpacks an archive somewhere.
pub(crate) type Unpack<'a> = &'a dyn Fn(&mut dyn Read) -> Result<Unpacked, Failure>;

/// Finds everything. `path` is the PATH of the command line, `file` is `-f`.
pub(crate) fn find(
    path: &str,
    file: Option<&Path>,
    stdin: &mut dyn Read,
    unpack: Unpack<'_>,
) -> Result<Inputs, Failure> {
    if let Some(file) = file.and_then(Path::to_str)
        && build_context::remote(file).is_some()
    {
        return Err(Failure::failed(anyhow::anyhow!(
            "-f {file}: a Dockerfile behind a URL is not supported yet"
        ))
        .hint("get it first and name the file, or pipe it: `-f -`"));
    }
    if path == "-" {
        return from_stdin(file, stdin, unpack);
    }
    let context = local(path)?;
    if file == Some(Path::new("-")) {
        let dockerfile = SourceFile {
            name: "Dockerfile".to_owned(),
            text: read_text(stdin, "standard input")?,
        };
        let ignore = read_ignore(&context, None)?;
        return Ok(Inputs {
            dockerfile,
            context: Some(context),
            ignore,
            unpacked: None,
        });
    }
    let shown = |name: &str| {
        if path == "." {
            PathBuf::from(name)
        } else {
            Path::new(path).join(name)
        }
    };
    let file = file.map_or_else(|| default_dockerfile(&context, &shown), |file| Ok(file.to_owned()))?;
    let dockerfile = read_dockerfile(&file, path)?;
    let ignore = read_ignore(&context, Some(&file))?;
    Ok(Inputs {
        dockerfile,
        context: Some(context),
        ignore,
        unpacked: None,
    })
}

fn local(path: &str) -> Result<PathBuf, Failure> {
    if let Some(kind) = build_context::remote(path)
        && fs::metadata(path).is_err()
    {
        return Err(Failure::failed(anyhow::anyhow!(
            "{path}: {kind} as build contexts are not supported yet"
        ))
        .hint("get it first and name its directory, or pipe it as a tar: `kiln build -`"));
    }
    let metadata = fs::metadata(path).or_failed(|| format!("cannot use `{path}` as the build context"))?;
    if !metadata.is_dir() {
        return Err(Failure::usage(format!("the build context `{path}` is not a directory"))
            .hint("the context is a directory; name a Dockerfile with -f"));
    }
    Ok(PathBuf::from(path))
}

fn default_dockerfile(context: &Path, shown: &dyn Fn(&str) -> PathBuf) -> Result<PathBuf, Failure> {
    for name in ["Dockerfile", "dockerfile"] {
        if context.join(name).exists() {
            return Ok(shown(name));
        }
    }
    let hint = match fs::read_dir(context).ok().and_then(likely_dockerfile) {
        Some(name) => format!("did you mean `-f {}`?", shown(&name).display()),
        None => "name it with -f FILE, or the directory that it is in as the context".to_owned(),
    };
    Err(Failure::failed(anyhow::anyhow!("there is no Dockerfile in {}", context.display())).hint(hint))
}

/// A file whose name says that it is a Dockerfile.
fn likely_dockerfile(entries: fs::ReadDir) -> Option<String> {
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let like = |name: &String| {
        let name = name.to_ascii_lowercase();
        (name.contains("dockerfile") || name == "containerfile") && !name.ends_with(".dockerignore")
    };
    names.filter(like).min()
}

fn read_dockerfile(file: &Path, context: &str) -> Result<SourceFile, Failure> {
    let name = file.display().to_string();
    let opened = fs::File::open(file);
    let missing = opened
        .as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let inside = Path::new(context).join(file);
    let mut opened = opened
        .or_failed(|| format!("cannot read the Dockerfile {name}"))
        .map_err(|failure| {
            if missing && file.is_relative() && inside.exists() {
                failure.hint(format!(
                    "-f is relative to the current directory: did you mean `-f {}`?",
                    inside.display()
                ))
            } else if let Some(similar) = similar(file).filter(|_| missing) {
                failure.hint(format!("did you mean `-f {}`?", similar.display()))
            } else {
                failure
            }
        })?;
    if opened.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(Failure::failed(anyhow::anyhow!("the Dockerfile {name} is a directory")));
    }
    let text = read_text(&mut opened, &name)?;
    Ok(SourceFile { name, text })
}

/// A file beside that one with a similar name, or one that is a Dockerfile by its name.
fn similar(file: &Path) -> Option<PathBuf> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let entries = || fs::read_dir(directory.unwrap_or(Path::new("."))).ok();
    let names: Vec<String> = entries()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let wanted = file.file_name()?.to_str()?;
    let name = suggest::closest(wanted, names.iter().map(String::as_str))
        .map(ToOwned::to_owned)
        .or_else(|| likely_dockerfile(entries()?))?;
    Some(file.with_file_name(name))
}

/// Reads text; says where it is none.
fn read_text(reader: &mut dyn Read, name: &str) -> Result<String, Failure> {
    let bytes = read_bounded(reader, name, LARGEST_DOCKERFILE)?;
    as_text(bytes, name)
}

fn as_text(bytes: Vec<u8>, name: &str) -> Result<String, Failure> {
    if bytes.contains(&0) {
        return Err(Failure::failed(anyhow::anyhow!(
            "{name} is not a text file: it has zero bytes in it"
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].split(|&b| b == b'\n').count();
        Failure::failed(anyhow::anyhow!("{name}, line {line}: not UTF-8 text (byte {at})"))
    })
}

fn read_bounded(reader: &mut dyn Read, name: &str, limit: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    reader
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .or_failed(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > limit {
        return Err(Failure::failed(anyhow::anyhow!(
            "{name} is larger than {} MiB",
            limit >> 20
        )));
    }
    Ok(bytes)
}

/// `NAME.dockerignore` beside the Dockerfile, else `.dockerignore` in the context.
fn read_ignore(context: &Path, dockerfile: Option<&Path>) -> Result<Option<(String, String)>, Failure> {
    let own = dockerfile.map(|file| {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(".dockerignore");
        file.with_file_name(name)
    });
    for file in own.into_iter().chain([context.join(".dockerignore")]) {
        let name = file.strip_prefix("./").unwrap_or(&file).display().to_string();
        match fs::File::open(&file) {
            Ok(mut opened) => {
                let text = as_text(read_bounded(&mut opened, &name, LARGEST_IGNORE)?, &name)?;
                return Ok(Some((text, name)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).or_failed(|| format!("cannot read {name}")),
        }
    }
    Ok(None)
}

/// `kiln build -`: a tar (compressed or not) is a context, everything else a Dockerfile.
fn from_stdin(file: Option<&Path>, stdin: &mut dyn Read, unpack: Unpack<'_>) -> Result<Inputs, Failure> {
    if file == Some(Path::new("-")) {
        return Err(Failure::usage(
            "standard input cannot be both the build context and the Dockerfile",
        ));
    }
    let mut head = Vec::new();
    stdin
        .take(512)
        .read_to_end(&mut head)
        .or_failed(|| "cannot read standard input".to_owned())?;
    let mut whole = io::Cursor::new(head.clone()).chain(stdin);
    if !is_archive(&head) {
        if file.is_some() {
            return Err(
                Failure::usage("standard input is no tar: -f has no context to find the Dockerfile in")
                    .hint("pipe a tar, or leave out -f to build from the Dockerfile on standard input"),
            );
        }
        let text = read_text(&mut whole, "standard input")?;
        if text.trim().is_empty() {
            return Err(Failure::failed(anyhow::anyhow!("standard input is empty"))
                .hint("pipe a Dockerfile or a tar of a context"));
        }
        let dockerfile = SourceFile {
            name: "Dockerfile".to_owned(),
            text,
        };
        return Ok(Inputs {
            dockerfile,
            context: None,
            ignore: None,
            unpacked: None,
        });
    }
    let unpacked = unpack(&mut whole)?;
    let context = unpacked.directory.clone();
    let names = file.map_or_else(
        || vec![Path::new("Dockerfile"), Path::new("dockerfile")],
        |file| vec![file],
    );
    for name in names {
        let path = context.join(name.strip_prefix("/").unwrap_or(name));
        // A link in the archive must not make a file of this machine the Dockerfile.
        let Ok(real) = fs::canonicalize(&path) else { continue };
        let base = fs::canonicalize(&context).or_internal(|| format!("cannot resolve {}", context.display()))?;
        if !real.starts_with(&base) {
            return Err(Failure::failed(anyhow::anyhow!(
                "{} leads out of the context",
                name.display()
            )));
        }
        let mut dockerfile = read_dockerfile(&real, "-")?;
        dockerfile.name = name.display().to_string();
        let ignore = read_ignore(&base, Some(&real))?.map(|(text, path)| {
            let name = Path::new(&path)
                .strip_prefix(&base)
                .map(|path| path.display().to_string());
            (text, name.unwrap_or(path))
        });
        return Ok(Inputs {
            dockerfile,
            context: Some(base),
            ignore,
            unpacked: Some(unpacked),
        });
    }
    let name = file.unwrap_or(Path::new("Dockerfile")).display();
    Err(Failure::failed(anyhow::anyhow!(
        "there is no {name} in the tar on standard input"
    )))
}

/// Whether bytes begin a tar, or something compressed, which then holds a tar.
fn is_archive(head: &[u8]) -> bool {
    const MAGIC: &[&[u8]] = &[b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"];
    MAGIC.iter().any(|magic| head.starts_with(magic)) || is_tar(head)
}

/// Whether this is a tar header: its checksum is right (POSIX pax, "ustar Interchange Format").
fn is_tar(head: &[u8]) -> bool {
    if head.len() < 512 {
        return false;
    }
    let field = String::from_utf8_lossy(&head[148..156]);
    let Ok(said) = u64::from_str_radix(field.trim_matches(['\0', ' ']), 8) else {
        return false;
    };
    // An end-of-archive block alone is an empty context.
    let sum = |range: std::ops::Range<usize>| head[range].iter().map(|&b| u64::from(b)).sum::<u64>();
    said == sum(0..148) + 8 * u64::from(b' ') + sum(156..512)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(_: &mut dyn Read) -> Result<Unpacked, Failure> {
        panic!("nothing is to be unpacked")
    }

    fn find_in(path: &Path, file: Option<&Path>, stdin: &str) -> Result<Inputs, Failure> {
        find(path.to_str().unwrap(), file, &mut stdin.as_bytes(), &refuse)
    }

    fn message(result: Result<Inputs, Failure>) -> String {
        crate::report::Reporter::plain().failure(&result.unwrap_err())
    }

    #[test]
    fn finds_the_dockerfile() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::write(path.join("app.Dockerfile"), "FROM c").unwrap();
        assert!(message(find_in(path, None, "")).contains("app.Dockerfile`?"));
        fs::write(path.join("dockerfile"), "FROM b").unwrap();
        assert_eq!(find_in(path, None, "").unwrap().dockerfile.text, "FROM b");
        fs::write(path.join("Dockerfile"), "FROM a").unwrap();
        assert_eq!(find_in(path, None, "").unwrap().dockerfile.text, "FROM a");
        assert_eq!(
            find_in(path, Some(&path.join("app.Dockerfile")), "")
                .unwrap()
                .dockerfile
                .text,
            "FROM c"
        );
        let piped = find_in(path, Some(Path::new("-")), "FROM d").unwrap();
        assert_eq!(
            (piped.dockerfile.text.as_str(), piped.context.as_deref()),
            ("FROM d", Some(path))
        );
        assert!(message(find_in(path, Some(Path::new("app.Dockerfile")), "")).contains("relative to the current"));
    }

    #[test]
    fn finds_the_ignore_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::write(path.join("Dockerfile"), "FROM a").unwrap();
        assert_eq!(find_in(path, None, "").unwrap().ignore, None);
        fs::write(path.join(".dockerignore"), "one").unwrap();
        assert_eq!(find_in(path, None, "").unwrap().ignore.unwrap().0, "one");
        fs::write(path.join("Dockerfile.dockerignore"), "two").unwrap();
        let (text, name) = find_in(path, None, "").unwrap().ignore.unwrap();
        assert_eq!(text, "two");
        assert!(name.ends_with("Dockerfile.dockerignore"));
        assert_eq!(
            find_in(path, Some(Path::new("-")), "FROM d").unwrap().ignore.unwrap().0,
            "one"
        );
    }

    #[test]
    fn refuses_what_is_no_dockerfile_or_context() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let file = path.join("Dockerfile");
        fs::write(&file, b"FROM a\n\xff\n").unwrap();
        assert!(message(find_in(path, None, "")).contains("line 2: not UTF-8"));
        fs::write(&file, b"FROM a\0").unwrap();
        assert!(message(find_in(path, None, "")).contains("not a text file"));
        assert!(message(find_in(&file, None, "")).contains("not a directory"));
        assert!(message(find_in(&path.join("none"), None, "")).contains("No such file"));
        assert!(message(find_in(Path::new("https://example.com/a.git"), None, "")).contains("git repositories"));
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert!(message(find_in(path, None, "")).contains("is a directory"));
    }

    #[test]
    fn standard_input_is_a_dockerfile_or_a_tar() {
        let dash = Path::new("-");
        let inputs = find_in(dash, None, "FROM scratch\n").unwrap();
        assert_eq!(
            (inputs.dockerfile.text.as_str(), inputs.context),
            ("FROM scratch\n", None)
        );
        assert!(message(find_in(dash, Some(dash), "")).contains("both"));
        assert!(message(find_in(dash, None, "")).contains("empty"));
        let unpack = |reader: &mut dyn Read| {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, b"\x1f\x8brest");
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join("Dockerfile"), "FROM tar").unwrap();
            Ok(Unpacked {
                directory: directory.path().to_owned(),
                guard: Box::new(directory),
            })
        };
        let inputs = find("-", None, &mut &b"\x1f\x8brest"[..], &unpack).unwrap();
        assert_eq!(inputs.dockerfile.text, "FROM tar");
        let context = inputs.context.clone().unwrap();
        assert!(context.exists());
        drop(inputs);
        assert!(!context.exists());
    }

    #[test]
    fn knows_a_tar() {
        let mut head = vec![0_u8; 512];
        head[..4].copy_from_slice(b"file");
        let sum: u64 = head.iter().map(|&b| u64::from(b)).sum::<u64>() + 8 * 32;
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(is_archive(&head));
        head[0] = b'F';
        assert!(!is_archive(&head));
        assert!(!is_archive(b"FROM debian"));
    }
}
