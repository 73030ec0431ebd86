//! One pattern against a path and all its parents in a single pass.
//!
//! moby makes a regular expression of each pattern, with special cases before that; what it comes to is written here
//! as a list of tokens and run as a state machine, whose cost is path times tokens whatever the pattern.

use crate::glob::Class;

/// What a pattern consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`: any character but `/`.
    Any,
    /// `[…]`, where moby's regular expression lets a negated class take a `/`.
    Class(Class),
    /// `*`: any characters but `/`.
    Star,
    /// `**` within a pattern: nothing, or anything up to a `/`.
    Directories,
    /// `**` at the end: anything.
    Rest,
}

impl Token {
    const fn plain(&self) -> Option<char> {
        if let Self::Char(c) = self { Some(*c) } else { None }
    }

    /// Whether it may take nothing.
    const fn skippable(&self) -> bool {
        matches!(self, Self::Star | Self::Directories | Self::Rest)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Matcher {
    tokens: Vec<Token>,
    /// The plain text at the start.
    prefix: String,
    /// The plain text at the end.
    suffix: String,
}

impl Matcher {
    /// Compiles a cleaned pattern whose syntax was checked.
    pub(super) fn new(pattern: &str) -> Self {
        let tokens = compile(pattern);
        let prefix = tokens.iter().map_while(Token::plain).collect();
        let reversed: Vec<char> = tokens.iter().rev().map_while(Token::plain).collect();
        let suffix = reversed.into_iter().rev().collect();
        Self { tokens, prefix, suffix }
    }

    /// Whether the pattern fits the path or one of its parents. `ends` says where the names in the path end, that of
    /// the path itself included. Most paths fail by the plain text at the start or the end of the pattern.
    pub(super) fn fits(&self, path: &str, ends: &[usize]) -> bool {
        path.as_bytes().starts_with(self.prefix.as_bytes())
            && self.suffix_fits(path.as_bytes(), ends)
            && self.run(path, |run| run.matched)
    }

    fn suffix_fits(&self, path: &[u8], ends: &[usize]) -> bool {
        let Some((last, before)) = self.suffix.as_bytes().split_last() else {
            return true;
        };
        let mut names = ends.iter().filter_map(|end| path[..*end].split_last());
        names.any(|(byte, rest)| byte == last && rest.ends_with(before))
    }

    /// Whether the pattern fits the directory, or may fit something below it.
    pub(super) fn may_match_below(&self, directory: &str) -> bool {
        if directory.is_empty() {
            return true;
        }
        self.run(directory, |run| {
            run.matched || {
                run.take('/');
                run.alive()
            }
        })
    }

    fn run<T>(&self, path: &str, result: impl FnOnce(&mut Run<'_>) -> T) -> T {
        // Patterns of up to 255 tokens need no allocation.
        const INLINE: usize = 4;
        let words = self.tokens.len() / 64 + 1;
        let mut small = [0; 2 * INLINE];
        let mut large;
        let states = if words <= INLINE {
            &mut small[..2 * words]
        } else {
            large = vec![0; 2 * words];
            &mut large[..]
        };
        let (now, next) = states.split_at_mut(words);
        let mut run = Run {
            tokens: &self.tokens,
            now,
            next,
            matched: false,
        };
        run.start(path);
        result(&mut run)
    }
}

/// The states of a pattern at a place of a path: bit `i` says that the tokens before `i` took all of it so far.
struct Run<'a> {
    tokens: &'a [Token],
    now: &'a mut [u64],
    next: &'a mut [u64],
    matched: bool,
}

impl Run<'_> {
    fn start(&mut self, path: &str) {
        enter(self.tokens, self.now, 0);
        for c in path.chars() {
            // All tokens are used up where a parent directory ends.
            if c == '/' && self.accepts() {
                self.matched = true;
                return;
            }
            self.take(c);
            if !self.alive() {
                return;
            }
        }
        self.matched = self.accepts();
    }

    fn alive(&self) -> bool {
        self.now.iter().any(|word| *word != 0)
    }

    fn accepts(&self) -> bool {
        let end = self.tokens.len();
        self.now[end / 64] & (1 << (end % 64)) != 0
    }

    fn take(&mut self, c: char) {
        self.next.fill(0);
        for word in 0..self.now.len() {
            let mut bits = self.now[word];
            while bits != 0 {
                let state = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                self.step(state, c);
            }
        }
        self.now.copy_from_slice(self.next);
    }

    fn step(&mut self, state: usize, c: char) {
        let Some(token) = self.tokens.get(state) else { return };
        let (stays, passes) = match token {
            Token::Char(wanted) => (false, *wanted == c),
            Token::Any => (false, c != '/'),
            Token::Class(class) => (false, class.contains(c)),
            // Entering the state again passes it as well.
            Token::Star | Token::Rest if c != '/' || *token == Token::Rest => {
                enter(self.tokens, self.next, state);
                return;
            }
            Token::Star | Token::Rest => (false, false),
            Token::Directories => (true, c == '/'),
        };
        if stays {
            set(self.next, state);
        }
        if passes {
            enter(self.tokens, self.next, state + 1);
        }
    }
}

fn set(states: &mut [u64], state: usize) {
    states[state / 64] |= 1 << (state % 64);
}

/// Comes to a state, and to those behind it that need take nothing.
fn enter(tokens: &[Token], states: &mut [u64], mut state: usize) {
    set(states, state);
    while tokens.get(state).is_some_and(Token::skippable) {
        state += 1;
        set(states, state);
    }
}

/// moby's translation, with its special cases.
fn compile(pattern: &str) -> Vec<Token> {
    if let Some(suffix) = plain_suffix(pattern) {
        // `**x` fits whatever ends in `x`, but `**/x` only whole names.
        let start = if suffix.starts_with('/') {
            Token::Directories
        } else {
            Token::Rest
        };
        let rest = suffix.strip_prefix('/').unwrap_or(suffix);
        return std::iter::once(start).chain(rest.chars().map(Token::Char)).collect();
    }
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' if chars.next_if_eq(&'*').is_some() => {
                chars.next_if_eq(&'/');
                if chars.peek().is_none() {
                    Token::Rest
                } else {
                    Token::Directories
                }
            }
            '*' => Token::Star,
            '?' => Token::Any,
            '\\' => chars.next().map_or(Token::Char('\\'), Token::Char),
            '[' => {
                // The syntax was checked: the class can be read.
                let mut class = chars.clone();
                match Class::read(&mut class) {
                    Ok(read) => {
                        chars = class;
                        Token::Class(read)
                    }
                    Err(_) => Token::Char('['),
                }
            }
            other => Token::Char(other),
        });
    }
    tokens
}

/// What follows a leading `**` if it is plain text.
fn plain_suffix(pattern: &str) -> Option<&str> {
    let suffix = pattern.strip_prefix("**")?;
    (!suffix.contains(['*', '?', '\\', '[', ']'])).then_some(suffix)
}
