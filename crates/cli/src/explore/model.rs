//! The state of the explorer, and what keys and clicks make of it. It knows no terminal.

use kiln_inspect::{Kind, Moments, Place};

use super::canvas::Area;
use super::keys::{Click, Input, Key};
use super::pattern::Pattern;
use super::preview::Preview;
use super::tree::{Progress, Search, Shown, Sort, TreeView};

/// An image that is explored, or two that are compared.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    /// What it is called.
    pub(crate) name: String,
    /// What is known of it as a whole, in a few words.
    pub(crate) summary: String,
    /// Its moments: layers, or the two images.
    pub(crate) rows: Vec<MomentRow>,
    /// Its bytes that are wasted, most first; none while they are looked for.
    pub(crate) waste: Option<Vec<WasteRow>>,
    pub(crate) tree: TreeView<'a>,
    /// The moment that is looked at.
    pub(crate) selected: u32,
    /// Whether its moments are two images.
    pub(crate) is_comparison: bool,
    /// Whether what changed since the lowest layer is marked, instead of what the layer itself changed.
    pub(crate) aggregate: bool,
    /// The first row of the list of moments that is shown.
    pub(crate) top: usize,
}

/// A layer, or one of two images.
#[derive(Debug, Clone, Default)]
pub(crate) struct MomentRow {
    pub(crate) bytes: u64,
    /// What made it.
    pub(crate) text: String,
    /// What else is known: what it is called, and what it is.
    pub(crate) details: Vec<(&'static str, String)>,
}

/// What is wasted of an image, which takes longer to find out than to open it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wasted {
    /// What there is to add to the summary.
    pub(crate) summary: String,
    /// And to what is known of each layer.
    pub(crate) details: Vec<Vec<(&'static str, String)>>,
    /// Most bytes first.
    pub(crate) rows: Vec<WasteRow>,
}

/// Bytes that are wasted in the same way.
#[derive(Debug, Clone)]
pub(crate) struct WasteRow {
    pub(crate) bytes: u64,
    pub(crate) what: &'static str,
    pub(crate) change: &'static str,
    /// The layer that brought them.
    pub(crate) layer: u32,
    /// The largest file, without a slash before its path.
    pub(crate) path: Vec<u8>,
    pub(crate) place: String,
}

impl<'a> Subject<'a> {
    /// A subject whose last moment is looked at.
    pub(crate) fn new(name: String, summary: String, rows: Vec<MomentRow>, moments: Moments<'a>) -> Self {
        let mut subject = Self {
            name,
            summary,
            rows,
            waste: None,
            selected: moments.count().saturating_sub(1),
            tree: TreeView::new(moments),
            is_comparison: false,
            aggregate: false,
            top: 0,
        };
        subject.look();
        subject.tree.go_home();
        subject
    }

    /// Looks at a moment.
    pub(crate) fn select(&mut self, moment: u32) {
        self.selected = moment.min(self.tree.moments.count().saturating_sub(1));
        self.look();
    }

    /// What is known to be wasted.
    pub(crate) fn wasted(&self) -> &[WasteRow] {
        self.waste.as_deref().unwrap_or_default()
    }

    /// Takes in what was found out since.
    pub(crate) fn learn(&mut self, wasted: Wasted) {
        self.summary.push_str(&wasted.summary);
        for (row, details) in self.rows.iter_mut().zip(wasted.details) {
            row.details.extend(details);
        }
        self.waste = Some(wasted.rows);
    }

    fn look(&mut self) {
        let from = if self.aggregate {
            0
        } else {
            self.selected.saturating_sub(1)
        };
        self.tree.go_to(from, self.selected);
    }
}

/// Where keys go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pane {
    Layers,
    Tree,
}

/// What lies over the panes.
#[derive(Debug)]
pub(crate) enum Overlay {
    Help { top: usize },
    Preview(Preview),
    Waste { cursor: usize },
}

/// What a line that is typed is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    Filter,
    Search,
    Extract,
}

/// A line that is being typed.
#[derive(Debug, Clone)]
pub(crate) struct Prompt {
    pub(crate) question: Question,
    pub(crate) text: String,
    /// What is wrong with it.
    pub(crate) error: Option<String>,
}

/// What the explorer needs of the world. Errors are for people.
pub(crate) trait Outside {
    /// The beginning of a file of a subject.
    fn read(&mut self, subject: usize, place: Place, limit: u64) -> Result<Vec<u8>, String>;
    /// Writes what a subject has at a node below a directory, and says what was written.
    fn extract(&mut self, subject: usize, view: &TreeView<'_>, node: u32, directory: &str) -> Result<String, String>;
    /// The Dockerfile, with its name, or else what the image says of how it was made; the lines are those of the layer.
    fn dockerfile(&mut self, subject: usize, layer: u32) -> Result<Preview, String>;
}

/// What is to be done after an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Draw,
    Quit,
}

/// The explorer.
#[derive(Debug)]
pub(crate) struct Explorer<'a> {
    pub(crate) subjects: Vec<Subject<'a>>,
    pub(crate) current: usize,
    pub(crate) pane: Pane,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) prompt: Option<Prompt>,
    /// What happened last.
    pub(crate) message: Option<String>,
    /// Whether permissions and owners are shown.
    pub(crate) attributes: bool,
    pub(crate) search: Option<Search>,
    pattern: Option<Pattern>,
    /// Where things were drawn last.
    pub(crate) places: Places,
}

/// Where things were drawn.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Places {
    pub(crate) layers: Area,
    pub(crate) tree: Area,
    pub(crate) overlay: Area,
}

impl<'a> Explorer<'a> {
    /// An explorer of these, the first one shown.
    pub(crate) fn new(subjects: Vec<Subject<'a>>, current: usize) -> Self {
        Self {
            subjects,
            current,
            pane: Pane::Layers,
            overlay: None,
            prompt: None,
            message: None,
            attributes: true,
            search: None,
            pattern: None,
            places: Places::default(),
        }
    }

    pub(crate) fn subject(&self) -> &Subject<'a> {
        &self.subjects[self.current]
    }

    pub(crate) fn subject_mut(&mut self) -> &mut Subject<'a> {
        &mut self.subjects[self.current]
    }

    fn tree(&mut self) -> &mut TreeView<'a> {
        &mut self.subjects[self.current].tree
    }

    /// Whether there is something to go on with while nobody types.
    pub(crate) fn has_work(&self) -> bool {
        self.search.is_some() || self.subject().tree.has_work()
    }

    /// Goes on with searches, for as many files as take about a millisecond.
    pub(crate) fn work(&mut self) {
        const FILES: u32 = 2000;
        let subject = &mut self.subjects[self.current];
        if subject.tree.has_work() {
            subject.tree.work(FILES);
        }
        let Some(search) = &mut self.search else { return };
        match search.work(&subject.tree, FILES) {
            Progress::Searching => return,
            Progress::Found(node) => {
                subject.tree.reveal(node);
                self.message = None;
            }
            Progress::Nothing => self.message = Some("nothing found".to_owned()),
        }
        self.search = None;
    }

    /// What an input makes of it.
    pub(crate) fn update(&mut self, input: Input, outside: &mut dyn Outside) -> Next {
        self.message = None;
        match input {
            Input::Key(Key::Ctrl('c')) => return Next::Quit,
            Input::Key(key) if self.prompt.is_some() => self.type_key(key, outside),
            Input::Key(key) if self.overlay.is_some() => self.overlay_key(key),
            Input::Key(Key::Char('q')) => return Next::Quit,
            Input::Key(key) => self.key(key, outside),
            Input::Mouse { click, column, row } => self.mouse(click, column, row, outside),
        }
        Next::Draw
    }

    fn key(&mut self, key: Key, outside: &mut dyn Outside) {
        match key {
            Key::Tab | Key::BackTab => {
                self.pane = if self.pane == Pane::Tree {
                    Pane::Layers
                } else {
                    Pane::Tree
                };
            }
            Key::Char('?') => self.overlay = Some(Overlay::Help { top: 0 }),
            Key::Char('/') => self.ask(Question::Search, String::new()),
            Key::Char('f') | Key::Ctrl('f') => self.ask(Question::Filter, String::new()),
            Key::Char('n') => self.find(false),
            Key::Char('N') => self.find(true),
            Key::Char('w') => self.show_waste(),
            Key::Char('d') => self.show_dockerfile(outside),
            Key::Char('c') => self.next_subject(),
            Key::Char('<' | '[') => self.select_by(-1),
            Key::Char('>' | ']') => self.select_by(1),
            Key::Char('a') => self.set_aggregate(!self.subject().aggregate),
            Key::Char('o') | Key::Ctrl('o') => {
                let sort = if self.tree().sort == Sort::Name {
                    Sort::Size
                } else {
                    Sort::Name
                };
                self.tree().sort_by(sort);
            }
            Key::Char('b') | Key::Ctrl('b') => self.attributes = !self.attributes,
            Key::Char('t') => {
                let hidden = !self.tree().shown.unmodified;
                self.show(|shown| shown.unmodified = hidden);
            }
            Key::Char('1') => self.show(|shown| shown.added = !shown.added),
            Key::Char('2') => self.show(|shown| shown.removed = !shown.removed),
            Key::Char('3') => self.show(|shown| shown.modified = !shown.modified),
            Key::Char('4') => self.show(|shown| shown.unmodified = !shown.unmodified),
            Key::Char('e') | Key::Ctrl('e') => self.ask(Question::Extract, ".".to_owned()),
            Key::Char('*' | '+') => self.tree().set_all_open(true),
            Key::Char('-') | Key::Ctrl(' ') => self.tree().set_all_open(false),
            Key::Escape => {
                self.search = None;
                self.tree().filter_by(None);
            }
            key if self.pane == Pane::Layers => self.layers_key(key),
            key => self.tree_key(key, outside),
        }
    }

    fn layers_key(&mut self, key: Key) {
        let page = i64::try_from(self.places.layers.rows.max(1)).unwrap_or(1);
        match key {
            Key::Up | Key::Char('k') => self.select_by(-1),
            Key::Down | Key::Char('j') => self.select_by(1),
            Key::PageUp => self.select_by(-page),
            Key::PageDown => self.select_by(page),
            Key::Home | Key::Char('g') => self.subject_mut().select(0),
            Key::End | Key::Char('G') => self.subject_mut().select(u32::MAX),
            Key::Right | Key::Enter | Key::Char('l') => self.pane = Pane::Tree,
            Key::Ctrl('a') => self.set_aggregate(true),
            Key::Ctrl('l') => self.set_aggregate(false),
            _ => {}
        }
    }

    fn tree_key(&mut self, key: Key, outside: &mut dyn Outside) {
        let page = self.places.tree.rows.max(1).cast_signed();
        match key {
            Key::Up | Key::Char('k') => self.tree().step(-1),
            Key::Down | Key::Char('j') => self.tree().step(1),
            Key::PageUp => self.tree().step(-page),
            Key::PageDown => self.tree().step(page),
            Key::Home | Key::Char('g') => self.tree().go_home(),
            Key::End | Key::Char('G') => {
                let tree = self.tree();
                tree.cursor = tree.last();
            }
            Key::Left | Key::Char('h') => self.close_or_leave(),
            Key::Right | Key::Char('l') => {
                let tree = self.tree();
                if let Some(node) = tree.cursor {
                    if tree.is_directory(node) && !tree.is_open(node) {
                        tree.toggle(node);
                    } else {
                        tree.step(1);
                    }
                }
            }
            Key::Char(' ') => {
                let tree = self.tree();
                if let Some(node) = tree.cursor {
                    tree.toggle(node);
                }
            }
            Key::Enter | Key::Char('p') => self.enter(outside),
            Key::Ctrl('a') => self.show(|shown| shown.added = !shown.added),
            Key::Ctrl('r') => self.show(|shown| shown.removed = !shown.removed),
            Key::Ctrl('u') => self.show(|shown| shown.unmodified = !shown.unmodified),
            _ => {}
        }
    }

    fn select_by(&mut self, by: i64) {
        let subject = self.subject_mut();
        let moment = (i64::from(subject.selected) + by).max(0);
        subject.select(u32::try_from(moment).unwrap_or(u32::MAX));
        self.search = None;
    }

    fn set_aggregate(&mut self, aggregate: bool) {
        let subject = self.subject_mut();
        subject.aggregate = aggregate;
        subject.look();
    }

    fn show(&mut self, change: impl FnOnce(&mut Shown)) {
        let tree = self.tree();
        change(&mut tree.shown);
        tree.settle();
    }

    fn next_subject(&mut self) {
        if self.subjects.len() == 1 {
            self.message = Some("there is nothing to compare with: --compare IMAGE names another image".to_owned());
            return;
        }
        self.current = (self.current + 1) % self.subjects.len();
        self.search = None;
    }

    fn close_or_leave(&mut self) {
        let tree = self.tree();
        let Some(node) = tree.cursor else { return };
        if tree.is_open(node) {
            tree.toggle(node);
        } else if tree.moments.parent(node) != 0 {
            tree.cursor = Some(tree.moments.parent(node));
        } else {
            self.pane = Pane::Layers;
        }
    }

    /// Opens what the cursor stands on: a directory, or a file's preview.
    fn enter(&mut self, outside: &mut dyn Outside) {
        let current = self.current;
        let tree = self.tree();
        let Some((node, place)) = tree.cursor.and_then(|node| Some((node, tree.place(node)?))) else {
            return;
        };
        if tree.is_directory(node) {
            tree.toggle(node);
            return;
        }
        let layer = tree.moments.layer(place);
        let file = layer.first_name(place.entry);
        let content = Place { entry: file, ..place };
        let title = crate::layers::path(&tree.moments.path(node));
        match tree.moments.entry(place).kind {
            Kind::File => {
                let size = tree.moments.entry(content).size;
                match outside.read(current, content, super::preview::MOST) {
                    Ok(bytes) => self.overlay = Some(Overlay::Preview(Preview::new(title, bytes, size))),
                    Err(error) => self.message = Some(error),
                }
            }
            Kind::Symlink => self.follow(node, place),
            _ => self.message = Some(format!("{title} is no file with content")),
        }
    }

    /// Goes where a symbolic link leads.
    fn follow(&mut self, node: u32, place: Place) {
        let tree = self.tree();
        let target = tree.moments.layer(place).target(tree.moments.entry(place)).to_vec();
        let beside = tree.moments.path(tree.moments.parent(node));
        let path = if target.starts_with(b"/") {
            target.clone()
        } else {
            [&beside[..], b"/", &target].concat()
        };
        let mut names: Vec<&[u8]> = Vec::new();
        for name in path.split(|byte| *byte == b'/') {
            match name {
                b"" | b"." => {}
                b".." => drop(names.pop()),
                name => names.push(name),
            }
        }
        let found = tree.moments.find(&names.join(&b'/'));
        if !found.is_some_and(|node| tree.reveal(node)) {
            let target = crate::progress::text::sanitise(&target);
            self.message = Some(format!("{target} is not there, or behind another link"));
        }
    }

    fn show_waste(&mut self) {
        match self.subject().waste.as_deref() {
            None => self.message = Some("what is wasted is still looked for: once more in a moment".to_owned()),
            Some([]) => self.message = Some("nothing is wasted that is known of".to_owned()),
            Some(_) => self.overlay = Some(Overlay::Waste { cursor: 0 }),
        }
    }

    /// Shows the line that made the layer, or from the tree the file.
    fn show_dockerfile(&mut self, outside: &mut dyn Outside) {
        let subject = self.subject();
        let of_file = subject.tree.cursor.and_then(|node| subject.tree.place(node));
        let layer = match of_file {
            Some(place) if self.pane == Pane::Tree || subject.is_comparison => place.layer,
            _ => subject.selected,
        };
        match outside.dockerfile(self.current, layer) {
            Ok(preview) => self.overlay = Some(Overlay::Preview(preview)),
            Err(error) => self.message = Some(error),
        }
    }

    fn ask(&mut self, question: Question, text: String) {
        self.prompt = Some(Prompt {
            question,
            text,
            error: None,
        });
    }

    fn type_key(&mut self, key: Key, outside: &mut dyn Outside) {
        let Some(prompt) = &mut self.prompt else { return };
        match key {
            Key::Escape => {
                let question = prompt.question;
                self.prompt = None;
                if question == Question::Filter {
                    self.tree().filter_by(None);
                }
                return;
            }
            Key::Enter => return self.answer(outside),
            Key::Backspace => drop(prompt.text.pop()),
            Key::Ctrl('u') => prompt.text.clear(),
            Key::Char(c) => prompt.text.push(c),
            _ => return,
        }
        if prompt.question == Question::Filter {
            self.filter();
        }
    }

    /// The filter works while it is typed.
    fn filter(&mut self) {
        let Some(prompt) = &mut self.prompt else { return };
        prompt.error = None;
        let text = prompt.text.clone();
        match Pattern::parse(&text) {
            Ok(pattern) => self.tree().filter_by(Some(pattern).filter(|_| !text.is_empty())),
            Err(error) => prompt.error = Some(error),
        }
    }

    fn answer(&mut self, outside: &mut dyn Outside) {
        let Some(mut prompt) = self.prompt.take() else { return };
        match prompt.question {
            Question::Filter => self.pane = Pane::Tree,
            Question::Search => match Pattern::parse(&prompt.text) {
                Ok(pattern) => {
                    self.pattern = Some(pattern).filter(|_| !prompt.text.is_empty());
                    self.find(false);
                }
                Err(error) => {
                    prompt.error = Some(error);
                    self.prompt = Some(prompt);
                }
            },
            Question::Extract => {
                let current = self.current;
                let tree = &self.subjects[current].tree;
                let written = match tree.cursor {
                    Some(node) => outside.extract(current, tree, node, &prompt.text),
                    None => Err("nothing is chosen".to_owned()),
                };
                self.message = Some(written.unwrap_or_else(|error| error));
            }
        }
    }

    /// Goes to the next file that the last pattern is in.
    fn find(&mut self, backwards: bool) {
        let Some(pattern) = self.pattern.clone() else {
            self.message = Some("nothing was searched for yet: / does".to_owned());
            return;
        };
        self.pane = Pane::Tree;
        self.search = Some(Search::new(pattern, &self.subject().tree, backwards));
    }

    fn overlay_key(&mut self, key: Key) {
        let height = self.places.overlay.rows;
        let page = height.max(1).cast_signed();
        let by = match key {
            Key::Up | Key::Char('k') => -1,
            Key::Down | Key::Char('j') => 1,
            Key::PageUp => -page,
            Key::PageDown | Key::Char(' ') => page,
            Key::Home | Key::Char('g') => isize::MIN,
            Key::End | Key::Char('G') => isize::MAX,
            Key::Escape | Key::Char('q') => {
                self.overlay = None;
                return;
            }
            Key::Enter if matches!(self.overlay, Some(Overlay::Waste { .. })) => return self.go_to_waste(),
            _ => 0,
        };
        let wasted = self.subject().wasted().len();
        match &mut self.overlay {
            Some(Overlay::Help { top }) => *top = top.saturating_add_signed(by),
            Some(Overlay::Waste { cursor }) => *cursor = cursor.saturating_add_signed(by).min(wasted.saturating_sub(1)),
            Some(Overlay::Preview(preview)) => match key {
                Key::Char('x') => preview.toggle(),
                Key::Left | Key::Char('h') => preview.left = preview.left.saturating_sub(8),
                Key::Right | Key::Char('l') => preview.left = (preview.left + 8).min(1 << 16),
                _ => preview.scroll(by, height),
            },
            None => {}
        }
    }

    /// Shows the largest file of the finding, in the layer that brought it.
    fn go_to_waste(&mut self) {
        let Some(Overlay::Waste { cursor }) = self.overlay.take() else {
            return;
        };
        let subject = self.subject_mut();
        let Some((layer, path)) = subject.wasted().get(cursor).map(|row| (row.layer, row.path.clone())) else {
            return;
        };
        subject.select(layer);
        subject.tree.filter_by(None);
        let found = subject.tree.moments.find(&path);
        if !found.is_some_and(|node| subject.tree.reveal(node)) {
            self.message = Some(format!("{} is hidden: 1 to 4 show what is", crate::layers::path(&path)));
        }
        self.pane = Pane::Tree;
    }

    fn mouse(&mut self, click: Click, column: usize, row: usize, outside: &mut dyn Outside) {
        let wheel = match click {
            Click::Press => None,
            Click::Up => Some(Key::Up),
            Click::Down => Some(Key::Down),
        };
        if self.prompt.is_some() {
            return;
        }
        if self.overlay.is_some() {
            if let Some(key) = wheel {
                (0..3).for_each(|_| self.overlay_key(key));
            }
            return;
        }
        let places = self.places;
        if places.layers.has(row, column) {
            if let Some(key) = wheel {
                self.layers_key(key);
                return;
            }
            self.pane = Pane::Layers;
            let subject = self.subject_mut();
            let moment = subject.top + row - places.layers.row;
            if moment < subject.rows.len() {
                subject.select(u32::try_from(moment).unwrap_or(u32::MAX));
            }
        } else if places.tree.has(row, column) {
            if let Some(key) = wheel {
                (0..3).for_each(|_| self.tree_key(key, outside));
                return;
            }
            let rows = self.tree().rows(places.tree.rows);
            let Some(clicked) = rows.get(row - places.tree.row) else {
                return;
            };
            let tree = self.tree();
            // A second click does what Enter does.
            if tree.cursor == Some(clicked.node) && self.pane == Pane::Tree {
                self.enter(outside);
            } else {
                self.tree().cursor = Some(clicked.node);
                self.pane = Pane::Tree;
            }
        }
    }
}
