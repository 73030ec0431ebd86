//! What of images is fetched, by what a registry was asked: a real one, behind a server that counts.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, ensure};

use super::{Trial, trial};
use crate::server::{Answer, Head, Server};
use crate::stage::Stage;

pub(super) const TRIALS: &[Trial] = &[
    trial("lazy::copies_of_an_image", copies_of_an_image),
    trial("lazy::layers_that_take_of_lower_ones", layers_that_take_of_lower_ones),
    trial("lazy::bases_that_nothing_reads", bases_that_nothing_reads),
];

/// Of a base image with a shell below, and files in three layers.
const IMAGE: &str = "\
FROM busybox:1.35
RUN mkdir -p /usr/lib /opt/hidden && echo low > /usr/lib/low && echo old > /opt/hidden/old && ln -s usr/lib /lib64 && echo a:x:7:8::/:/bin/sh >> /etc/passwd
RUN echo middle > /usr/lib/middle && rm -r /opt/hidden && mkdir /opt/hidden && echo new > /opt/hidden/new
COPY top /top
";

/// Layers that other tools may write, the lowest first: directories that no entry describes, hard links to files of lower
/// layers and to nothing.
const LINKS: &str = r#"
import io, tarfile
def layer(number, *entries):
    with tarfile.open(f"{number}.tar", "w") as tar:
        for path, what in entries:
            entry = tarfile.TarInfo(path)
            entry.mode, entry.mtime, content = 0o640 + number, 1000000000 + number, None
            if what is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o711
            elif what[:3] in ("-> ", "== "):
                entry.type, entry.linkname = {"-": tarfile.SYMTYPE, "=": tarfile.LNKTYPE}[what[0]], what[3:]
            else:
                content, entry.size = io.BytesIO(what.encode()), len(what)
            tar.addfile(entry, content)
layer(0, ("y", "y0"), ("s", "-> y"), ("d", None), ("d/sub", None), ("d/sub/low", "low"))
layer(1, ("x", "== y"), ("unwanted", "== y"), ("own", "own"), ("twin", "== own"))
layer(2, ("y", "y2"), ("d/sub/high", "high"))
layer(3, ("top", "top"), ("z", "== s"))
layer(4, ("fine", "fine"), ("lost", "== nowhere"))
"#;

/// What the registry answers.
fn forward(registry: &str, head: &Head, body: &mut dyn Read) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(registry)?;
    // What a HEAD is answered with is a body's length: the server leaves the body out.
    let method = if head.method == "HEAD" { "GET" } else { &head.method };
    write!(stream, "{method} {} HTTP/1.0\r\n", head.path)?;
    for (name, value) in head.headers() {
        if !name.eq_ignore_ascii_case("connection") {
            write!(stream, "{name}: {value}\r\n")?;
        }
    }
    stream.write_all(b"\r\n")?;
    io::copy(body, &mut stream)?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    let mut answer = Answer::status(status.ok_or_else(|| io::Error::other(line.clone()))?);
    let mut content_type = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name {
            "Content-Type" => value.clone_into(&mut content_type),
            "Location" => answer = answer.header("Location", value),
            "Docker-Content-Digest" => answer = answer.header("Docker-Content-Digest", value),
            "Range" => answer = answer.header("Range", value),
            _ => {}
        }
    }
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    Ok(answer.body(&content_type, bytes))
}

/// The registry with the image in it, and the digests of its layers.
struct Played {
    server: Server,
    /// Of the images: nobody else has the same.
    names: String,
    layers: Vec<String>,
}

impl Played {
    /// With [`IMAGE`].
    fn new(stage: &Stage) -> Result<Self> {
        stage.write("top", "top\n")?;
        stage.write("Dockerfile.image", IMAGE)?;
        Self::with(stage, |image| {
            format!("kiln build -q --push -t {image} -f Dockerfile.image .")
        })
    }

    /// With the image that commands push to that name.
    fn with(stage: &Stage, push: impl Fn(&str) -> String) -> Result<Self> {
        let registry = stage.registry().to_owned();
        let server = Server::reading(move |head, body| forward(&registry, head, body))?;
        // The registry is that of all trials, and a later one may get the same port.
        let port = server.host().replace(['.', ':'], "-");
        let names = format!("{}/lazy{port}-{}", server.host(), std::process::id());
        let image = format!("{names}/image:1");
        stage.shell_ok(&format!(
            "{} && skopeo inspect --raw --tls-verify=false docker://{image} > manifest",
            push(&image)
        ))?;
        let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(stage.context().join("manifest"))?)?;
        let layers = manifest["layers"].as_array().context("no layers")?;
        let layers = layers
            .iter()
            .filter_map(|layer| layer["digest"].as_str().map(str::to_owned));
        Ok(Self {
            layers: layers.collect(),
            server,
            names,
        })
    }

    /// Copies from the image in a store of that name; to the tar of that name.
    fn copy(&self, root: &str, word: &str, more: &str) -> String {
        let image = format!("{}/image:1", self.names);
        format!(
            "printf 'FROM scratch\\nCOPY --from={image} {word} /to/\\n' > Dockerfile\n\
             SOURCE_DATE_EPOCH=1 kiln --root ../out/{root} build {more} -q -o type=oci,dest=../out/{root}.tar,rewrite-timestamp=true ."
        )
    }

    /// Checks that copying in that store, from the image whose layers it has in part, came to what it comes to in one that has
    /// all of them.
    fn as_of_all(&self, stage: &Stage, root: &str, word: &str) -> Result<()> {
        stage.shell_ok(&format!(
            "kiln --root ../out/whole pull -q {}/image:1 && {}\ncmp ../out/{root}.tar ../out/whole.tar",
            self.names,
            self.copy("whole", word, "--no-cache")
        ))?;
        Ok(())
    }

    /// Which layers were fetched by what a command asked for, by number (0 is the topmost), each as often as it was; and the
    /// requests.
    fn fetched_by(&self, stage: &Stage, command: &str) -> Result<(Vec<usize>, Vec<String>)> {
        let before = self.server.requests().len();
        stage.shell_ok(command)?;
        let requests = self.server.requests().split_off(before);
        let gets_of = |digest: &String| {
            let gets = requests.iter().filter(|request| request.starts_with("GET "));
            gets.filter(|request| request.ends_with(&format!("/blobs/{digest}")))
                .count()
        };
        let layers = self.layers.iter().rev().enumerate();
        let fetched = layers.flat_map(|(number, digest)| std::iter::repeat_n(number, gets_of(digest)));
        Ok((fetched.collect(), requests))
    }
}

/// Layers come from the top, as long as lower ones could change what is copied; each once. What comes out is what it is
/// with all of them.
fn copies_of_an_image(stage: &Stage) -> Result<()> {
    let played = Played::new(stage)?;
    let all: Vec<usize> = (0..played.layers.len()).collect();
    let below = all[3..].to_vec();
    for (word, expected) in [
        ("/top", vec![0]),
        ("/usr/lib/middle", vec![1]),
        ("/usr/../usr/lib/middle /top", vec![]),
        // Opaque, and settled by the layer that says so.
        ("/opt/hidden", vec![]),
        // Through a link of a lower layer.
        ("/lib64/low", vec![2]),
        // A directory, which may be in all of them.
        ("/usr", below.clone()),
    ] {
        let (fetched, requests) = played.fetched_by(stage, &played.copy("part", word, "--no-cache"))?;
        ensure!(fetched == expected, "{word}: {fetched:?}\n{requests:#?}");
        played.as_of_all(stage, "part", word)?;
    }
    // The content key is the same as that of all layers: another image with the same file is no reason to copy anew.
    let (fetched, _) = played.fetched_by(stage, &played.copy("key", "/top", ""))?;
    ensure!(fetched == [0], "{fetched:?}");
    stage.shell_ok(
        "printf 'FROM scratch AS other\\nCOPY top /top\\nFROM scratch\\nCOPY --from=other /top /to/\\n' > Dockerfile\n\
         kiln --root ../out/key build --progress=plain . 2>&1 | grep -A1 'stage-1.*COPY --from=other' | grep -q CACHED",
    )?;
    // A name that is not there is looked for in all of them, and all say what was meant.
    let missing = format!(
        "! {{ {}; }} 2> error; grep -q 'did you mean `usr/lib/middle`' error",
        played.copy("lost", "/usr/lib/midle", "")
    );
    let (fetched, _) = played.fetched_by(stage, &missing)?;
    ensure!(fetched == all, "{fetched:?}");
    Ok(())
}

/// What a layer takes of lower ones is fetched where it is wanted, and what lies between them has its say.
fn layers_that_take_of_lower_ones(stage: &Stage) -> Result<()> {
    let push = |layers: &str, image: &str| {
        format!(
            "rm -rf l && umoci init --layout l && umoci new --image l:v\n\
             for number in {layers}; do umoci raw add-layer --image l:v $number.tar; done\n\
             skopeo copy -q --dest-tls-verify=false oci:l:v docker://{image}"
        )
    };
    stage.write("layers.py", LINKS)?;
    stage.shell_ok("python3 layers.py")?;
    let played = Played::with(stage, |image| push("0 1 2 3", image))?;
    for (number, (word, expected, file, content)) in [
        // A hard link of its layer leads down, but nobody asks for that.
        ("/top", vec![0], "top", "top"),
        ("/own", vec![0, 1, 2], "own", "own"),
        ("/twin", vec![0, 1, 2], "twin", "own"),
        ("/y", vec![0, 1], "y", "y2"),
        // The file as the layers have it that are below the link.
        ("/x", vec![0, 1, 2, 3], "x", "y0"),
        // A link to a symbolic link, which counts where it is: on top of all.
        ("/z", vec![0, 1, 2, 3], "z", "y2"),
        ("/d/sub/high", vec![0, 1], "high", "high"),
        ("/d", vec![0, 1, 2, 3], "sub/high", "high"),
    ]
    .into_iter()
    .enumerate()
    {
        let root = format!("part{number}");
        let (fetched, requests) = played.fetched_by(stage, &played.copy(&root, word, ""))?;
        ensure!(fetched == expected, "{word}: {fetched:?}\n{requests:#?}");
        played.as_of_all(stage, &root, word)?;
        let found = stage.shell_ok(&format!(
            "kiln --root ../out/{root} build -q -o ../out/{root}.tree . > build && cat ../out/{root}.tree/to/{file}"
        ))?;
        ensure!(found == content, "{word}: {found}");
    }
    stage.shell_ok("test $(stat -c %a ../out/part7.tree/to/sub) = 711")?;
    // What can be copied of a layer that cannot be whole is; the rest says what is wrong.
    let played = Played::with(stage, |image| push("4", image))?;
    let (fetched, _) = played.fetched_by(stage, &played.copy("broken", "/fine", ""))?;
    ensure!(fetched == [0], "{fetched:?}");
    let lost = format!(
        "! {{ {}; }} 2> error; grep 'lost.*hard link to `nowhere`, which is no file of this layer or those below' error",
        played.copy("broken", "/lost", "")
    );
    let (fetched, _) = played.fetched_by(stage, &lost)?;
    ensure!(fetched.is_empty(), "{fetched:?}");
    Ok(())
}

/// What only goes on top of a base needs no more of it than its manifest, where its registry can mount its layers.
fn bases_that_nothing_reads(stage: &Stage) -> Result<()> {
    let played = Played::new(stage)?;
    let image = format!("{}/image:1", played.names);
    stage.write(
        "Dockerfile",
        format!("FROM {image}\nENV A=b\nCOPY --link top /app/\nLABEL c=d\nUSER a\nCMD [\"/top\"]\n"),
    )?;
    let to = format!("{}/made:1", played.names);
    let build = format!("kiln --root ../out/store build -q --push -t {to} .");
    let (fetched, requests) = played.fetched_by(stage, &build)?;
    ensure!(fetched.is_empty(), "{fetched:?}\n{requests:#?}");
    for layer in &played.layers {
        let mount = format!("mount={}", layer.replace(':', "%3A"));
        let is_mount = |request: &&String| request.contains(&mount) || request.contains(&format!("mount={layer}"));
        let mounts = requests.iter().filter(is_mount).count();
        ensure!(mounts == 1, "{layer}: {mounts}\n{requests:#?}");
    }
    // It has all of them.
    stage.shell_ok(&format!(
        "skopeo copy -q --src-tls-verify=false docker://{to} oci:made:1 && kiln cp oci:made:1:/app/top - | tar -xO | grep top && \
         kiln cp oci:made:1:/usr/lib/low - | tar -xO | grep low"
    ))?;
    let all: Vec<usize> = (0..played.layers.len()).collect();
    // An archive takes the blobs, and nothing is unpacked.
    let (fetched, _) = played.fetched_by(stage, "kiln --root ../out/archive build -q -o type=oci,dest=x.tar .")?;
    ensure!(fetched == all, "{fetched:?}");
    let kept = stage.shell_ok("ls ../out/archive/layers | wc -l")?;
    ensure!(kept.trim() == "1", "{kept} layers are unpacked");
    Ok(())
}
