//! The shell's grammar, as far as finding commands needs it.

use std::ops::Range;

use super::Script;
use super::word::{Command, Word};

/// Deeper nesting is not looked at.
pub(super) const MAX_DEPTH: usize = 100;

/// What cannot be read.
pub(super) struct Bad;

pub(super) type Read<T> = Result<T, Bad>;

/// Reads a script; one that is no script has no commands.
pub(super) fn script(text: &str) -> Script {
    let mut parser = Parser::new(text, 0);
    let read = parser.list(&[]);
    if read.is_err() || parser.at < text.len() {
        return Script::default();
    }
    parser.commands.sort_by_key(|(order, _)| *order);
    Script {
        commands: parser.commands.into_iter().map(|(_, command)| command).collect(),
        pipes: !parser.pipes.is_empty(),
        pipe_places: parser.pipes,
        valid: true,
        chain: parser.chain,
    }
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) depth: usize,
    /// With the order in which they begin.
    pub(super) commands: Vec<(usize, Command)>,
    began: usize,
    pub(super) pipes: Vec<usize>,
    /// Whether nothing but `&&` ties the outermost commands so far.
    chain: bool,
    /// Delimiters of here-documents whose bodies follow the line; whether tabs before them do not count.
    documents: Vec<(String, bool)>,
}

/// Words that end a list of commands, or stand between its parts.
const CLOSERS: [&str; 8] = ["then", "elif", "else", "fi", "do", "done", "esac", "}"];

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, depth: usize) -> Self {
        Self {
            text,
            at: 0,
            depth,
            commands: Vec::new(),
            began: 0,
            pipes: Vec::new(),
            chain: true,
            documents: Vec::new(),
        }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let there = self.rest().starts_with(text);
        if there {
            self.at += text.len();
        }
        there
    }

    pub(super) fn expect(&mut self, text: &str) -> Read<()> {
        if self.eat(text) { Ok(()) } else { Err(Bad) }
    }

    /// Skips blanks and continued lines.
    fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r') => self.at += 1,
                Some('\\') if self.rest().starts_with("\\\n") => self.at += 2,
                Some('#') if self.starts_word() => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.bump();
                    }
                }
                _ => return,
            }
        }
    }

    fn starts_word(&self) -> bool {
        self.text[..self.at]
            .chars()
            .next_back()
            .is_none_or(|c| c.is_whitespace() || ";&|()".contains(c))
    }

    /// Skips blanks and line ends.
    pub(super) fn lines(&mut self) -> Read<()> {
        loop {
            self.blanks();
            if self.peek() != Some('\n') {
                return Ok(());
            }
            self.newline()?;
        }
    }

    /// The end of a line, and the here-documents that follow it.
    fn newline(&mut self) -> Read<()> {
        self.expect("\n")?;
        for (name, tabs) in std::mem::take(&mut self.documents) {
            loop {
                let Some(rest) = Some(self.rest()).filter(|rest| !rest.is_empty()) else {
                    return Err(Bad);
                };
                let line = rest.split('\n').next().unwrap_or_default();
                self.at += (line.len() + 1).min(rest.len());
                let line = if tabs { line.trim_start_matches('\t') } else { line };
                if line == name {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Commands up to one of these words or characters, or the end.
    pub(super) fn list(&mut self, until: &[&str]) -> Read<()> {
        self.deeper(|parser| {
            let mut first = true;
            loop {
                parser.lines()?;
                if parser.peek().is_none() || parser.closes(until) {
                    return Ok(());
                }
                parser.unties(!first);
                first = false;
                parser.and_or()?;
                parser.blanks();
                if parser.closes(until) {
                    return Ok(());
                }
                match parser.peek() {
                    None | Some('\n') => {}
                    Some(c @ (';' | '&')) if !parser.rest().starts_with(";;") => {
                        parser.unties(c == '&');
                        parser.bump();
                    }
                    _ => return Err(Bad),
                }
            }
        })
    }

    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth >= MAX_DEPTH {
            return Err(Bad);
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn closes(&self, until: &[&str]) -> bool {
        until.iter().any(|word| match *word {
            ")" | ";;" => self.rest().starts_with(word),
            word => self.at_word(word),
        })
    }

    /// Whether this reserved word is next.
    fn at_word(&self, word: &str) -> bool {
        let after = self.rest().strip_prefix(word);
        after.is_some_and(|after| after.chars().next().is_none_or(ends_word))
    }

    /// What stands between outermost commands is something else than `&&`, if so.
    fn unties(&mut self, so: bool) {
        self.chain &= !so || self.depth > 1;
    }

    fn and_or(&mut self) -> Read<()> {
        loop {
            self.pipeline()?;
            self.blanks();
            let or = self.eat("||");
            self.unties(or);
            if !(or || self.eat("&&")) {
                return Ok(());
            }
            self.lines()?;
        }
    }

    fn pipeline(&mut self) -> Read<()> {
        self.blanks();
        while self.at_word("!") {
            self.at += 1;
            self.blanks();
        }
        if self.at_word("time") {
            let range = self.at..self.at + 4;
            let order = self.order();
            self.commands.push((order, bare("time", range)));
            self.at += 4;
            self.blanks();
            if self.at_word("-p") {
                self.at += 2;
                self.blanks();
            }
            if self.peek().is_none_or(|c| "\n;&|)".contains(c)) {
                return Ok(());
            }
        }
        loop {
            self.command()?;
            self.blanks();
            if self.rest().starts_with("||") || !self.rest().starts_with('|') {
                return Ok(());
            }
            self.pipes.push(self.at);
            self.at += 1;
            self.eat("&");
            self.lines()?;
        }
    }

    pub(super) fn order(&mut self) -> usize {
        self.began += 1;
        self.began
    }

    fn command(&mut self) -> Read<()> {
        self.deeper(Self::any_command)
    }

    fn any_command(&mut self) -> Read<()> {
        self.blanks();
        if CLOSERS.iter().any(|word| self.at_word(word)) {
            return Err(Bad);
        }
        if self.compound()? {
            self.redirections()
        } else {
            self.simple()
        }
    }

    /// Reads a compound command; whether there was one.
    fn compound(&mut self) -> Read<bool> {
        if self.rest().starts_with("((") && self.arithmetic().is_ok() {
            return Ok(true);
        }
        if self.eat("(") {
            self.list(&[")"])?;
            return self.expect(")").map(|()| true);
        }
        let keyword = ["{", "if", "while", "until", "for", "select", "case", "[[", "function"]
            .into_iter()
            .find(|word| self.at_word(word));
        let Some(keyword) = keyword else { return self.function() };
        self.at += keyword.len();
        match keyword {
            "{" => self.body("}")?,
            "if" => self.condition()?,
            "while" | "until" => {
                self.body("do")?;
                self.body("done")?;
            }
            "for" | "select" => self.loop_over()?,
            "case" => self.case()?,
            "[[" => self.test()?,
            _ => {
                self.blanks();
                self.word()?;
                self.blanks();
                if self.eat("(") {
                    self.blanks();
                    self.expect(")")?;
                }
                self.lines()?;
                self.command()?;
            }
        }
        Ok(true)
    }

    /// Commands up to a word, and that.
    fn body(&mut self, end: &str) -> Read<()> {
        self.list(&[end])?;
        self.expect(end)
    }

    fn condition(&mut self) -> Read<()> {
        self.body("then")?;
        loop {
            self.list(&["elif", "else", "fi"])?;
            if self.eat("elif") {
                self.body("then")?;
            } else if self.eat("else") {
                return self.body("fi");
            } else {
                return self.expect("fi");
            }
        }
    }

    fn loop_over(&mut self) -> Read<()> {
        self.blanks();
        if self.rest().starts_with("((") {
            self.arithmetic()?;
        } else {
            self.word()?;
            self.lines()?;
            if self.at_word("in") {
                self.at += 2;
                self.words()?;
            }
        }
        self.blanks();
        self.eat(";");
        self.lines()?;
        if self.eat("{") {
            return self.body("}");
        }
        self.expect("do")?;
        self.body("done")
    }

    /// Words up to the end of the command.
    fn words(&mut self) -> Read<Vec<Word>> {
        let mut words = Vec::new();
        loop {
            self.blanks();
            if self.peek().is_none_or(|c| "\n;&|)(<>".contains(c)) {
                return Ok(words);
            }
            words.push(self.word()?);
        }
    }

    fn case(&mut self) -> Read<()> {
        self.blanks();
        self.word()?;
        self.lines()?;
        self.expect("in")?;
        loop {
            self.lines()?;
            if self.at_word("esac") {
                self.at += 4;
                return Ok(());
            }
            self.eat("(");
            loop {
                self.blanks();
                self.word()?;
                self.blanks();
                if !self.eat("|") {
                    break;
                }
            }
            self.expect(")")?;
            self.list(&[";;", "esac", ";&"])?;
            let ended = self.eat(";;&") || self.eat(";;") || self.eat(";&");
            if !ended && !self.at_word("esac") {
                return Err(Bad);
            }
        }
    }

    fn test(&mut self) -> Read<()> {
        loop {
            self.lines()?;
            if self.at_word("]]") {
                self.at += 2;
                return Ok(());
            }
            match self.peek() {
                None | Some(';') => return Err(Bad),
                Some('(' | ')' | '<' | '>' | '|' | '&') => {
                    self.bump();
                }
                Some(_) => {
                    self.word()?;
                }
            }
        }
    }

    /// `name() …`; whether there was one.
    fn function(&mut self) -> Read<bool> {
        let name = self
            .rest()
            .find(|c: char| !(c.is_alphanumeric() || "_-.:+".contains(c)));
        let Some(length) = name.filter(|length| *length > 0) else {
            return Ok(false);
        };
        let after = self.rest()[length..].trim_start_matches([' ', '\t']);
        let Some(after) = after.strip_prefix('(') else {
            return Ok(false);
        };
        let Some(after) = after.trim_start_matches([' ', '\t']).strip_prefix(')') else {
            return Ok(false);
        };
        self.at = self.text.len() - after.len();
        self.lines()?;
        self.command()?;
        Ok(true)
    }

    /// `(( … ))`
    pub(super) fn arithmetic(&mut self) -> Read<()> {
        let start = self.at;
        let mut open = 0_usize;
        while let Some(c) = self.bump() {
            match c {
                '(' => open += 1,
                ')' => {
                    open = open.saturating_sub(1);
                    if open == 0 {
                        let whole = &self.text[start..self.at];
                        if whole.ends_with("))") {
                            return Ok(());
                        }
                        break;
                    }
                }
                _ => {}
            }
        }
        self.at = start;
        Err(Bad)
    }

    fn redirections(&mut self) -> Read<()> {
        loop {
            self.blanks();
            if !self.redirection()? {
                return Ok(());
            }
        }
    }

    /// Reads a redirection; whether there was one.
    fn redirection(&mut self) -> Read<bool> {
        let digits = self.rest().find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        let after = &self.rest()[digits..];
        if after.starts_with("<(") || after.starts_with(">(") {
            return Ok(false);
        }
        let operators = ["<<<", "<<-", "<<", "<>", "<&", "<", "&>>", "&>", ">>", ">&", ">|", ">"];
        let Some(operator) = operators.into_iter().find(|operator| after.starts_with(operator)) else {
            return Ok(false);
        };
        if digits > 0 && operator.starts_with('&') {
            return Ok(false);
        }
        self.at += digits + operator.len();
        self.blanks();
        let word = self.word()?;
        if matches!(operator, "<<" | "<<-") {
            self.documents.push((word.text, operator == "<<-"));
        }
        Ok(true)
    }

    fn simple(&mut self) -> Read<()> {
        let order = self.order();
        let mut words: Vec<Word> = Vec::new();
        let mut assignments = Vec::new();
        loop {
            self.blanks();
            if self.redirection()? {
                continue;
            }
            if self.peek().is_none_or(|c| "\n;&|)".contains(c)) {
                break;
            }
            if self.peek() == Some('(') {
                return Err(Bad);
            }
            let before = self.at;
            let word = self.word()?;
            if words.is_empty() && is_assignment(&self.text[before..self.at]) {
                assignments.push(word);
            } else {
                words.push(word);
            }
        }
        if words.is_empty() && assignments.is_empty() && self.peek().is_some_and(|c| ";&|".contains(c)) {
            // Something that only redirects is a command, nothing at all is none.
            let before = self.text[..self.at].trim_end();
            if before.is_empty() || before.ends_with([';', '&', '|', '(', '\n']) {
                return Err(Bad);
            }
        }
        self.keep(order, &words, assignments);
        Ok(())
    }

    fn keep(&mut self, order: usize, words: &[Word], assignments: Vec<Word>) {
        let Some(first) = words.first() else { return };
        let Some(named) = effective(words).filter(|word| word.literal) else {
            return;
        };
        let range = first.range.start..words.last().map_or(first.range.end, |last| last.range.end);
        let command = Command {
            name: named.text.clone(),
            first: named.range.clone(),
            range,
            args: words[1..].to_vec(),
            assignments,
            exact: true,
        };
        self.commands.push((order, command));
    }
}

fn bare(name: &str, range: Range<usize>) -> Command {
    Command {
        name: name.to_owned(),
        args: Vec::new(),
        first: range.clone(),
        range,
        assignments: Vec::new(),
        exact: true,
    }
}

/// The word that says what runs.
fn effective(words: &[Word]) -> Option<&Word> {
    let (first, rest) = words.split_first()?;
    if !first.literal {
        return None;
    }
    let plain = || rest.first().filter(|word| !word.text.starts_with('-'));
    match first.text.as_str() {
        "busybox" | "builtin" | "command" | "run" => plain().or(Some(first)),
        "exec" => {
            let mut at = rest.iter();
            while let Some(word) = at.next() {
                match word.text.as_str() {
                    "-a" => {
                        at.next();
                    }
                    "-c" | "-l" | "-cl" | "-lc" => {}
                    _ => return Some(word),
                }
            }
            Some(first)
        }
        _ => Some(first),
    }
}

pub(super) fn ends_word(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>')
}

/// `NAME=` or `NAME+=` or `NAME[…]=` at the start.
pub(super) fn is_assignment(text: &str) -> bool {
    let Some((name, _)) = text.split_once('=') else {
        return false;
    };
    let name = name.strip_suffix('+').unwrap_or(name);
    let name = name.split('[').next().unwrap_or(name);
    let mut letters = name.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether `(` behind this begins an array.
pub(super) fn is_array(text: &str) -> bool {
    text.ends_with('=') && is_assignment(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let script = script(text);
        assert!(script.valid, "{text}");
        script.commands.into_iter().map(|command| command.name).collect()
    }

    #[test]
    fn commands_wherever_they_stand() {
        for (text, expected) in [
            ("a && b || c; d & e", "a b c d e"),
            ("if a; then b; elif c; then d; else e; fi", "a b c d e"),
            ("for i in x y; do a $i; done; b", "a b"),
            ("while a\ndo b\ndone", "a b"),
            ("case x in a|b) c;; (d) e ;; *) f; esac", "c e f"),
            ("(a; b) | { c; }", "a b c"),
            ("f() { a; }; f", "a f"),
            ("function f { a; }", "a"),
            ("x=$(a | b) y=1 c", "c a b"),
            ("echo `a` \"$(b)\" ${x:-$(c)}", "echo a b c"),
            ("command a; exec b; builtin cd", "a b cd"),
            ("[[ a == b && c ]] && d", "d"),
            ("((x++)); a", "a"),
            ("time a", "time a"),
            ("! a", "a"),
            ("a > x 2>&1 <<< y < z", "a"),
            ("cat <<X | b\nsudo\nX\nc", "cat b c"),
            ("\\sudo; 's'u\"do\" x; $x a", "sudo sudo"),
            ("x=(a b c); d", "d"),
            ("a # b\nc", "a c"),
            ("diff <(a) <(b)", "diff a b"),
            ("ls !(a|b)", "ls"),
            ("a \\\n b", "a"),
        ] {
            assert_eq!(names(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn what_ties_the_outermost_commands() {
        for text in [
            "a",
            "a && b | c",
            "(a; b) && $(c || d)",
            "if a; then b; fi && c;",
            "! a && { b; c & }",
        ] {
            assert!(script(text).chain, "{text}");
        }
        for text in ["a; b", "a || b", "a\nb", "a & b", "a &", "x=1; b", "$a || $b"] {
            assert!(!script(text).chain, "{text}");
        }
    }

    #[test]
    fn what_is_no_script() {
        for text in [
            "echo 'a",
            "\"",
            "if a; then",
            "a )",
            "$(a",
            "a && ; b",
            "`a",
            "done",
            "cat <<X\na",
        ] {
            assert!(!script(text).valid, "{text}");
        }
        assert!(!script(&"(".repeat(100_000)).valid);
        assert!(!script(&"`\\".repeat(10_000)).valid);
    }

    #[test]
    fn arguments_without_quotes() {
        let script = script("apt-get install -yq --no-x=1 \"a=$V\" b'c' $(d) {e,f}");
        let command = &script.commands[0];
        let texts: Vec<&str> = command.plain().iter().map(|word| word.text.as_str()).collect();
        assert_eq!(texts, ["install", "a=${V}", "bc", "${…}", "{e,f}"]);
        assert!(command.has_flag(&["q"]) && command.has_flag(&["no-x"]));
        assert_eq!(command.plain_without(&["yq", "q"]).len(), 5);
    }
}
