//! The explorer on a screen.

use anstyle::{AnsiColor, Color, Style as Look};
use kiln_inspect::{Change, Entry, Kind};

use super::canvas::{Area, Canvas};
use super::model::{Explorer, Overlay, Pane, Places, Question};
use super::preview::Preview;
use super::tree::{Row, Sort, TreeView};
use crate::layers;
use crate::progress::Style;
use crate::progress::text::{cut, one_line, sanitise, width};
use crate::values::size;

/// On fewer columns only one pane has a place.
const NARROW: usize = 64;
/// On fewer rows nothing is said of a layer but its line in the list.
const FLAT: usize = 16;
/// On fewer columns of the tree permissions and owners have no place.
const BARE: usize = 56;

const DIM: Look = Look::new().dimmed();
const BOLD: Look = Look::new().bold();
const CHOSEN: Look = Look::new().invert();

/// Help: keys, and what they do.
const HELP: &[(&str, &str)] = &[
    ("Tab", "from the layers to the files and back"),
    ("↑ ↓ PgUp PgDn Home End", "move; k j g G too"),
    ("← →", "close and open a directory; h l too"),
    ("Space", "open or close a directory"),
    ("Enter", "preview a file, follow a link, open a directory"),
    ("< >", "the layer below, the layer above"),
    ("* -", "open all directories, close all (Ctrl-Space)"),
    ("", ""),
    ("f", "filter: only paths that have this; a regular expression (Ctrl-F)"),
    ("/ n N", "search: the next path that has this, the one before"),
    ("Esc", "end filter and search, leave what lies above"),
    ("o", "by size or by name (Ctrl-O)"),
    ("", ""),
    ("a", "mark what changed since the lowest layer, or in the layer alone"),
    ("t", "only what changed"),
    (
        "1 2 3 4",
        "show or hide what was added, removed, modified, not modified",
    ),
    ("b", "permissions and owners (Ctrl-B)"),
    ("c", "the other image, and what is different (--compare)"),
    ("", ""),
    ("w", "what is wasted, and by whom; Enter goes there"),
    ("d", "the line of the Dockerfile that made the layer, or the file"),
    ("e", "extract the file or directory (Ctrl-E)"),
    ("x", "in a preview: text or hexadecimal digits"),
    ("q Ctrl-C", "leave"),
    ("", ""),
    ("+ ~ - =", "added, modified, removed, written again as it was"),
];

/// Draws all of it.
pub(crate) fn draw(explorer: &mut Explorer<'_>, columns: usize, rows: usize, style: Style) -> Canvas {
    let mut canvas = Canvas::new(columns, rows);
    let all = canvas.area();
    let mut pen = Pen { style };
    explorer.places = Places::default();
    header(explorer, &mut canvas, all, &pen);
    let body = Area {
        row: 1,
        rows: all.rows.saturating_sub(2),
        ..all
    };
    if explorer.overlay.is_some() {
        explorer.places.overlay = body.below(1);
        overlay(explorer, &mut canvas, body, &pen);
    } else if columns < NARROW {
        match explorer.pane {
            Pane::Layers => layer_pane(explorer, &mut canvas, body, &mut pen),
            Pane::Tree => tree_pane(explorer, &mut canvas, body, &pen),
        }
    } else {
        let left = (columns * 2 / 5).clamp(30, 72);
        let bar = if pen.style.unicode { "│" } else { "|" };
        for row in 0..body.rows {
            canvas.write(body, row, left, bar, pen.dim());
        }
        let [layers, tree] = [(0, left), (left + 1, columns - left - 1)].map(|(column, columns)| Area {
            column,
            columns,
            ..body
        });
        layer_pane(explorer, &mut canvas, layers, &mut pen);
        tree_pane(explorer, &mut canvas, tree, &pen);
    }
    if rows > 1 {
        footer(explorer, &mut canvas, all.below(rows - 1), &pen);
    }
    canvas
}

/// How things look on this terminal.
struct Pen {
    style: Style,
}

impl Pen {
    fn colour(&self, colour: AnsiColor) -> Look {
        let colour = Some(Color::Ansi(colour)).filter(|_| self.style.colours);
        Look::new().fg_color(colour)
    }

    fn dim(&self) -> Look {
        if self.style.colours { DIM } else { Look::new() }
    }

    fn mark(&self) -> char {
        if self.style.unicode { '…' } else { '~' }
    }

    fn change(&self, change: Change) -> (char, Look) {
        match change {
            Change::None => (' ', Look::new()),
            Change::Added => ('+', self.colour(AnsiColor::Green)),
            Change::Modified => ('~', self.colour(AnsiColor::Yellow)),
            Change::Rewritten => ('=', self.colour(AnsiColor::Cyan)),
            Change::Removed => ('-', self.colour(AnsiColor::Red)),
        }
    }

    /// A pane's title, which says whether keys go there.
    fn title(&self, has_keys: bool) -> Look {
        if has_keys {
            self.colour(AnsiColor::Cyan).bold()
        } else {
            self.dim().bold()
        }
    }
}

fn header(explorer: &Explorer<'_>, canvas: &mut Canvas, area: Area, pen: &Pen) {
    let subject = explorer.subject();
    let name = cut(&one_line(&subject.name), area.columns.saturating_sub(2), pen.mark());
    let column = canvas.write(area, 0, 1, &name, BOLD);
    let summary = cut(&subject.summary, area.columns.saturating_sub(column + 3), pen.mark());
    let column = area.columns.saturating_sub(width(&summary) + 1);
    canvas.write(area, 0, column, &summary, pen.dim());
}

fn footer(explorer: &Explorer<'_>, canvas: &mut Canvas, area: Area, pen: &Pen) {
    if let Some(prompt) = &explorer.prompt {
        let question = match prompt.question {
            Question::Filter => "filter: ",
            Question::Search => "search: ",
            Question::Extract => "extract into: ",
        };
        let room = area.columns.saturating_sub(width(question) + 3);
        let all = one_line(&prompt.text);
        let mut typed = all.as_str();
        while width(typed) > room {
            typed = typed.char_indices().nth(1).map_or("", |(at, _)| &typed[at..]);
        }
        let column = canvas.write(area, 0, 1, question, BOLD);
        let column = canvas.write(area, 0, column, typed, Look::new());
        let column = canvas.write(area, 0, column, " ", CHOSEN);
        let looking = explorer.has_work().then(|| "looking".to_owned());
        let about = prompt.error.clone().or(looking).unwrap_or_default();
        canvas.write(area, 0, column + 1, &one_line(&about), pen.colour(AnsiColor::Yellow));
        return;
    }
    if let Some(message) = &explorer.message {
        let text = cut(&one_line(message), area.columns.saturating_sub(2), pen.mark());
        canvas.write(area, 0, 1, &text, pen.colour(AnsiColor::Yellow));
        return;
    }
    if explorer.search.is_some() {
        canvas.write(area, 0, 1, "searching", pen.colour(AnsiColor::Cyan));
        return;
    }
    let hints: &[(&str, &str)] = match &explorer.overlay {
        Some(Overlay::Waste { .. }) => &[("Enter", "go there"), ("Esc", "back")],
        Some(Overlay::Preview(_)) => &[("Esc", "back"), ("x", "text/hex"), ("← →", "move")],
        Some(Overlay::Help { .. }) => &[("Esc", "back")],
        None => &[
            ("?", "help"),
            ("q", "quit"),
            ("Tab", "pane"),
            ("/", "search"),
            ("f", "filter"),
            ("o", "sort"),
            ("t", "changes"),
            ("w", "waste"),
            ("d", "line"),
            ("e", "extract"),
        ],
    };
    let mut column = 1;
    for (key, what) in hints {
        if column + width(key) + width(what) + 1 > area.columns {
            break;
        }
        column = canvas.write(area, 0, column, key, pen.colour(AnsiColor::Cyan)) + 1;
        column = canvas.write(area, 0, column, what, pen.dim()) + 2;
    }
}

fn layer_pane(explorer: &mut Explorer<'_>, canvas: &mut Canvas, area: Area, pen: &mut Pen) {
    let has_keys = explorer.pane == Pane::Layers;
    let subject = explorer.subject_mut();
    let details = details(&subject.rows[subject.selected as usize], area.columns);
    let room = if area.rows < FLAT {
        0
    } else {
        (area.rows / 2).min(details.len() + 2)
    };
    canvas.write(area, 0, 1, "LAYERS", pen.title(has_keys));
    let list = area.below(1).top(area.rows.saturating_sub(1 + room));
    let selected = subject.selected as usize;
    subject.top = subject.top.min(selected).max((selected + 1).saturating_sub(list.rows));
    let numbers = subject.rows.len().saturating_sub(1).to_string().len();
    for (line, (number, row)) in subject
        .rows
        .iter()
        .enumerate()
        .skip(subject.top)
        .take(list.rows)
        .enumerate()
    {
        let is_part = subject.aggregate && number <= selected;
        let bar = if is_part || number == selected {
            pen.colour(AnsiColor::Cyan)
        } else {
            pen.dim()
        };
        canvas.write(list, line, 1, &format!("{number:numbers$}"), bar);
        let bytes = format!("{:>7}", size::show(row.bytes));
        canvas.write(list, line, numbers + 2, &bytes, Look::new());
        let text = cut(&row.text, list.columns.saturating_sub(numbers + 12), pen.mark());
        canvas.write(list, line, numbers + 11, &text, Look::new());
        if number == selected {
            canvas.paint(list, line, if has_keys { CHOSEN } else { BOLD });
        }
    }
    let below = area.below(area.rows.saturating_sub(room));
    for (line, (label, text)) in details.iter().enumerate() {
        let column = canvas.write(below, line + 1, 1, label, pen.dim());
        canvas.write(
            below,
            line + 1,
            if label.is_empty() { 1 } else { column + 1 },
            text,
            Look::new(),
        );
    }
    explorer.places.layers = list;
}

/// What is known of a layer, in lines of so many columns.
fn details(row: &super::model::MomentRow, columns: usize) -> Vec<(&'static str, String)> {
    let mut lines: Vec<(&'static str, String)> = Vec::new();
    for (label, value) in &row.details {
        let room = columns.saturating_sub(width(label) + 3);
        lines.push((label, cut(value, room, '…')));
    }
    if !row.text.is_empty() {
        lines.push(("", String::new()));
        lines.extend(
            wrapped(&row.text, columns.saturating_sub(2))
                .into_iter()
                .map(|line| ("", line)),
        );
    }
    lines
}

/// A text in lines of so many columns, broken at blanks where there are some.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(8);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && width(&line) + 1 + width(word) > columns {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for c in word.chars() {
            if width(&line) >= columns {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    lines.push(line);
    lines
}

fn tree_pane(explorer: &mut Explorer<'_>, canvas: &mut Canvas, area: Area, pen: &Pen) {
    let has_keys = explorer.pane == Pane::Tree;
    let column = canvas.write(area, 0, 1, "FILES", pen.title(has_keys));
    let about = cut(&state(explorer), area.columns.saturating_sub(column + 3), pen.mark());
    canvas.write(area, 0, column + 2, &about, pen.dim());
    let list = area.below(1);
    let attributes = explorer.attributes && area.columns >= BARE;
    let tree = &mut explorer.subject_mut().tree;
    let rows = tree.rows(list.rows);
    if rows.is_empty() && list.rows > 0 {
        let text = if tree.has_work() { "looking" } else { "nothing to show" };
        canvas.write(list, 0, 1, text, pen.dim());
    }
    for (line, row) in rows.iter().enumerate() {
        tree_row(tree, *row, canvas, list, line, attributes, pen);
        if tree.cursor == Some(row.node) {
            canvas.paint(list, line, if has_keys { CHOSEN } else { BOLD });
        }
    }
    explorer.places.tree = list;
}

/// What the tree shows, in words.
fn state(explorer: &Explorer<'_>) -> String {
    let subject = explorer.subject();
    let tree = &subject.tree;
    let mut words = vec![match (tree.from, tree.to) {
        (from, to) if from == to => "no changes".to_owned(),
        _ if subject.is_comparison => "changes".to_owned(),
        (from, to) if from + 1 == to && !subject.aggregate => format!("changes in layer {to}"),
        (from, to) => format!("changes in layers {} to {to}", from + 1),
    }];
    if tree.sort == Sort::Size {
        words.push("by size".to_owned());
    }
    let shown = tree.shown;
    let hidden = [
        (shown.added, "added"),
        (shown.removed, "removed"),
        (shown.modified, "modified"),
        (shown.unmodified, "unmodified"),
    ];
    let hidden: Vec<&str> = hidden
        .iter()
        .filter(|(shown, _)| !shown)
        .map(|(_, name)| *name)
        .collect();
    if !hidden.is_empty() {
        words.push(format!("without {}", hidden.join(", ")));
    }
    if let Some(filter) = &tree.filter {
        let looking = if filter.is_done() { "" } else { " (looking)" };
        words.push(format!("filter {}{looking}", one_line(&filter.pattern.to_string())));
    }
    words.join(" · ")
}

fn tree_row(tree: &TreeView<'_>, row: Row, canvas: &mut Canvas, area: Area, line: usize, attributes: bool, pen: &Pen) {
    let Some((place, entry)) = tree.place(row.node).zip(tree.entry(row.node)) else {
        return;
    };
    let (mark, look) = pen.change(tree.change(row.node));
    let mut column = canvas.write(area, line, 1, &mark.to_string(), look) + 1;
    if attributes {
        let owner = format!("{}:{}", entry.uid, entry.gid);
        column = canvas.write(area, line, column, &format!("{} {owner:>9}", mode(entry)), pen.dim()) + 1;
    }
    let bytes = format!("{:>7}", size::show(tree.bytes(row.node)));
    column = canvas.write(area, line, column, &bytes, Look::new()) + 2;
    // However deep it is, something of the name has a place.
    column += (row.depth * 2).min(area.columns.saturating_sub(column + 12));
    let is_directory = tree.is_directory(row.node);
    let marker = match (is_directory, tree.is_open(row.node), pen.style.unicode) {
        (false, ..) => "  ",
        (true, true, true) => "▾ ",
        (true, false, true) => "▸ ",
        (true, true, false) => "v ",
        (true, false, false) => "> ",
    };
    column = canvas.write(area, line, column, marker, pen.dim());
    let name = sanitise(tree.moments.name(row.node));
    let name = cut(&name, area.columns.saturating_sub(column), pen.mark());
    let look = if is_directory { look.bold() } else { look };
    column = canvas.write(area, line, column, &name, look);
    let layer = tree.moments.layer(place);
    let about = match entry.kind {
        Kind::Symlink => format!(
            " {} {}",
            if pen.style.unicode { "→" } else { "->" },
            sanitise(layer.target(entry))
        ),
        _ => match entry.same_as {
            Some(first) => format!(" = {}", layers::path(&layer.path(first))),
            None => String::new(),
        },
    };
    canvas.write(
        area,
        line,
        column,
        &cut(&about, area.columns.saturating_sub(column), pen.mark()),
        pen.dim(),
    );
}

/// Permissions as `ls` has them.
fn mode(entry: &Entry) -> String {
    let kind = match entry.kind {
        Kind::Directory => 'd',
        Kind::File => '-',
        Kind::Symlink => 'l',
        Kind::Char => 'c',
        Kind::Block => 'b',
        Kind::Fifo => 'p',
        Kind::Whiteout => '?',
    };
    let mut text = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = entry.mode >> shift;
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        text.push(match (bits & 1 != 0, entry.mode & special != 0) {
            (true, false) => 'x',
            (false, false) => '-',
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
        });
    }
    text
}

fn overlay(explorer: &mut Explorer<'_>, canvas: &mut Canvas, area: Area, pen: &Pen) {
    canvas.clear(area);
    let subject = &explorer.subjects[explorer.current];
    match &mut explorer.overlay {
        Some(Overlay::Help { top }) => {
            canvas.write(area, 0, 1, "KEYS", pen.title(true));
            let list = area.below(1);
            *top = (*top).min(HELP.len().saturating_sub(list.rows));
            let widest = HELP.iter().map(|(keys, _)| width(keys)).max().unwrap_or(0);
            for (line, (keys, what)) in HELP.iter().skip(*top).enumerate() {
                canvas.write(list, line, 1, keys, pen.colour(AnsiColor::Cyan));
                let column = if list.columns < NARROW {
                    9.max(width(keys) + 2)
                } else {
                    widest + 3
                };
                canvas.write(list, line, column, what, Look::new());
            }
        }
        Some(Overlay::Preview(preview)) => show_preview(preview, canvas, area, pen),
        Some(Overlay::Waste { cursor }) => {
            canvas.write(area, 0, 1, "WASTE", pen.title(true));
            let below = if area.rows < FLAT { 0 } else { 4 };
            let list = area.below(1).top(area.rows.saturating_sub(1 + below));
            let top = (*cursor + 1).saturating_sub(list.rows);
            for (line, (number, row)) in subject
                .wasted()
                .iter()
                .enumerate()
                .skip(top)
                .take(list.rows)
                .enumerate()
            {
                let text = format!(
                    "{:>7}  #{:<3} {:<25} {}",
                    size::show(row.bytes),
                    row.layer,
                    row.what,
                    row.place
                );
                canvas.write(
                    list,
                    line,
                    1,
                    &cut(&text, list.columns.saturating_sub(2), pen.mark()),
                    Look::new(),
                );
                if number == *cursor {
                    canvas.paint(list, line, CHOSEN);
                }
            }
            if let Some(row) = subject.wasted().get(*cursor) {
                let about = area.below(area.rows.saturating_sub(below));
                for (line, text) in wrapped(row.change, about.columns.saturating_sub(2)).iter().enumerate() {
                    canvas.write(about, line + 1, 1, text, pen.dim());
                }
            }
        }
        None => {}
    }
}

fn show_preview(preview: &mut Preview, canvas: &mut Canvas, area: Area, pen: &Pen) {
    let list = area.below(1);
    preview.scroll(0, list.rows);
    let title = cut(&one_line(&preview.title), area.columns.saturating_sub(24), pen.mark());
    let column = canvas.write(area, 0, 1, &title, pen.title(true));
    let more = if preview.is_cut() { ", its beginning" } else { "" };
    let last = (preview.top + list.rows).min(preview.lines());
    let about = format!("lines {} to {last} of {}{more}", preview.top + 1, preview.lines());
    canvas.write(area, 0, column + 2, &about, pen.dim());
    let numbers = preview.lines().to_string().len();
    for line in 0..list.rows.min(preview.lines().saturating_sub(preview.top)) {
        let number = preview.top + line;
        let column = if preview.is_hex {
            1
        } else {
            canvas.write(list, line, 1, &format!("{:numbers$}", number + 1), pen.dim()) + 2
        };
        canvas.write(list, line, column, &preview.line(number), Look::new());
        if preview
            .mark
            .is_some_and(|(first, last)| (first..=last).contains(&number))
        {
            canvas.paint(list, line, pen.colour(AnsiColor::Yellow).bold());
        }
    }
}
