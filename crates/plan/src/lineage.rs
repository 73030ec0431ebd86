//! What tells a step of a Dockerfile from all others, whatever its line: what its stage says up to there.

use std::collections::HashMap;

use kiln_dockerfile::Dockerfile;
use kiln_dockerfile::ast::{Instruction, Kind, SourcePath};

/// The digest of all that a stage says up to an instruction.
pub type Lineage = [u8; 32];

/// The lineages of all instructions behind FROM, by their first lines. `file` is what tells this Dockerfile from others that
/// say the same.
///
/// An instruction keeps its lineage when lines around it move, when comments and what other stages say change, and when
/// its stage gets another name. It has another one as soon as something above it in its stage is edited, or in a stage
/// that this one is built on.
pub fn lineages(dockerfile: &Dockerfile, file: &[u8]) -> HashMap<u32, Lineage> {
    let mut found = HashMap::new();
    let mut ends: Vec<blake3::Hasher> = Vec::new();
    let mut globals = blake3::Hasher::new();
    add(&mut globals, file);
    for instruction in &dockerfile.globals {
        add_instruction(&mut globals, instruction);
    }
    for stage in &dockerfile.stages {
        let base = &stage.from.image.raw;
        let parent = dockerfile.stage_by_name(base, stage.index);
        let mut said = parent.map_or_else(
            || {
                let mut said = globals.clone();
                add(&mut said, base.as_bytes());
                said
            },
            |parent| ends[parent.index].clone(),
        );
        add(
            &mut said,
            stage.from.platform.as_ref().map_or(&[], |word| word.raw.as_bytes()),
        );
        for instruction in &stage.instructions {
            add_instruction(&mut said, instruction);
            found.insert(instruction.lines.0, *said.finalize().as_bytes());
        }
        ends.push(said);
    }
    found
}

/// What an instruction says, here-documents included.
fn add_instruction(said: &mut blake3::Hasher, instruction: &Instruction) {
    let kind = match &instruction.kind {
        Kind::Onbuild(onbuild) => &onbuild.instruction.kind,
        kind => kind,
    };
    add(said, instruction.text.as_bytes());
    match kind {
        Kind::Run(run) => {
            for document in &run.heredocs {
                add(said, document.content.as_bytes());
            }
        }
        Kind::Copy(copy) => add_documents(said, &copy.transfer.sources),
        Kind::Add(add) => add_documents(said, &add.transfer.sources),
        _ => {}
    }
}

fn add_documents(said: &mut blake3::Hasher, sources: &[SourcePath]) {
    for source in sources {
        if let SourcePath::Heredoc(document) = source {
            add(said, document.content.as_bytes());
        }
    }
}

fn add(said: &mut blake3::Hasher, bytes: &[u8]) {
    said.update(&(bytes.len() as u64).to_le_bytes());
    said.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_dockerfile::parse;

    fn at(text: &str, line: u32) -> Lineage {
        lineages(&parse(text).0, b"/a/Dockerfile")[&line]
    }

    const TEXT: &str = "ARG V=1\nFROM debian:$V AS one\nRUN a\nRUN a\nFROM one AS two\nRUN b\nCOPY <<E /x\nhere\nE\n";

    #[test]
    fn each_step_has_its_own() {
        let all = lineages(&parse(TEXT).0, b"/a/Dockerfile");
        let mut digests: Vec<_> = all.values().collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!((all.len(), digests.len()), (4, 4));
        let elsewhere = lineages(&parse(TEXT).0, b"/b/Dockerfile");
        assert!(all.iter().all(|(line, digest)| elsewhere[line] != *digest));
    }

    #[test]
    fn what_does_not_matter_changes_nothing() {
        // Of the last instruction, in line 7.
        for (old, new, line) in [
            ("FROM one", "# why\n\nFROM one", 9),
            ("RUN b", "RUN \\\nb", 8),
            ("RUN b", "run b # not a comment", 0),
            ("AS two", "AS three", 7),
            ("E\n", "E\nRUN more\n", 7),
            ("FROM one", "FROM scratch\nCOPY x /\nFROM one", 9),
        ] {
            let edited = TEXT.replacen(old, new, 1);
            match line {
                0 => assert_ne!(at(&edited, 7), at(TEXT, 7), "{edited}"),
                line => assert_eq!(at(&edited, line), at(TEXT, 7), "{edited}"),
            }
        }
    }

    #[test]
    fn whatever_is_said_before_matters() {
        for (old, new) in [
            ("V=1", "V=2"),
            ("debian", "alpine"),
            ("RUN a\n", "RUN c\n"),
            ("RUN b", "ENV b=b"),
            ("here", "there"),
            ("FROM one", "FROM --platform=$BUILDPLATFORM one"),
            ("FROM one", "FROM other"),
        ] {
            let edited = TEXT.replacen(old, new, 1);
            assert_ne!(at(&edited, 7), at(TEXT, 7), "{edited}");
        }
    }
}
