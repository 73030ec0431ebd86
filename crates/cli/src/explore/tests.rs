//! The explorer without a terminal: what is typed, and what is then on the screen.

use std::path::Path;
use std::time::Instant;

use kiln_inspect::{LayerIndex, Moments, Place};
use kiln_layer::tar::{Entry, Kind, Writer};

use super::canvas::Canvas;
use super::keys::Decoder;
use super::model::{Explorer, MomentRow, Next, Outside, Subject, WasteRow, Wasted};
use super::preview::Preview;
use super::tree::TreeView;
use super::view;
use crate::progress::Style;

/// A file, a directory (the path ends with a slash), a whiteout or a link (`path -> target`).
fn layer(entries: &[(&str, usize)]) -> LayerIndex {
    let mut writer = Writer::new(Vec::new());
    for (path, size) in entries {
        let entry = if let Some((path, target)) = path.split_once(" -> ") {
            Entry {
                link: target.into(),
                ..Entry::new(path, Kind::Symlink, 0o777)
            }
        } else if path.ends_with('/') {
            Entry::new(*path, Kind::Directory, 0o755)
        } else {
            Entry {
                size: *size as u64,
                ..Entry::new(*path, Kind::File, 0o644)
            }
        };
        writer.entry(&entry).unwrap();
        if entry.size > 0 {
            writer.data(&vec![b'x'; *size]).unwrap();
        }
    }
    LayerIndex::of_tar(&writer.finish().unwrap()[..], Path::new("test")).unwrap()
}

fn layers() -> Vec<LayerIndex> {
    vec![
        layer(&[
            ("bin/", 0),
            ("bin/sh", 1_200_000),
            ("bin/ls -> sh", 0),
            ("etc/", 0),
            ("etc/passwd", 900),
            ("usr/", 0),
            ("usr/lib/", 0),
            ("usr/lib/libc.so.6", 2_000_000),
        ]),
        layer(&[
            ("etc/passwd", 950),
            ("usr/lib/libnew.so", 50_000),
            ("usr/lib/.wh.libc.so.6", 0),
        ]),
        layer(&[("app/", 0), ("app/\u{1b}[31mevil\u{1b}[0m", 10), ("app/漢字", 20)]),
    ]
}

fn subject<'a>(name: &str, layers: &'a [LayerIndex]) -> Subject<'a> {
    let rows = layers.iter().zip([
        "FROM base",
        "RUN apk add x && rm -rf /usr/lib/libc.so.6",
        "COPY app /app",
    ]);
    let rows = rows.map(|(layer, text)| MomentRow {
        bytes: layer.bytes(),
        text: text.to_owned(),
        details: vec![("made in", "stage x, line 7".to_owned())],
    });
    let mut subject = Subject::new(
        name.to_owned(),
        "3.25MB".to_owned(),
        rows.collect(),
        Moments::of_layers(layers),
    );
    subject.waste = Some(vec![WasteRow {
        bytes: 2_000_000,
        what: "deleted later",
        change: "a layer cannot take away what is below it",
        layer: 0,
        path: b"usr/lib/libc.so.6".to_vec(),
        place: "/usr/lib/libc.so.6".to_owned(),
    }]);
    subject
}

/// A world in which every file has the same content.
#[derive(Default)]
struct World {
    extracted: Vec<(Vec<u8>, String)>,
}

impl Outside for World {
    fn read(&mut self, _: usize, place: Place, _: u64) -> Result<Vec<u8>, String> {
        Ok(format!("content of layer {}\n", place.layer).into_bytes())
    }

    fn extract(&mut self, _: usize, view: &TreeView<'_>, node: u32, directory: &str) -> Result<String, String> {
        self.extracted.push((view.moments.path(node), directory.to_owned()));
        Ok("wrote it".to_owned())
    }

    fn dockerfile(&mut self, _: usize, layer: u32) -> Result<Preview, String> {
        let text = b"FROM base\nRUN x\nCOPY app /app\n".to_vec();
        Ok(Preview::new("Dockerfile".to_owned(), text, 30).at_lines(layer + 1, layer + 1))
    }
}

const STYLE: Style = Style {
    colours: true,
    unicode: true,
};

/// A user at a terminal.
struct User<'a> {
    explorer: Explorer<'a>,
    world: World,
    size: (usize, usize),
    over: bool,
}

impl<'a> User<'a> {
    fn new(subjects: Vec<Subject<'a>>, size: (usize, usize)) -> Self {
        let last = subjects.len() - 1;
        let mut user = Self {
            explorer: Explorer::new(subjects, last),
            world: World::default(),
            size,
            over: false,
        };
        user.screen();
        user
    }

    /// Types what a terminal would send, one key after the other, each drawn.
    fn types(&mut self, text: &str) -> &mut Self {
        for input in Decoder::default().push(text.as_bytes()) {
            self.over |= self.explorer.update(input, &mut self.world) == Next::Quit;
            while self.explorer.has_work() {
                self.explorer.work();
            }
            self.screen();
        }
        self
    }

    fn canvas(&mut self) -> Canvas {
        view::draw(&mut self.explorer, self.size.0, self.size.1, STYLE)
    }

    fn screen(&mut self) -> String {
        self.canvas().text()
    }

    /// The lines of the tree, without what stands before sizes.
    fn tree(&mut self) -> Vec<String> {
        let text = self.screen();
        let place = self.explorer.places.tree;
        let lines = text.lines().skip(place.row).take(place.rows);
        let lines = lines.map(|line| line.chars().skip(place.column).collect::<String>());
        lines.filter(|line| !line.trim().is_empty()).collect()
    }
}

const DOWN: &str = "\x1b[B";

#[test]
fn opens_at_the_last_layer() {
    let layers = layers();
    let mut user = User::new(vec![subject("app:1", &layers)], (100, 14));
    assert_eq!(
        user.screen(),
        "\
\x20app:1                                                                                       3.25MB
 LAYERS                                 │ FILES  changes in layer 2
 0   3.2MB  FROM base                   │ + drwxr-xr-x       0:0     30B  ▸ app
 1    51kB  RUN apk add x && rm -rf /u… │   drwxr-xr-x       0:0   1.2MB  ▸ bin
 2     30B  COPY app /app               │   drwxr-xr-x       0:0    950B  ▸ etc
                                        │   drwxr-xr-x       0:0    50kB  ▸ usr
                                        │
                                        │
                                        │
                                        │
                                        │
                                        │
                                        │
 ? help  q quit  Tab pane  / search  f filter  o sort  t changes  w waste  d line  e extract"
    );
}

#[test]
fn small_terminals() {
    let layers = layers();
    let mut user = User::new(vec![subject("app:1", &layers)], (40, 10));
    assert_eq!(
        user.screen(),
        "\
\x20app:1                           3.25MB
 LAYERS
 0   3.2MB  FROM base
 1    51kB  RUN apk add x && rm -rf /u…
 2     30B  COPY app /app




 ? help  q quit  Tab pane  / search"
    );
    // Whatever the size, nothing panics.
    for columns in [0, 1, 2, 5, 20, 63, 64, 200] {
        for rows in [0, 1, 2, 3, 5, 60] {
            user.size = (columns, rows);
            user.types("\t* ?\x1b[6~").types("\x1b[B").overlay_closed();
            user.types("w").overlay_closed();
            user.types("d").overlay_closed();
            user.types("f漢漢漢漢\r").overlay_closed();
        }
    }
}

impl User<'_> {
    fn overlay_closed(&mut self) {
        self.explorer.overlay = None;
        self.explorer.prompt = None;
    }
}

#[test]
fn layers_mark_what_they_change() {
    let layers = layers();
    let mut user = User::new(vec![subject("app:1", &layers)], (100, 20));
    user.types("\x1b[Ab*");
    assert_eq!(
        user.tree(),
        [
            "     1.2MB  ▾ bin",
            "        0B      ls → sh",
            "     1.2MB      sh",
            " ~    950B  ▾ etc",
            " ~    950B      passwd",
            " ~    50kB  ▾ usr",
            " ~    50kB    ▾ lib",
            " -     2MB        libc.so.6",
            " +    50kB        libnew.so",
        ]
    );
    // Only what changed; then without what was removed.
    user.types("t");
    assert_eq!(user.tree().len(), 6);
    user.types("2");
    assert!(!user.tree().iter().any(|line| line.contains("libc.so.6")));
    // Since the lowest layer.
    user.types("2t>a");
    assert!(user.screen().contains("changes in layers 1 to 2"), "{}", user.screen());
    assert!(
        user.tree()
            .iter()
            .any(|line| line.starts_with(" -     2MB        libc"))
    );
    // The lowest layer has nothing to be compared with.
    user.types("\x1b[H");
    assert_eq!(user.tree().iter().filter(|line| !line.starts_with("   ")).count(), 0);
}

#[test]
fn what_is_marked_has_a_colour() {
    let layers = layers();
    let mut user = User::new(vec![subject("app:1", &layers)], (100, 20));
    let canvas = user.canvas();
    let place = user.explorer.places.tree;
    let green = canvas.style(place.row, place.column + 1).get_fg_color();
    assert_eq!(green, Some(anstyle::AnsiColor::Green.into()));
    let none = Style {
        colours: false,
        ..STYLE
    };
    let plain = view::draw(&mut user.explorer, 100, 20, none);
    assert_eq!(plain.text(), canvas.text());
    let bytes = String::from_utf8_lossy(&plain.since(None)).into_owned();
    assert!(
        !(30..38).any(|colour| bytes.contains(&format!("\x1b[{colour}m"))),
        "a colour"
    );
}

#[test]
fn names_cannot_change_the_terminal() {
    let layers = layers();
    let mut user = User::new(vec![subject("app:1", &layers)], (100, 20));
    user.types("\tb ");
    assert_eq!(
        user.tree()[..3],
        [" +     30B  ▾ app", " +     10B      evil", " +     20B      漢字"]
    );
    assert!(!user.screen().contains('\u{1b}'));
}

#[test]
fn filters_while_it_is_typed() {
    let layers = layers();
    let mut user = User::new(vec![subject("app:1", &layers)], (100, 20));
    user.types("bflib");
    assert_eq!(
        user.tree(),
        [
            "      50kB  ▾ usr",
            "      50kB    ▾ lib",
            "      50kB        libnew.so"
        ]
    );
    assert!(
        user.screen().contains("changes in layer 2 · filter lib\n"),
        "{}",
        user.screen()
    );
    assert!(user.screen().ends_with(" filter: lib"), "{}", user.screen());
    user.types("c");
    assert_eq!(user.tree(), [" nothing to show"]);
    user.types("\x7f\x7f\x7f\x7f(");
    assert!(user.screen().contains("no regular expression"), "{}", user.screen());
    user.types("\x7f(sh|passwd)$\r");
    assert_eq!(
        user.tree(),
        [
            "     1.2MB  ▾ bin",
            "     1.2MB      sh",
            "      950B  ▾ etc",
            "      950B      passwd"
        ]
    );
    user.types("\x1b").types("\x1b[Z");
    let end = user
        .explorer
        .update(super::keys::Input::Key(super::keys::Key::Escape), &mut user.world);
    assert_eq!(end, Next::Draw);
    assert_eq!(user.tree().len(), 4);
}

#[test]
fn searches_closed_directories() {
    let layers = layers();
    let mut user = User::new(vec![subject("app:1", &layers)], (100, 20));
    user.types("b/lib\r");
    let chosen = |user: &User<'_>| {
        let tree = &user.explorer.subject().tree;
        String::from_utf8(tree.moments.path(tree.cursor.unwrap())).unwrap()
    };
    assert_eq!(chosen(&user), "usr/lib");
    user.types("n");
    assert_eq!(chosen(&user), "usr/lib/libnew.so");
    // From the end it goes on at the beginning.
    user.types("n");
    assert_eq!(chosen(&user), "usr/lib");
    user.types("N");
    assert_eq!(chosen(&user), "usr/lib/libnew.so");
    user.types("/nowhere\r");
    assert!(user.screen().ends_with(" nothing found"));
}

#[test]
fn sorts_by_size() {
    let layers = layers();
    let mut user = User::new(vec![subject("app:1", &layers)], (100, 20));
    user.types("bo");
    let names: Vec<String> = user.tree().iter().map(|line| line[12..].to_owned()).collect();
    assert_eq!(names, ["▸ bin", "▸ usr", "▸ etc", "▸ app"].map(str::to_owned));
}

#[test]
fn previews_extracts_and_follows() {
    let layers = layers();
    let mut user = User::new(vec![subject("app:1", &layers)], (100, 8));
    user.types("\t").types(DOWN).types(" ").types(DOWN);
    // A link leads to what it is of.
    user.types("\r").types("\r");
    let text = user.screen();
    assert!(
        text.contains(" /bin/sh  lines 1 to 1 of 1, its beginning\n 1  content of layer 0\n"),
        "{text}"
    );
    user.types("x");
    assert!(user.screen().contains("00000000  63 6f 6e"), "{}", user.screen());
    user.types("qe");
    assert!(user.screen().ends_with(" extract into: ."));
    user.types("./to\r");
    assert_eq!(user.world.extracted, [(b"bin/sh".to_vec(), "../to".to_owned())]);
    assert!(user.screen().ends_with(" wrote it"));
    user.types("d");
    assert!(user.screen().contains(" Dockerfile  lines 1 to"), "{}", user.screen());
    assert!(!user.types("q").over);
    assert!(user.types("q").over);
}

#[test]
fn goes_to_what_is_wasted() {
    let layers = layers();
    let mut user = User::new(vec![subject("app:1", &layers)], (80, 24));
    user.types("w");
    assert!(
        user.screen()
            .contains("    2MB  #0   deleted later             /usr/lib/libc.so.6"),
        "{}",
        user.screen()
    );
    user.types("\r");
    assert_eq!(user.explorer.subject().selected, 0);
    assert!(user.tree().iter().any(|line| line.ends_with("libc.so.6")));
}

#[test]
fn learns_what_is_wasted_when_it_is_open() {
    let layers = layers();
    let mut late = subject("app:1", &layers);
    let rows = late.waste.take().unwrap();
    let mut user = User::new(vec![late], (80, 24));
    user.types("w");
    assert!(
        user.screen().contains("what is wasted is still looked for"),
        "{}",
        user.screen()
    );
    user.explorer.subject_mut().learn(Wasted {
        summary: ", 2MB dead".to_owned(),
        details: vec![vec![("dead", "2MB of it".to_owned())], Vec::new(), Vec::new()],
        rows,
    });
    let lowest = &user.explorer.subject().rows[0];
    assert_eq!(lowest.details.last().unwrap().1, "2MB of it");
    assert!(user.screen().contains("3.25MB, 2MB dead"), "{}", user.screen());
    user.types("w");
    assert!(user.screen().contains("deleted later"), "{}", user.screen());
}

#[test]
fn compares_two_images() {
    let (before, after) = (
        layers(),
        vec![layers().remove(0), layer(&[("etc/passwd", 901), ("new", 1)])],
    );
    let rows = |names: [&str; 2]| {
        names
            .map(|text| MomentRow {
                text: text.to_owned(),
                ..MomentRow::default()
            })
            .to_vec()
    };
    let both = Subject::new(
        "a → b".to_owned(),
        String::new(),
        rows(["a", "b"]),
        Moments::of_images(&before, &after),
    );
    let mut user = User::new(vec![subject("a", &before), subject("b", &after), both], (100, 20));
    user.types("bt");
    let tree = user.tree();
    assert!(tree.contains(&" -     30B  ▾ app".to_owned()), "{tree:?}");
    assert!(tree.contains(&" ~    901B      passwd".to_owned()), "{tree:?}");
    assert!(tree.contains(&" +     2MB        libc.so.6".to_owned()), "{tree:?}");
    assert!(!tree.iter().any(|line| line.contains("bin")), "{tree:?}");
    user.types("c");
    assert!(user.screen().starts_with(" a "));
}

#[test]
fn the_mouse_chooses() {
    let layers = layers();
    let mut user = User::new(vec![subject("app:1", &layers)], (100, 20));
    // The second row of the list of layers; the last directory, twice.
    user.types("\x1b[<0;5;4M");
    assert_eq!(user.explorer.subject().selected, 1);
    user.types("b\x1b[<0;60;5M\x1b[<0;60;5M");
    assert_eq!(user.tree()[2..], [" ~    50kB  ▾ usr", " ~    50kB    ▸ lib"]);
    user.types("\x1b[<64;60;5M");
    assert!(user.tree().len() == 4);
    // Outside of everything, nothing happens.
    user.types("\x1b[<0;1;1M\x1b[<0;999;999M");
}

/// A key costs what is on the screen, not what is in the image.
#[test]
fn many_files() {
    let directories: Vec<String> = (0..500).map(|number| format!("d{number:03}/")).collect();
    let mut entries: Vec<(String, usize)> = Vec::new();
    for directory in &directories {
        entries.push((directory.clone(), 0));
        entries.extend((0..100).map(|number| (format!("{directory}file-{number}"), number)));
    }
    let entries: Vec<(&str, usize)> = entries.iter().map(|(path, size)| (path.as_str(), *size)).collect();
    let layers = vec![layer(&entries), layer(&[("new", 1)])];
    let mut user = User::new(vec![subject("big", &layers)], (120, 50));
    user.types("\t*");
    let began = Instant::now();
    let keys = [
        "\x1b[B", "\x1b[6~", "\x1b[F", "\x1b[H", "<", ">", "a", "o", "o", "t", "t",
    ];
    for key in keys {
        user.types(key);
    }
    let each = began.elapsed() / u32::try_from(keys.len()).unwrap();
    // Without optimisation, on a busy machine: a hundred times what it takes.
    assert!(each.as_millis() < 500, "{each:?}");
    // The end is reached from everywhere, row by row and page by page.
    user.types("\x1b[F");
    assert!(user.tree().last().unwrap().ends_with("new"));
    user.types("\x1b[A");
    assert!(user.tree().iter().any(|line| line.ends_with("file-99")));
}
