//! Scripts, and what they are for.

use super::{Fault, Look};
use crate::error::Error;
use crate::index::{Kind, Program};
use crate::tree::Place;

/// The path of a script's interpreter and, where that is `env`, what that looks for.
type Interpreter = (Vec<u8>, Option<Vec<u8>>);

impl Look<'_> {
    /// What is wrong with a script; nothing if it is none.
    pub(super) fn script(&self, place: Place) -> Result<Option<Fault>, Error> {
        let Some((interpreter, name)) = self.interpreter(place)? else {
            return Ok(None);
        };
        if !self.is_program(&interpreter) {
            return Ok(Some(self.missing(&interpreter)));
        }
        Ok(name
            .filter(|name| !self.is_command(name))
            .map(|name| self.missing(&name)))
    }

    /// What a script is for; `None` if it is no script.
    fn interpreter(&self, place: Place) -> Result<Option<Interpreter>, Error> {
        let Program::Script(start) = self.image.program(self.tree, place)? else {
            return Ok(None);
        };
        let line = start.strip_prefix(b"#!").unwrap_or_default();
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let words = line.split(|byte| matches!(byte, b' ' | b'\t'));
        let mut words = words.filter(|word| !word.is_empty());
        let Some(interpreter) = words.next() else {
            return Ok(None);
        };
        let is_option = |word: &&[u8]| word.starts_with(b"-") || word.contains(&b'=');
        let name = words
            .find(|word| !is_option(word))
            .filter(|_| interpreter.ends_with(b"/env"));
        Ok(Some((interpreter.to_vec(), name.map(<[u8]>::to_vec))))
    }

    /// The paths of the programs that a script needs to be started; none if it is none.
    pub(super) fn script_programs(&self, place: Place) -> Result<Vec<Vec<u8>>, Error> {
        let Some((interpreter, name)) = self.interpreter(place)? else {
            return Ok(Vec::new());
        };
        let in_path = |name: &Vec<u8>| {
            self.path
                .iter()
                .map(|directory| [directory.as_bytes(), b"/", name].concat())
                .collect()
        };
        let found: Vec<Vec<u8>> = name.as_ref().map(in_path).unwrap_or_default();
        let found = found.into_iter().find(|path| self.tree.file(path).is_some());
        Ok(std::iter::once(interpreter).chain(found).collect())
    }

    fn missing(&self, interpreter: &[u8]) -> Fault {
        let bare = interpreter.strip_suffix(b"\r");
        Fault::NoScriptInterpreter {
            interpreter: interpreter.to_vec(),
            ends_in_return: bare.is_some_and(|bare| self.is_program(bare) || self.is_command(bare)),
        }
    }

    fn is_program(&self, path: &[u8]) -> bool {
        // Interpreters of relative paths depend on where they are started.
        !path.starts_with(b"/") && path.contains(&b'/') || self.tree.file(path).is_some()
    }

    fn is_command(&self, name: &[u8]) -> bool {
        if name.contains(&b'/') {
            return self.is_program(name);
        }
        let in_directory = |directory: &String| self.tree.file(&[directory.as_bytes(), b"/", name].concat()).is_some();
        self.path.iter().any(in_directory)
    }

    /// Whether the kernel would refuse the file: what is neither ELF nor a script only a shell starts, if at all.
    pub(super) fn no_format(&self, place: Place) -> Result<Option<Fault>, Error> {
        if self.tree.entry(place).kind != Kind::File {
            return Ok(None);
        }
        let program = self.image.program(self.tree, place)?;
        Ok((program == Program::Other).then_some(Fault::NoFormat))
    }
}
