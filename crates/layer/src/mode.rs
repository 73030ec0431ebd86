//! `--chmod`: octal modes and chmod(1)'s symbolic ones.

/// How modes change on the way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ModeChange {
    /// Not at all.
    #[default]
    Keep,
    /// All become this one, files and directories alike; at most `0o7777`.
    Octal(u32),
    /// By clauses, in order.
    Symbolic(Vec<Clause>),
}

/// One clause of a symbolic mode, such as `go-w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clause {
    /// The permission bits that it is about: some of `0o700`, `0o070`, `0o007`.
    who: u32,
    operator: Operator,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Add,
    Remove,
    Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// `rwx` as of one class, `X`, and the special bits.
    Bits {
        permissions: u32,
        execute_if_any: bool,
        set_id: bool,
        sticky: bool,
    },
    /// As another class has it; by how much that is to be shifted.
    CopyOf(u32),
}

/// Why a text is no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModeError {
    /// An octal number above 7777.
    #[error("`{0}` is not between 0 and 07777")]
    TooLarge(String),
    /// Neither octal nor symbolic.
    #[error("`{0}` is neither an octal mode, such as 755, nor a symbolic one, such as u=rwX,go=rX")]
    Malformed(String),
}

impl ModeChange {
    /// Reads an octal or a symbolic mode.
    pub fn parse(text: &str) -> Result<Self, ModeError> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).map_err(|_| ModeError::Malformed(text.to_owned()))?;
            return if mode <= 0o7777 {
                Ok(Self::Octal(mode))
            } else {
                Err(ModeError::TooLarge(text.to_owned()))
            };
        }
        let clauses: Option<Vec<_>> = text.split(',').map(parse_clause).collect();
        clauses
            .map(|clauses| Self::Symbolic(clauses.concat()))
            .ok_or_else(|| ModeError::Malformed(text.to_owned()))
    }

    /// The mode that a file or directory of mode `mode` gets.
    pub fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        match self {
            Self::Keep => mode,
            Self::Octal(octal) => *octal,
            Self::Symbolic(clauses) => clauses
                .iter()
                .fold(mode, |mode, clause| clause.apply(mode, is_directory)),
        }
    }
}

/// `[ugoa]*([-+=]([rwxXst]*|[ugo]))+`
fn parse_clause(text: &str) -> Option<Vec<Clause>> {
    let classes = text.find(['+', '-', '='])?;
    let mut who = 0;
    for class in text[..classes].chars() {
        who |= match class {
            'u' => 0o700,
            'g' => 0o070,
            'o' => 0o007,
            'a' => 0o777,
            _ => return None,
        };
    }
    // Without a class it is everybody: there is no umask in a build.
    let who = if who == 0 { 0o777 } else { who };
    let mut clauses = Vec::new();
    let mut rest = &text[classes..];
    while let Some(sign) = rest.chars().next() {
        let operator = match sign {
            '+' => Operator::Add,
            '-' => Operator::Remove,
            _ => Operator::Set,
        };
        let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |at| at + 1);
        clauses.push(Clause {
            who,
            operator,
            what: parse_what(&rest[1..end])?,
        });
        rest = &rest[end..];
    }
    Some(clauses)
}

fn parse_what(text: &str) -> Option<What> {
    match text {
        "u" => return Some(What::CopyOf(6)),
        "g" => return Some(What::CopyOf(3)),
        "o" => return Some(What::CopyOf(0)),
        _ => {}
    }
    let (mut permissions, mut execute_if_any, mut set_id, mut sticky) = (0, false, false, false);
    for letter in text.chars() {
        match letter {
            'r' => permissions |= 4,
            'w' => permissions |= 2,
            'x' => permissions |= 1,
            'X' => execute_if_any = true,
            's' => set_id = true,
            't' => sticky = true,
            _ => return None,
        }
    }
    Some(What::Bits {
        permissions,
        execute_if_any,
        set_id,
        sticky,
    })
}

impl Clause {
    fn apply(self, mode: u32, is_directory: bool) -> u32 {
        let bits = self.bits(mode, is_directory);
        match self.operator {
            Operator::Add => mode | bits,
            Operator::Remove => mode & !bits,
            Operator::Set => mode & !self.cleared(is_directory) | bits,
        }
    }

    fn bits(self, mode: u32, is_directory: bool) -> u32 {
        match self.what {
            What::CopyOf(shift) => ((mode >> shift & 7) * 0o111) & self.who,
            What::Bits {
                permissions,
                execute_if_any,
                set_id,
                sticky,
            } => {
                let execute = u32::from(execute_if_any && (is_directory || mode & 0o111 != 0));
                let mut bits = ((permissions | execute) * 0o111) & self.who;
                if set_id {
                    bits |= self.set_id_bits();
                }
                if sticky {
                    bits |= 0o1000;
                }
                bits
            }
        }
    }

    fn set_id_bits(self) -> u32 {
        let user = if self.who & 0o700 != 0 { 0o4000 } else { 0 };
        let group = if self.who & 0o070 != 0 { 0o2000 } else { 0 };
        user | group
    }

    /// What `=` takes away first. A directory's set-id bits stay, as with GNU chmod, unless they are named.
    fn cleared(self, is_directory: bool) -> u32 {
        let special = if is_directory { 0 } else { self.set_id_bits() };
        let sticky = if self.who == 0o777 { 0o1000 } else { 0 };
        self.who | special | sticky
    }
}

#[cfg(test)]
mod tests {
    use super::ModeChange;

    #[test]
    fn modes() {
        // Text, mode before, of a directory, mode after.
        let cases = [
            ("755", 0o600, false, 0o755),
            ("0644", 0o777, true, 0o644),
            ("7777", 0, false, 0o7777),
            ("u+x", 0o644, false, 0o744),
            ("+x", 0o644, false, 0o755),
            ("go=", 0o755, false, 0o700),
            ("a=rX", 0o600, false, 0o444),
            ("a=rX", 0o700, false, 0o555),
            ("a=rX", 0o600, true, 0o555),
            ("u=rwX,go=rX", 0o000, true, 0o755),
            ("go=u", 0o640, false, 0o666),
            ("g+s", 0o755, true, 0o2755),
            ("u-s,+t", 0o4755, false, 0o1755),
            ("u+r-w+x", 0o200, false, 0o500),
            ("o-rwx", 0o777, false, 0o770),
        ];
        for (text, before, is_directory, after) in cases {
            let change = ModeChange::parse(text).unwrap();
            assert_eq!(change.apply(before, is_directory), after, "{text} {before:o}");
        }
        for text in [
            "",
            "8",
            "10000",
            "u",
            "u+q",
            "z+x",
            "+x,",
            "u=rwx go=rx",
            "99999999999999999999",
            "-1",
        ] {
            assert!(ModeChange::parse(text).is_err(), "{text}");
        }
    }
}
