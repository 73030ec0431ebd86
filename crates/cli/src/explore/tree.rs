//! The tree of files as it is seen: which nodes, in which order, and from where to where.
//!
//! There is no list of rows. From any row the next one and the one before are found, so that a key costs what is on the
//! screen, whatever the size of the image.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use kiln_inspect::{Change, Entry, Moments, Place};

use super::pattern::{Filter, Pattern, rooted};

/// In what order names of a directory come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Name,
    /// The largest first.
    Size,
}

/// What is shown of what changed.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) added: bool,
    pub(crate) removed: bool,
    pub(crate) modified: bool,
    pub(crate) unmodified: bool,
}

/// What a tree shows: the moments that it compares, and what of it is to be seen.
#[derive(Debug)]
pub(crate) struct TreeView<'a> {
    pub(crate) moments: Moments<'a>,
    /// What became of a file since this moment …
    pub(crate) from: u32,
    /// … up to this one is what the tree says.
    pub(crate) to: u32,
    pub(crate) sort: Sort,
    pub(crate) shown: Shown,
    pub(crate) filter: Option<Filter>,
    /// The row that is chosen; `None` if there is none.
    pub(crate) cursor: Option<u32>,
    top: Option<u32>,
    /// Whether directories are open unless they are `toggled`, or closed.
    all_open: bool,
    toggled: HashSet<u32>,
    orders: RefCell<HashMap<u32, Rc<[u32]>>>,
}

/// A row of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) node: u32,
    pub(crate) depth: usize,
}

impl<'a> TreeView<'a> {
    /// The tree at the last moment, all closed.
    pub(crate) fn new(moments: Moments<'a>) -> Self {
        let mut view = Self {
            moments,
            from: 0,
            to: 0,
            sort: Sort::Name,
            shown: Shown {
                added: true,
                removed: true,
                modified: true,
                unmodified: true,
            },
            filter: None,
            cursor: None,
            top: None,
            all_open: false,
            toggled: HashSet::new(),
            orders: RefCell::default(),
        };
        view.settle();
        view
    }

    /// Shows what became of the tree from one moment to another.
    pub(crate) fn go_to(&mut self, from: u32, to: u32) {
        (self.from, self.to) = (from, to);
        // Other files are there.
        let pattern = self.filter.take().map(|filter| filter.pattern);
        self.filter = pattern.map(|pattern| Filter::new(pattern, &self.moments));
        if self.sort == Sort::Size {
            self.orders.get_mut().clear();
        }
        self.settle();
    }

    /// Another order.
    pub(crate) fn sort_by(&mut self, sort: Sort) {
        self.sort = sort;
        self.orders.get_mut().clear();
        self.settle();
    }

    /// Begins to show only what a pattern is in; `None` shows all again.
    pub(crate) fn filter_by(&mut self, pattern: Option<Pattern>) {
        self.filter = pattern.map(|pattern| Filter::new(pattern, &self.moments));
        self.toggled.clear();
        self.settle();
    }

    /// Goes on with the filter.
    pub(crate) fn work(&mut self, nodes: u32) {
        let (moments, from, to) = (&self.moments, self.from, self.to);
        if let Some(filter) = &mut self.filter {
            let is_there = |node| moments.at(node, to).or_else(|| moments.at(node, from)).is_some();
            filter.work(moments, nodes, is_there);
        }
        self.settle();
    }

    /// Whether the filter has more to look at.
    pub(crate) fn has_work(&self) -> bool {
        self.filter.as_ref().is_some_and(|filter| !filter.is_done())
    }

    /// After a change of what is seen: the cursor stands on something that is.
    pub(crate) fn settle(&mut self) {
        let mut at = self.cursor;
        while let Some(node) = at.filter(|node| *node != 0) {
            if self.is_seen(node) {
                break;
            }
            at = Some(self.moments.parent(node));
        }
        self.cursor = at.filter(|node| *node != 0).or_else(|| self.first_child(0));
        if self.top.is_some_and(|top| !self.is_seen(top)) {
            self.top = self.cursor;
        }
    }

    /// Goes to the first row.
    pub(crate) fn go_home(&mut self) {
        self.cursor = None;
        self.settle();
    }

    /// Whether the ways to it are open, and nothing hides it.
    fn is_seen(&self, node: u32) -> bool {
        let mut at = node;
        while self.is_visible(at) {
            at = self.moments.parent(at);
            if at == 0 {
                return true;
            }
            if !self.is_open(at) {
                return false;
            }
        }
        false
    }

    /// What a row shows: what is there, or what was if it is gone.
    pub(crate) fn place(&self, node: u32) -> Option<Place> {
        let moments = &self.moments;
        moments.at(node, self.to).or_else(|| moments.at(node, self.from))
    }

    /// The entry that a row shows.
    pub(crate) fn entry(&self, node: u32) -> Option<&'a Entry> {
        Some(self.moments.entry(self.place(node)?))
    }

    /// The moment of what a row shows.
    pub(crate) fn moment(&self, node: u32) -> u32 {
        if self.moments.at(node, self.to).is_some() {
            self.to
        } else {
            self.from
        }
    }

    /// Bytes of what a row shows.
    pub(crate) fn bytes(&self, node: u32) -> u64 {
        self.moments.bytes(node, self.moment(node))
    }

    /// What became of it.
    pub(crate) fn change(&self, node: u32) -> Change {
        self.moments.change(node, self.from, self.to)
    }

    pub(crate) fn is_directory(&self, node: u32) -> bool {
        self.moments.is_directory(node, self.moment(node))
    }

    /// Whether nothing hides it; it may be in a directory that is closed.
    fn is_visible(&self, node: u32) -> bool {
        let shown = match self.change(node) {
            Change::None => self.moments.at(node, self.to).is_some() && self.shown.unmodified,
            Change::Added => self.shown.added,
            Change::Removed => self.shown.removed,
            Change::Modified | Change::Rewritten => {
                self.shown.modified || (self.is_directory(node) && self.is_on_way(node))
            }
        };
        shown && self.filter.as_ref().is_none_or(|filter| filter.shows(node))
    }

    /// Whether what is to be seen may be below it.
    fn is_on_way(&self, node: u32) -> bool {
        (self.shown.added || self.shown.removed) && self.moments.has_changes(node, self.from, self.to)
    }

    /// Whether what is in it is shown.
    pub(crate) fn is_open(&self, node: u32) -> bool {
        let by_filter = self.filter.as_ref().is_some_and(|filter| filter.is_above(node));
        let by_itself = self.all_open || by_filter || !self.shown.unmodified;
        self.is_directory(node) && by_itself != self.toggled.contains(&node)
    }

    /// Opens or closes a directory.
    pub(crate) fn toggle(&mut self, node: u32) {
        if self.is_directory(node) && !self.toggled.remove(&node) {
            self.toggled.insert(node);
        }
        self.settle();
    }

    /// Opens or closes all directories.
    pub(crate) fn set_all_open(&mut self, open: bool) {
        self.all_open = open;
        self.toggled.clear();
        if !open {
            // Directories may be open by themselves: the way to what a filter found, or to what changed.
            let tops = self.moments.children(0).iter().copied();
            let open: Vec<u32> = tops.filter(|node| self.is_open(*node)).collect();
            self.toggled.extend(open);
        }
        self.settle();
    }

    /// Goes to a node, opening the ways to it. Whether it can be seen.
    pub(crate) fn reveal(&mut self, node: u32) -> bool {
        let mut at = self.moments.parent(node);
        while at != 0 {
            if self.is_directory(at) && !self.is_open(at) {
                self.toggle(at);
            }
            at = self.moments.parent(at);
        }
        let seen = node != 0 && self.is_seen(node);
        if seen {
            self.cursor = Some(node);
        }
        seen
    }

    fn order(&self, directory: u32) -> Rc<[u32]> {
        if let Some(order) = self.orders.borrow().get(&directory) {
            return Rc::clone(order);
        }
        let mut nodes = self.moments.children(directory).to_vec();
        match self.sort {
            Sort::Name => nodes.sort_unstable_by_key(|node| self.moments.name(*node)),
            Sort::Size => nodes.sort_by_cached_key(|node| (Reverse(self.bytes(*node)), self.moments.name(*node))),
        }
        let order: Rc<[u32]> = nodes.into();
        self.orders.borrow_mut().insert(directory, Rc::clone(&order));
        order
    }

    fn first_child(&self, directory: u32) -> Option<u32> {
        self.order(directory)
            .iter()
            .copied()
            .find(|node| self.is_visible(*node))
    }

    /// The row behind the last one.
    pub(crate) fn last(&self) -> Option<u32> {
        let last_child = |directory| {
            let order = self.order(directory);
            order.iter().rev().copied().find(|node| self.is_visible(*node))
        };
        let mut at = last_child(0)?;
        while self.is_open(at) {
            let Some(child) = last_child(at) else { break };
            at = child;
        }
        Some(at)
    }

    /// A walk that begins at a row.
    pub(crate) fn walk_from(&self, node: u32) -> Walk<'_, 'a> {
        Walk::new(self, node, false)
    }

    /// The rows of the screen, with the cursor among them.
    pub(crate) fn rows(&mut self, height: usize) -> Vec<Row> {
        let Some(cursor) = self.cursor.filter(|_| height > 0) else {
            return Vec::new();
        };
        let top = self.top.unwrap_or(cursor);
        let mut rows = self.rows_from(top, height);
        if !rows.iter().any(|row| row.node == cursor) {
            // The row behind or before is reached by one step, anything else is shown in the middle.
            let follows = rows.last().and_then(|last| self.walk_from(last.node).next()) == Some(cursor);
            let precedes = self.walk_from(top).previous() == Some(cursor);
            let before = match (precedes, follows) {
                (true, _) => 0,
                (_, true) => height - 1,
                _ => height / 2,
            };
            rows = self.rows_from(self.back(cursor, before), height);
        }
        if let Some(missing @ 1..) = height.checked_sub(rows.len()) {
            let top = rows.first().map_or(cursor, |row| row.node);
            rows = self.rows_from(self.back(top, missing), height);
        }
        self.top = rows.first().map(|row| row.node);
        rows
    }

    fn rows_from(&self, top: u32, height: usize) -> Vec<Row> {
        let mut walk = self.walk_from(top);
        let mut rows = vec![walk.row()];
        while rows.len() < height && walk.next().is_some() {
            rows.push(walk.row());
        }
        rows
    }

    fn back(&self, node: u32, steps: usize) -> u32 {
        let mut walk = self.walk_from(node);
        let mut at = node;
        for _ in 0..steps {
            let Some(before) = walk.previous() else { break };
            at = before;
        }
        at
    }

    /// Moves the cursor by so many rows, as far as there are any.
    pub(crate) fn step(&mut self, steps: isize) {
        let Some(cursor) = self.cursor else { return };
        let mut walk = self.walk_from(cursor);
        for _ in 0..steps.unsigned_abs() {
            let moved = if steps < 0 { walk.previous() } else { walk.next() };
            if moved.is_none() {
                break;
            }
        }
        let at = walk.row().node;
        self.cursor = Some(at);
    }
}

/// A walk over rows.
#[derive(Debug)]
pub(crate) struct Walk<'v, 'a> {
    view: &'v TreeView<'a>,
    /// The directories on the way, each with its names in order and which of them it is.
    way: Vec<(Rc<[u32]>, usize)>,
    /// Whether it goes into directories that are closed.
    everywhere: bool,
}

impl<'v, 'a> Walk<'v, 'a> {
    fn new(view: &'v TreeView<'a>, node: u32, everywhere: bool) -> Self {
        let mut way = Vec::new();
        let mut at = node;
        while at != 0 {
            let parent = view.moments.parent(at);
            let order = view.order(parent);
            let place = order.iter().position(|other| *other == at).unwrap_or_default();
            way.push((order, place));
            at = parent;
        }
        way.reverse();
        Self { view, way, everywhere }
    }

    /// Where it is.
    pub(crate) fn row(&self) -> Row {
        Row {
            node: self.way.last().map_or(0, |(order, at)| order[*at]),
            depth: self.way.len().saturating_sub(1),
        }
    }

    fn goes_into(&self, node: u32) -> bool {
        if self.everywhere {
            self.view.is_directory(node)
        } else {
            self.view.is_open(node)
        }
    }

    /// Goes to the next row, unless there is none.
    pub(crate) fn next(&mut self) -> Option<u32> {
        let node = self.row().node;
        if node != 0 && self.goes_into(node) {
            let order = self.view.order(node);
            if let Some(first) = order.iter().position(|child| self.view.is_visible(*child)) {
                self.way.push((order, first));
                return Some(self.row().node);
            }
        }
        let sibling = |(order, at): &(Rc<[u32]>, usize)| {
            let behind = order[at + 1..].iter().position(|node| self.view.is_visible(*node));
            behind.map(|behind| at + 1 + behind)
        };
        let (level, next) = self
            .way
            .iter()
            .enumerate()
            .rev()
            .find_map(|(level, place)| Some((level, sibling(place)?)))?;
        self.way.truncate(level + 1);
        self.way[level].1 = next;
        Some(self.row().node)
    }

    /// Goes to the row before, unless there is none.
    pub(crate) fn previous(&mut self) -> Option<u32> {
        let (order, at) = self.way.last()?;
        let before = order[..*at].iter().rposition(|node| self.view.is_visible(*node));
        let Some(before) = before else {
            if self.way.len() == 1 {
                return None;
            }
            self.way.pop();
            return Some(self.row().node);
        };
        let order = Rc::clone(order);
        *self.way.last_mut()? = (order, before);
        loop {
            let node = self.row().node;
            if !self.goes_into(node) {
                return Some(node);
            }
            let order = self.view.order(node);
            let Some(last) = order.iter().rposition(|child| self.view.is_visible(*child)) else {
                return Some(node);
            };
            self.way.push((order, last));
        }
    }
}

/// A search for the next row that a pattern is in, closed directories included. It is done piece by piece.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    pub(crate) pattern: Pattern,
    backwards: bool,
    start: Option<u32>,
    at: Option<u32>,
    wrapped: bool,
}

/// How far a search is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Searching,
    Found(u32),
    Nothing,
}

impl Search {
    /// A search from the cursor on.
    pub(crate) fn new(pattern: Pattern, view: &TreeView<'_>, backwards: bool) -> Self {
        Self {
            pattern,
            backwards,
            start: view.cursor,
            at: view.cursor,
            wrapped: false,
        }
    }

    /// Looks at some more rows.
    pub(crate) fn work(&mut self, view: &TreeView<'_>, rows: u32) -> Progress {
        let Some(at) = self.at else { return Progress::Nothing };
        let mut walk = Walk::new(view, at, true);
        for _ in 0..rows {
            let moved = if self.backwards { walk.previous() } else { walk.next() };
            let node = match moved {
                Some(node) => node,
                None if self.wrapped => return Progress::Nothing,
                None => {
                    self.wrapped = true;
                    let Some(end) = self.end(view) else {
                        return Progress::Nothing;
                    };
                    walk = Walk::new(view, end, true);
                    end
                }
            };
            if self.pattern.is_in(&rooted(&view.moments, node)) {
                return Progress::Found(node);
            }
            if self.wrapped && self.start == Some(node) {
                return Progress::Nothing;
            }
        }
        self.at = Some(walk.row().node);
        Progress::Searching
    }

    /// Where it goes on when it came to an end of the tree.
    fn end(&self, view: &TreeView<'_>) -> Option<u32> {
        if !self.backwards {
            return view.first_child(0);
        }
        let mut at = None;
        loop {
            let directory = at.unwrap_or(0);
            let order = view.order(directory);
            let last = order.iter().rev().copied().find(|node| view.is_visible(*node));
            match last {
                Some(node) => at = Some(node),
                None => return at,
            }
            if !view.is_directory(at?) {
                return at;
            }
        }
    }
}
