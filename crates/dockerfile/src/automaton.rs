//! Patterns as state machines: all that a pattern may be in the middle of is kept at once, 64 states to a number, so that
//! a character takes no longer whatever the pattern.

use crate::glob::Class;

/// What a pattern consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Char(char),
    /// Any character but `/`.
    Any,
    Class(Class),
    /// Any characters but `/`.
    Star,
    /// Nothing, or anything up to a `/`.
    Directories,
    /// Anything.
    Rest,
}

/// A pattern that is read once and used often. State `i` is before token `i`; in the last everything is used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Automaton {
    words: Vec<Word>,
    /// The characters of the pattern, in order.
    characters: Vec<(char, States)>,
    classes: Vec<(usize, Class)>,
    end: usize,
}

/// Which of 64 states are before which tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Word {
    any: u64,
    class: u64,
    star: u64,
    directories: u64,
    rest: u64,
}

/// States, as a list where that is shorter.
#[derive(Debug, Clone, PartialEq, Eq)]
enum States {
    Few(Vec<usize>),
    Many(Vec<u64>),
}

impl Automaton {
    pub(crate) fn new(tokens: &[Token]) -> Self {
        let mut words = vec![Word::default(); tokens.len() / 64 + 1];
        let mut classes = Vec::new();
        let mut characters = Vec::new();
        for (state, token) in tokens.iter().enumerate() {
            let word = &mut words[state / 64];
            let bit = 1 << (state % 64);
            match token {
                Token::Char(c) => characters.push((*c, state)),
                Token::Any => word.any |= bit,
                Token::Class(class) => {
                    word.class |= bit;
                    classes.push((state, class.clone()));
                }
                Token::Star => word.star |= bit,
                Token::Directories => word.directories |= bit,
                Token::Rest => word.rest |= bit,
            }
        }
        characters.sort_unstable();
        let characters = characters.chunk_by(|a, b| a.0 == b.0);
        let characters = characters.map(|same| (same[0].0, States::new(same.iter().map(|each| each.1), words.len())));
        Self {
            characters: characters.collect(),
            words,
            classes,
            end: tokens.len(),
        }
    }

    /// Starts at the first token.
    pub(crate) fn run<T>(&self, with: impl FnOnce(&mut Run<'_>) -> T) -> T {
        // Patterns of up to 255 tokens need no allocation.
        const INLINE: usize = 4;
        let words = self.words.len();
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
            automaton: self,
            now,
            next,
        };
        run.start();
        with(&mut run)
    }

    fn takes(&self, state: usize, c: char) -> bool {
        let found = self.classes.binary_search_by_key(&state, |(at, _)| *at);
        found.is_ok_and(|place| self.classes[place].1.contains(c))
    }
}

impl States {
    fn new(states: impl ExactSizeIterator<Item = usize>, words: usize) -> Self {
        if states.len() < words {
            return Self::Few(states.collect());
        }
        let mut bits = vec![0; words];
        for state in states {
            bits[state / 64] |= 1 << (state % 64);
        }
        Self::Many(bits)
    }
}

/// A pattern at a place of a text.
pub(crate) struct Run<'a> {
    automaton: &'a Automaton,
    /// The states: the tokens before each took all of the text so far.
    now: &'a mut [u64],
    next: &'a mut [u64],
}

impl Run<'_> {
    fn start(&mut self) {
        let mut entered = 1;
        let mut skipped = false;
        for (now, word) in self.now.iter_mut().zip(&self.automaton.words) {
            (*now, skipped) = word.skip(entered, skipped);
            entered = 0;
        }
    }

    /// Whether the whole pattern fits what was taken.
    pub(crate) fn accepts(&self) -> bool {
        let end = self.automaton.end;
        self.now[end / 64] & (1 << (end % 64)) != 0
    }

    /// Goes on by a character; whether the pattern can still fit.
    pub(crate) fn take(&mut self, c: char) -> bool {
        let automaton = self.automaton;
        let place = automaton.characters.binary_search_by_key(&c, |(own, _)| *own);
        let many = match place.ok().map(|place| &automaton.characters[place].1) {
            Some(States::Many(bits)) => Some(bits),
            Some(States::Few(states)) => {
                self.next.fill(0);
                for state in states {
                    self.next[state / 64] |= self.now[state / 64] & (1 << (state % 64));
                }
                None
            }
            None => {
                self.next.fill(0);
                None
            }
        };
        let (mut moved_on, mut skipped, mut alive) = (0, false, false);
        for (index, word) in automaton.words.iter().enumerate() {
            let now = self.now[index];
            let fits = many.map_or(self.next[index], |bits| bits[index] & now);
            let (passes, stays) = if c == '/' {
                (word.directories, word.rest)
            } else {
                (word.any, word.star | word.rest)
            };
            let moves = fits | (now & passes) | self.classes(index, now & word.class, c);
            // A state that is entered passes what need not take anything; one within directories does so at a `/` only.
            let entered = (moves << 1) | moved_on | (now & stays);
            moved_on = moves >> 63;
            let states;
            (states, skipped) = word.skip(entered, skipped);
            self.next[index] = states | (now & word.directories);
            alive |= self.next[index] != 0;
        }
        std::mem::swap(&mut self.now, &mut self.next);
        alive
    }

    /// Those of the states before a class that take the character.
    fn classes(&self, index: usize, mut states: u64, c: char) -> u64 {
        let mut taking = 0;
        while states != 0 {
            let bit = states & states.wrapping_neg();
            if self.automaton.takes(index * 64 + bit.trailing_zeros() as usize, c) {
                taking |= bit;
            }
            states ^= bit;
        }
        taking
    }
}

impl Word {
    /// The states with those behind them that need take nothing in between, and whether they go on in the next word,
    /// from where they may come in. Adding carries a bit through a row of ones, to the first place behind it.
    const fn skip(&self, states: u64, carried: bool) -> (u64, bool) {
        let skippable = self.star | self.directories | self.rest;
        let (sum, over) = skippable.overflowing_add(states & skippable);
        let (sum, carried_over) = sum.overflowing_add(carried as u64);
        (states | (sum ^ skippable), over | carried_over)
    }
}
