//! What `parse-dockerfile` says.

use parse_dockerfile::{
    Command, Flag, HealthcheckArguments, HereDoc, Instruction, JsonOrStringArray, Keyword, Source, UnescapedString,
};

use super::Said;
use super::ours::solid;

/// All instructions, or what is wrong.
pub(super) fn said(text: &str) -> Result<Vec<Said>, String> {
    let tree = parse_dockerfile::parse(text).map_err(|error| error.to_string())?;
    Ok(tree.instructions.iter().map(instruction).collect())
}

fn instruction(each: &Instruction<'_>) -> Said {
    match each {
        Instruction::Add(add) => transfer(&add.add, &add.options, &add.src, &add.dest),
        Instruction::Copy(copy) => transfer(&copy.copy, &copy.options, &copy.src, &copy.dest),
        Instruction::Arg(arg) => plain(&arg.arg, &[], vec![solid(&arg.arguments.value)]),
        Instruction::Env(env) => plain(&env.env, &[], vec![solid(&env.arguments.value)]),
        Instruction::Label(label) => plain(&label.label, &[], vec![solid(&label.arguments.value)]),
        Instruction::Cmd(cmd) => plain(&cmd.cmd, &[], command(&cmd.arguments)),
        Instruction::Entrypoint(entrypoint) => plain(&entrypoint.entrypoint, &[], command(&entrypoint.arguments)),
        Instruction::Expose(expose) => plain(&expose.expose, &[], values(&expose.arguments)),
        Instruction::From(from) => {
            let name = from.as_.as_ref().map(|(_, name)| name);
            plain(&from.from, &from.options, values([&from.image].into_iter().chain(name)))
        }
        Instruction::Healthcheck(check) => {
            let arguments = match &check.arguments {
                HealthcheckArguments::Cmd { arguments, .. } => command(arguments),
                _ => vec!["NONE".to_owned()],
            };
            // Ours are read to numbers.
            plain(&check.healthcheck, &[], arguments)
        }
        Instruction::Maintainer(maintainer) => plain(&maintainer.maintainer, &[], values([&maintainer.name])),
        Instruction::Stopsignal(signal) => plain(&signal.stopsignal, &[], values([&signal.arguments])),
        Instruction::User(user) => plain(&user.user, &[], values([&user.arguments])),
        Instruction::Workdir(workdir) => plain(&workdir.workdir, &[], values([&workdir.arguments])),
        Instruction::Onbuild(onbuild) => Said {
            keyword: onbuild.onbuild.span.clone(),
            ..instruction(&onbuild.instruction)
        },
        Instruction::Run(run) => Said {
            documents: run.here_docs.iter().map(document).collect(),
            ..plain(&run.run, &run.options, command(&run.arguments))
        },
        Instruction::Shell(shell) => plain(&shell.shell, &[], values(&shell.arguments)),
        Instruction::Volume(volume) => match &volume.arguments {
            JsonOrStringArray::Json(words) => plain(&volume.volume, &[], values(&words.value)),
            JsonOrStringArray::String(words) => plain(&volume.volume, &[], values(words)),
        },
        other => panic!("an instruction that did not exist: {other:?}"),
    }
}

fn plain(keyword: &Keyword, flags: &[Flag<'_>], arguments: Vec<String>) -> Said {
    let flag = |flag: &Flag<'_>| {
        let value = flag.value.as_ref().map_or("true", |value| &value.value);
        (flag.name.value.to_string(), value.to_owned())
    };
    let mut flags: Vec<_> = flags.iter().map(flag).filter(|(_, value)| value != "false").collect();
    flags.sort();
    Said {
        keyword: keyword.span.clone(),
        flags,
        arguments,
        documents: Vec::new(),
    }
}

fn transfer(keyword: &Keyword, flags: &[Flag<'_>], sources: &[Source<'_>], to: &UnescapedString<'_>) -> Said {
    let (mut arguments, mut documents) = (Vec::new(), Vec::new());
    for source in sources {
        match source {
            Source::Path(path) => arguments.push(path.value.to_string()),
            Source::HereDoc(heredoc) => documents.push(document(heredoc)),
            other => panic!("a source that did not exist: {other:?}"),
        }
    }
    arguments.push(to.value.to_string());
    Said {
        documents,
        ..plain(keyword, flags, arguments)
    }
}

fn values<'a, 'b: 'a>(words: impl IntoIterator<Item = &'a UnescapedString<'b>>) -> Vec<String> {
    words.into_iter().map(|word| word.value.to_string()).collect()
}

fn command(command: &Command<'_>) -> Vec<String> {
    match command {
        Command::Shell(text) => vec!["shell".to_owned(), text.value.to_owned()],
        Command::Exec(words) => ["exec".to_owned()].into_iter().chain(values(&words.value)).collect(),
        other => panic!("a form that did not exist: {other:?}"),
    }
}

fn document(heredoc: &HereDoc<'_>) -> (String, bool) {
    (heredoc.value.to_string(), heredoc.expand)
}
