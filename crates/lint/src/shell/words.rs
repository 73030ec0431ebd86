//! The shell's words: quotes, expansions, commands within them.

use std::ops::Range;

use super::parse::{Bad, MAX_DEPTH, Parser, Read, ends_word, is_array};
use super::word::Word;

impl Parser<'_> {
    /// Reads a word, which must not be empty.
    pub(super) fn word(&mut self) -> Read<Word> {
        let start = self.at;
        let mut word = Word {
            text: String::new(),
            literal: true,
            range: start..start,
        };
        while let Some(c) = self.peek() {
            match c {
                '(' if is_array(&self.text[start..self.at]) => self.array(&mut word)?,
                '(' if self.text[start..self.at].ends_with(['?', '*', '+', '@', '!']) => {
                    self.pattern(&mut word)?;
                }
                '<' | '>' if self.rest()[1..].starts_with('(') && self.at == start => {
                    self.at += 2;
                    word.literal = false;
                    word.text.push_str("${…}");
                    self.list(&[")"])?;
                    self.expect(")")?;
                }
                c if ends_word(c) => break,
                _ => self.part(c, &mut word, false)?,
            }
        }
        if self.at == start {
            return Err(Bad);
        }
        word.range = start..self.at;
        Ok(word)
    }

    /// `=( … )` behind a name.
    fn array(&mut self, word: &mut Word) -> Read<()> {
        self.expect("(")?;
        word.literal = false;
        loop {
            self.lines()?;
            if self.eat(")") {
                return Ok(());
            }
            self.word()?;
        }
    }

    /// `@( … )`
    fn pattern(&mut self, word: &mut Word) -> Read<()> {
        word.literal = false;
        let mut open = 0_usize;
        while let Some(c) = self.bump() {
            word.text.push(c);
            match c {
                '(' => open += 1,
                ')' if open == 1 => return Ok(()),
                ')' => open -= 1,
                '\n' => return Err(Bad),
                _ => {}
            }
        }
        Err(Bad)
    }

    /// One piece of a word: a character, a quoted text, an expansion.
    fn part(&mut self, c: char, word: &mut Word, quoted: bool) -> Read<()> {
        match c {
            '\\' => {
                self.at += 1;
                match self.bump() {
                    Some('\n') | None => {}
                    Some(next) if quoted && !"$`\"\\".contains(next) => {
                        word.text.push('\\');
                        word.text.push(next);
                    }
                    Some(next) => word.text.push(next),
                }
            }
            '\'' if !quoted => {
                self.at += 1;
                let length = self.rest().find('\'').ok_or(Bad)?;
                word.text.push_str(&self.rest()[..length]);
                self.at += length + 1;
            }
            '"' if !quoted => {
                self.at += 1;
                loop {
                    match self.peek().ok_or(Bad)? {
                        '"' => break,
                        c => self.part(c, word, true)?,
                    }
                }
                self.at += 1;
            }
            '$' => self.dollar(word, quoted)?,
            '`' => self.backticks(word)?,
            _ => {
                self.at += c.len_utf8();
                word.literal &= quoted || !"*?[{".contains(c) || word.text.is_empty() && c == '[';
                word.text.push(c);
            }
        }
        Ok(())
    }

    fn dollar(&mut self, word: &mut Word, quoted: bool) -> Read<()> {
        self.at += 1;
        let Some(next) = self.peek() else {
            word.text.push('$');
            return Ok(());
        };
        match next {
            '(' => {
                word.literal = false;
                word.text.push_str("${…}");
                if self.rest().starts_with("((") && self.arithmetic().is_ok() {
                    return Ok(());
                }
                self.at += 1;
                self.list(&[")"])?;
                self.expect(")")
            }
            '{' => {
                word.literal = false;
                self.at += 1;
                let start = self.at;
                self.braces()?;
                word.text.push_str("${");
                word.text.push_str(&self.text[start..self.at]);
                Ok(())
            }
            '\'' if !quoted => self.ansi(word),
            '"' if !quoted => Ok(()),
            c if c.is_ascii_alphabetic() || c == '_' => {
                word.literal = false;
                let name = self.rest().find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                let length = name.unwrap_or(self.rest().len());
                word.text.push_str("${");
                word.text.push_str(&self.rest()[..length]);
                word.text.push('}');
                self.at += length;
                Ok(())
            }
            c if c.is_ascii_digit() || "@*#?-$!".contains(c) => {
                word.literal = false;
                word.text.push_str("${");
                word.text.push(c);
                word.text.push('}');
                self.at += 1;
                Ok(())
            }
            _ => {
                word.text.push('$');
                Ok(())
            }
        }
    }

    /// `$'…'`
    fn ansi(&mut self, word: &mut Word) -> Read<()> {
        self.at += 1;
        loop {
            match self.bump().ok_or(Bad)? {
                '\'' => return Ok(()),
                '\\' => {
                    word.text.push('\\');
                    word.text.extend(self.bump());
                }
                c => word.text.push(c),
            }
        }
    }

    /// What is in `${…}`, with its closing brace.
    fn braces(&mut self) -> Read<()> {
        self.deeper(|parser| {
            let mut inner = Word {
                text: String::new(),
                literal: true,
                range: 0..0,
            };
            loop {
                match parser.peek().ok_or(Bad)? {
                    '}' => {
                        parser.at += 1;
                        return Ok(());
                    }
                    c => parser.part(c, &mut inner, false)?,
                }
            }
        })
    }

    fn backticks(&mut self, word: &mut Word) -> Read<()> {
        let start = self.at;
        self.at += 1;
        let mut inner = String::new();
        loop {
            match self.bump().ok_or(Bad)? {
                '`' => break,
                '\\' => match self.bump().ok_or(Bad)? {
                    c @ ('`' | '\\' | '$') => inner.push(c),
                    c => inner.extend(['\\', c]),
                },
                c => inner.push(c),
            }
        }
        word.literal = false;
        word.text.push_str("${…}");
        self.nested(&inner, start..self.at)
    }

    /// Reads a script within the script, whose places are those of all of it.
    fn nested(&mut self, script: &str, range: Range<usize>) -> Read<()> {
        if self.depth >= MAX_DEPTH {
            return Err(Bad);
        }
        let mut parser = Parser::new(script, self.depth + 1);
        parser.list(&[])?;
        if parser.at < script.len() {
            return Err(Bad);
        }
        self.pipes.extend(parser.pipes.iter().map(|_| range.start));
        parser.commands.sort_by_key(|(order, _)| *order);
        for (_, mut command) in parser.commands {
            command.exact = false;
            command.range = range.clone();
            command.first = range.clone();
            command.args.iter_mut().for_each(|arg| arg.range = range.clone());
            let order = self.order();
            self.commands.push((order, command));
        }
        Ok(())
    }
}
