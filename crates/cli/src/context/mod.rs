//! What is built from: the context and the Dockerfile, found as docker finds them.

mod include;
mod local;
mod text;

use std::any::Any;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use kiln_dockerfile::ignore::Ignore;
use kiln_dockerfile::include::Failed;
use kiln_dockerfile::source::Source;
use kiln_plan::{Remote, without_password};
use rustix::fd::AsFd as _;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::failure::{Context as _, Failure};
use include::{Home, Named};
pub(crate) use local::read_ignore;
use local::{default_dockerfile, likely_dockerfile, read_dockerfile};
use text::{is_archive, read_text};

/// Where contexts and Dockerfiles are named that come from standard input.
const STDIN: &str = "-";

/// What the command line says of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// PATH, URL or `-`.
    pub(crate) path: &'a str,
    /// `-f`
    pub(crate) file: Option<&'a Path>,
    /// Whether `.git` stays in a context that is a repository.
    pub(crate) keep_git_dir: bool,
}

/// What a build reads.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// The Dockerfile, with what it includes.
    pub(crate) dockerfile: Source,
    /// The file that it was read from, absolute and without links, if it is one of this machine.
    pub(crate) file: Option<PathBuf>,
    /// The context; none where the Dockerfile came from standard input alone.
    pub(crate) context: Option<PathBuf>,
    /// Text and name of the ignore file. As with `BuildKit`, only directories of this machine have one.
    pub(crate) ignore: Option<(String, String)>,
    /// A context that was brought here, held for as long as the build lasts.
    pub(crate) brought: Option<Brought>,
}

/// What was fetched or unpacked.
pub(crate) struct Brought {
    /// Where it is.
    pub(crate) directory: PathBuf,
    /// Its one file, where that is no archive.
    pub(crate) file: Option<&'static str>,
    /// When it was made, in seconds since 1970, where somebody says so.
    pub(crate) time: Option<i64>,
    /// Dropped with it: nobody holds the directory any longer.
    #[expect(dead_code, reason = "it is there to be dropped")]
    pub(crate) guard: Box<dyn Any>,
}

impl std::fmt::Debug for Brought {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Brought").field(&self.directory).finish()
    }
}

/// Brings here what is elsewhere.
pub(crate) trait Bring {
    /// Unpacks an archive somewhere.
    fn unpack(&self, archive: &mut dyn Read) -> Result<Brought, Failure>;

    /// Fetches a repository or a file, which is unpacked if it is an archive.
    fn fetch(&self, remote: &Remote) -> Result<Brought, Failure>;
}

/// Finds everything.
pub(crate) fn find(wanted: &Wanted<'_>, stdin: &mut dyn Read, bring: &dyn Bring) -> Result<Inputs, Failure> {
    let place = Place::of(wanted.file);
    if wanted.path == STDIN {
        return from_stdin(&place, stdin, bring);
    }
    // A directory wins, as with docker: one may be called `github.com/x`.
    if !Path::new(wanted.path).is_dir()
        && let Some(remote) = Remote::parse(wanted.path).map_err(Failure::usage)?
    {
        return from_remote(remote, wanted, &place, stdin, bring);
    }
    from_directory(wanted.path, &place, stdin, bring)
}

/// What a file is called wherever one asks from; `None` if it is no longer there.
pub(crate) fn absolute(file: &Path) -> Option<PathBuf> {
    fs::canonicalize(file).ok()
}

/// A Dockerfile's text with what it includes. `file` is where it will be, if that is known, and the context that of a build
/// of it.
pub(crate) fn with_includes(text: &str, file: Option<&Path>, context: Option<&Path>) -> Result<Source, Box<Failed>> {
    let home = match (file, context) {
        (Some(file), Some(context)) => Home::of_file(file, context),
        (Some(file), None) => Home::beside(file),
        (None, Some(context)) => Home::context(context),
        (None, None) => Home::nowhere(),
    };
    let name = file.map_or_else(|| "Dockerfile".to_owned(), |file| file.display().to_string());
    Named::new(name, text.to_owned()).read_in(home)
}

/// What the ignore file of a Dockerfile leaves out of a context; nothing, if it cannot be read.
pub(crate) fn ignore_of(context: &Path, dockerfile: Option<&Path>) -> Ignore {
    let read = read_ignore(context, dockerfile).ok().flatten();
    read.and_then(|(text, _)| Ignore::parse(&text).ok()).unwrap_or_default()
}

/// Where the Dockerfile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place<'a> {
    /// In the context, where it always is.
    Default,
    /// In the context or on this machine.
    File(&'a Path),
    Stdin,
    Url(&'a str),
}

impl<'a> Place<'a> {
    fn of(file: Option<&'a Path>) -> Self {
        let Some(path) = file else { return Self::Default };
        match path.to_str() {
            Some(STDIN) => Self::Stdin,
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => Self::Url(url),
            _ => Self::File(path),
        }
    }

    /// Reads the Dockerfile if it is neither in the context nor a file.
    fn read(&self, stdin: &mut dyn Read, bring: &dyn Bring) -> Result<Option<Named>, Failure> {
        match self {
            Self::Default | Self::File(_) => Ok(None),
            Self::Stdin => {
                let text = read_text(stdin, "standard input")?;
                Ok(Some(Named::new("Dockerfile".to_owned(), text)))
            }
            Self::Url(url) => {
                let brought = bring.fetch(&Remote::Http((*url).to_owned()))?;
                let name = brought.file.ok_or_else(|| {
                    Failure::failed(anyhow::anyhow!("-f {url}: it is an archive, not a Dockerfile"))
                        .hint("an archive can be the context: give its URL instead of PATH")
                })?;
                Ok(Some(text_at(url, &brought, name)?))
            }
        }
    }
}

fn from_directory(path: &str, place: &Place<'_>, stdin: &mut dyn Read, bring: &dyn Bring) -> Result<Inputs, Failure> {
    let context = local::directory(path)?;
    let (dockerfile, file, ignore, home) = if let Some(dockerfile) = place.read(stdin, bring)? {
        (dockerfile, None, read_ignore(&context, None)?, Home::context(&context))
    } else {
        let shown = |name: &str| {
            if path == "." {
                PathBuf::from(name)
            } else {
                Path::new(path).join(name)
            }
        };
        let file = match place {
            Place::File(file) => file.to_path_buf(),
            _ => default_dockerfile(&context, &shown)?,
        };
        (
            read_dockerfile(&file, path)?,
            absolute(&file),
            read_ignore(&context, Some(&file))?,
            Home::of_file(&file, &context),
        )
    };
    Ok(Inputs {
        dockerfile: dockerfile.with_includes(home)?,
        file,
        context: Some(context),
        ignore,
        brought: None,
    })
}

/// `kiln build URL`: the Dockerfile is in there, unless `-f` is an absolute path, a URL or `-`.
fn from_remote(
    mut remote: Remote,
    wanted: &Wanted<'_>,
    place: &Place<'_>,
    stdin: &mut dyn Read,
    bring: &dyn Bring,
) -> Result<Inputs, Failure> {
    if let Remote::Git(git) = &mut remote
        && wanted.keep_git_dir
    {
        git.keep_git_dir = Some(true);
    }
    let shown = without_password(wanted.path);
    let (given, file, home) = match place {
        Place::File(path) if path.is_absolute() => {
            let given = read_dockerfile(path, wanted.path)?;
            (Some(given), absolute(path), Some(Home::beside(path)))
        }
        _ => (place.read(stdin, bring)?, None, None),
    };
    let brought = bring.fetch(&remote)?;
    let home = home.unwrap_or_else(|| Home::brought(&brought.directory));
    let dockerfile = match (brought.file, given) {
        (None, Some(dockerfile)) => dockerfile,
        (None, None) => dockerfile_inside(&brought.directory, place, &shown)?,
        (Some(name), None) if *place == Place::Default => text_at(wanted.path, &brought, name)?,
        (Some(_), _) => {
            return Err(Failure::usage(format!(
                "{shown} is no archive: -f has no context to find the Dockerfile in"
            ))
            .hint("leave out -f if that file is the Dockerfile"));
        }
    };
    Ok(Inputs {
        dockerfile: dockerfile.with_includes(home)?,
        file,
        context: Some(brought.directory.clone()),
        ignore: None,
        brought: Some(brought),
    })
}

/// The file behind a URL, which must be a Dockerfile if it is no archive.
fn text_at(url: &str, brought: &Brought, name: &str) -> Result<Named, Failure> {
    let path = brought.directory.join(name);
    let mut file = File::open(&path).or_internal(|| format!("cannot open {}", path.display()))?;
    let name = without_password(url);
    let text = read_text(&mut file, &name).map_err(|failure| {
        failure.hint("a URL leads to a repository (it ends in .git), a tar (plain or compressed) or a Dockerfile")
    })?;
    Ok(Named::new(name, text))
}

/// `kiln build -`: a tar (compressed or not) is a context, everything else a Dockerfile.
fn from_stdin(place: &Place<'_>, stdin: &mut dyn Read, bring: &dyn Bring) -> Result<Inputs, Failure> {
    const PLACE: &str = "the tar on standard input";
    if *place == Place::Stdin {
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
        return dockerfile_alone(place, &mut whole);
    }
    let given = place.read(&mut io::empty(), bring)?;
    let brought = bring.unpack(&mut whole)?;
    let dockerfile = match given {
        Some(dockerfile) => dockerfile,
        None => dockerfile_inside(&brought.directory, place, PLACE)?,
    };
    let home = Home::brought(&brought.directory);
    Ok(Inputs {
        dockerfile: dockerfile.with_includes(home)?,
        file: None,
        context: Some(brought.directory.clone()),
        ignore: None,
        brought: Some(brought),
    })
}

fn dockerfile_alone(place: &Place<'_>, stdin: &mut dyn Read) -> Result<Inputs, Failure> {
    if *place != Place::Default {
        return Err(
            Failure::usage("standard input is no tar: -f has no context to find the Dockerfile in")
                .hint("pipe a tar, or leave out -f to build from the Dockerfile on standard input"),
        );
    }
    let text = read_text(stdin, "standard input")?;
    if text.trim().is_empty() {
        return Err(
            Failure::failed(anyhow::anyhow!("standard input is empty")).hint("pipe a Dockerfile or a tar of a context")
        );
    }
    Ok(Inputs {
        dockerfile: Named::new("Dockerfile".to_owned(), text).with_includes(Home::nowhere())?,
        file: None,
        context: None,
        ignore: None,
        brought: None,
    })
}

/// The Dockerfile in a context that is not the user's: no link in there makes a file of this machine the Dockerfile.
fn dockerfile_inside(context: &Path, place: &Place<'_>, shown: &str) -> Result<Named, Failure> {
    let root = File::open(context).or_internal(|| format!("cannot open {}", context.display()))?;
    let names = match place {
        Place::File(file) => vec![*file],
        _ => vec![Path::new("Dockerfile"), Path::new("dockerfile")],
    };
    for name in &names {
        // Whatever it is, opening it does not block.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = kiln_sandbox::open_in_root(root.as_fd(), name, flags, Mode::empty());
        let mut file = match opened {
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            opened => opened.map(File::from),
        }
        .or_failed(|| format!("cannot read {} of {shown}", name.display()))?;
        let named = name.display().to_string();
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(Failure::failed(anyhow::anyhow!("{named} of {shown} is no file")));
        }
        let text = read_text(&mut file, &named)?;
        return Ok(Named::inside(named, text));
    }
    let missing = Failure::failed(anyhow::anyhow!("there is no {} in {shown}", names[0].display()));
    // A link that leads nowhere has the name that was looked for.
    let likely = fs::read_dir(context)
        .ok()
        .and_then(|entries| likely_dockerfile(entries, &|name| !names.contains(&Path::new(name))));
    Err(match likely {
        Some(name) => missing.hint(format!("did you mean `-f {name}`?")),
        None => missing.hint("-f FILE names another file of the context"),
    })
}

#[cfg(test)]
mod tests {
    use kiln_plan::GitSource;

    use super::*;

    /// Brings what it is told to, if it is asked for that.
    #[derive(Default)]
    struct Bringer {
        expected: Vec<u8>,
        remote: Option<Remote>,
        files: &'static [(&'static str, &'static str)],
        file: Option<&'static str>,
    }

    impl Bringer {
        fn bring(&self) -> Brought {
            let directory = tempfile::tempdir().unwrap();
            for (name, content) in self.files {
                fs::write(directory.path().join(name), content).unwrap();
            }
            Brought {
                directory: directory.path().to_owned(),
                file: self.file,
                time: None,
                guard: Box::new(directory),
            }
        }
    }

    impl Bring for Bringer {
        fn unpack(&self, archive: &mut dyn Read) -> Result<Brought, Failure> {
            let mut bytes = Vec::new();
            archive.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, self.expected);
            Ok(self.bring())
        }

        fn fetch(&self, remote: &Remote) -> Result<Brought, Failure> {
            assert_eq!(Some(remote), self.remote.as_ref());
            Ok(self.bring())
        }
    }

    fn wanted<'a>(path: &'a str, file: Option<&'a Path>) -> Wanted<'a> {
        Wanted {
            path,
            file,
            keep_git_dir: false,
        }
    }

    fn find_in(path: &Path, file: Option<&Path>, stdin: &str) -> Result<Inputs, Failure> {
        let wanted = wanted(path.to_str().unwrap(), file);
        find(&wanted, &mut stdin.as_bytes(), &Bringer::default())
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
        assert_eq!(find_in(path, None, "").unwrap().dockerfile.text(), "FROM b");
        fs::write(path.join("Dockerfile"), "FROM a").unwrap();
        assert_eq!(find_in(path, None, "").unwrap().dockerfile.text(), "FROM a");
        assert_eq!(
            find_in(path, Some(&path.join("app.Dockerfile")), "")
                .unwrap()
                .dockerfile
                .text(),
            "FROM c"
        );
        let piped = find_in(path, Some(Path::new("-")), "FROM d").unwrap();
        assert_eq!(
            (piped.dockerfile.text(), piped.context.as_deref()),
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
        assert!(message(find_in(Path::new("https://example.com/a.git?x=y"), None, "")).contains("unexpected query"));
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert!(message(find_in(path, None, "")).contains("is a directory"));
    }

    #[test]
    fn standard_input_is_a_dockerfile_or_a_tar() {
        let dash = Path::new("-");
        let inputs = find_in(dash, None, "FROM scratch\n").unwrap();
        assert_eq!((inputs.dockerfile.text(), inputs.context), ("FROM scratch\n", None));
        assert!(message(find_in(dash, Some(dash), "")).contains("both"));
        assert!(message(find_in(dash, None, "")).contains("empty"));
        let bringer = Bringer {
            expected: b"\x1f\x8brest".to_vec(),
            files: &[("Dockerfile", "FROM tar"), (".dockerignore", "*")],
            ..Bringer::default()
        };
        let inputs = find(&wanted("-", None), &mut &b"\x1f\x8brest"[..], &bringer).unwrap();
        assert_eq!(inputs.dockerfile.text(), "FROM tar");
        assert_eq!(inputs.ignore, None);
        let context = inputs.context.clone().unwrap();
        assert!(context.exists());
        drop(inputs);
        assert!(!context.exists());
    }

    #[test]
    fn dockerfiles_of_remote_contexts() {
        const URL: &str = "git://example.com/a";
        let bringer = Bringer {
            remote: Some(Remote::Git(GitSource::of(URL))),
            files: &[("dockerfile", "FROM a"), ("other", "FROM b")],
            ..Bringer::default()
        };
        let directory = tempfile::tempdir().unwrap();
        let absolute = directory.path().join("Dockerfile");
        fs::write(&absolute, "FROM c").unwrap();
        for (file, text) in [
            (None, "FROM a"),
            (Some(Path::new("other")), "FROM b"),
            (Some(Path::new("../other")), "FROM b"),
            (Some(Path::new("-")), "FROM stdin"),
            (Some(absolute.as_path()), "FROM c"),
        ] {
            let inputs = find(&wanted(URL, file), &mut &b"FROM stdin"[..], &bringer).unwrap();
            assert_eq!(inputs.dockerfile.text(), text);
            assert_eq!(inputs.ignore, None);
            assert!(inputs.context.unwrap().join("other").exists());
        }
        let missing = find(
            &wanted(URL, Some(Path::new("Dockerfile.dev"))),
            &mut io::empty(),
            &bringer,
        );
        let said = message(missing);
        assert!(
            said.contains("there is no Dockerfile.dev in git://example.com/a"),
            "{said}"
        );
        assert!(said.contains("`-f dockerfile`"), "{said}");
    }

    #[test]
    fn included_files_are_found_where_the_dockerfile_is_from() {
        const URL: &str = "git://example.com/a";
        const ASKS: &str = "# kiln=include\nINCLUDE part\n";
        let bringer = Bringer {
            remote: Some(Remote::Git(GitSource::of(URL))),
            files: &[("Dockerfile", ASKS), ("part", "FROM fetched\n")],
            ..Bringer::default()
        };
        let directory = tempfile::tempdir().unwrap();
        let (outer, inner) = (directory.path(), directory.path().join("context"));
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("part"), "FROM context\n").unwrap();
        fs::write(outer.join("part"), "FROM outside\n").unwrap();
        for directory in [outer, &inner] {
            fs::write(directory.join("Dockerfile"), ASKS).unwrap();
        }
        let here = inner.to_str().unwrap();
        let (outside, inside) = (outer.join("Dockerfile"), inner.join("../context/Dockerfile"));
        for (path, file, expected) in [
            (here, None, "context"),
            (here, Some(inside.as_path()), "context"),
            (here, Some(Path::new("-")), "context"),
            (here, Some(outside.as_path()), "outside"),
            (URL, None, "fetched"),
            (URL, Some(Path::new("-")), "fetched"),
            (URL, Some(outside.as_path()), "outside"),
        ] {
            let found = find(&wanted(path, file), &mut ASKS.as_bytes(), &bringer);
            let text = format!("# kiln=include\nFROM {expected}\n");
            assert_eq!(found.unwrap().dockerfile.text(), text, "{path} {file:?}");
        }
        let found = find(&wanted("-", None), &mut ASKS.as_bytes(), &bringer);
        assert!(message(found).contains("no build context"));
    }

    #[test]
    fn a_text_at_a_url_is_the_dockerfile() {
        const URL: &str = "https://example.com/x";
        let bringer = Bringer {
            remote: Some(Remote::Http(URL.to_owned())),
            files: &[("context", "FROM a")],
            file: Some("context"),
            ..Bringer::default()
        };
        let inputs = find(&wanted(URL, None), &mut io::empty(), &bringer).unwrap();
        assert_eq!((inputs.dockerfile.text(), inputs.dockerfile.name()), ("FROM a", URL));
        assert!(inputs.context.unwrap().join("context").exists());
        let other = find(&wanted(URL, Some(Path::new("other"))), &mut io::empty(), &bringer);
        assert!(message(other).contains("-f"));
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path().to_str().unwrap();
        let inputs = find(&wanted(here, Some(Path::new(URL))), &mut io::empty(), &bringer).unwrap();
        assert_eq!(
            (inputs.dockerfile.text(), inputs.context),
            ("FROM a", Some(here.into()))
        );
    }
}
